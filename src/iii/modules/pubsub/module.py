"""`iii-pubsub`: the function `publish` and the trigger type `subscribe` (04 §13, T2, W7)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, ClassVar

import msgspec
from msgspec import Meta, Raw, Struct

from iii.engine.answer import answer
from iii.engine.bindings import Binding, config_for_builtin
from iii.engine.builtin import LATER, Later, builtin
from iii.engine.discovery.workers_available import WorkerChanged
from iii.engine.engine import Engine
from iii.engine.invocation import NO_TRACE, Caller, Invocation, Trace
from iii.engine.module import Module
from iii.engine.observing.origin import trace_of
from iii.engine.ordered_firing import OrderedFiring
from iii.engine.schema import late_schema
from iii.engine.trigger_types import TriggerType
from iii.modules.pubsub.beside import Notices, notice
from iii.modules.pubsub.config import PubSubConfig
from iii.protocol.errors import PUBLISH_FAILED, TOPIC_NOT_SET, TriggerRegistrationFailed
from iii.protocol.json_text import BAD_JSON
from iii.protocol.log_event import LogEvent
from iii.protocol.names import DEFAULT_NAMESPACE, EACH, SUBSCRIBE, WORKERS_AVAILABLE
from iii.storage.adapter import RedisConfig

if TYPE_CHECKING:
    from iii.engine.session.peer import Peer
    from iii.storage.redis_channels import RedisChannels

MESSAGE_DROPPED = LogEvent(
    __name__, "pubsub.message_dropped", logging.ERROR, "Message of a topic dropped: it is not valid JSON",
    means="Something else publishes to a Redis channel of `iii-pubsub`.",
    do="Publish with `publish`, or send JSON.",
)  # fmt: skip


class PublishInput(Struct, kw_only=True):
    topic: str
    data: Raw


class SubscribeTriggerConfig(Struct, kw_only=True):
    """What a trigger subscribes to."""

    topic: Annotated[str, Meta(description="Name of the topic; patterns are not supported.")] = ""
    condition_function_id: Annotated[
        str | None,
        Meta(description="Function called with each message first; the message is skipped if it returns `false`."),
    ] = None
    deliver: Annotated[
        str,
        Meta(
            description="`one`: of several workers with the function one gets a message; `each`: every one that has the "
            "trigger gets it."
        ),
    ] = "one"


class PubSub(Module):
    name = "iii-pubsub"
    description = "Topic-based publish/subscribe messaging for real-time event distribution."
    Config: ClassVar = PubSubConfig

    def __init__(self, engine: Engine, config: PubSubConfig | None = None, instance: str | None = None) -> None:
        """Raises StartFailure."""
        super().__init__(engine, instance)
        adapter = (config or PubSubConfig()).adapter
        self._firing = OrderedFiring(engine.router, engine.clock, engine.turns)
        self.subscribers: dict[str, dict[str, Binding]] = {}  # by topic and id
        self._topics: dict[str, str] = {}  # by binding
        self._channels: RedisChannels | None = None
        self._notices = Notices(engine.clock, self.subscribers)
        if adapter.kind(PubSubConfig.adapters) == "redis":
            from iii.storage.redis_channels import RedisChannels

            url = adapter.block(RedisConfig).redis_url
            self._channels = RedisChannels(url, self._heard, lambda: None, self._notices.hear)
        engine.roster.events.subscribe(self._worker_event)

    async def start(self) -> None:
        """Raises StartFailure."""
        if self._channels is not None:
            await self._channels.open()

    async def stop(self) -> None:
        """Let go of Redis."""
        if self._channels is not None:
            await self._channels.close()

    @builtin("publish", spec="04 §13.1")
    def publish(self, request: PublishInput, invocation: Invocation) -> Later | None:
        """Publishes an event to a topic"""
        if not request.topic:
            raise TOPIC_NOT_SET("Topic is not set")
        trace, data = trace_of(invocation), bytes(request.data)
        if self._channels is None:
            self._deliver(request.topic, data, trace, invocation.caller)
            return None

        # it comes back, as to every other engine
        text = f"Topic '{request.topic}' cannot take the message"
        beside = notice(request.topic, data, trace)
        if beside is not None:
            self._channels.notice(beside)
        self._channels.publish(request.topic, data, answer(invocation, PUBLISH_FAILED, text))
        return LATER

    def trigger_types(self) -> Iterator[TriggerType]:
        yield TriggerType(
            DEFAULT_NAMESPACE,
            SUBSCRIBE,
            self,
            "Subscribe to a topic",
            config_schema=late_schema(SubscribeTriggerConfig),
        )

    def bind(self, binding: Binding) -> None:
        try:
            config = msgspec.json.decode(config_for_builtin(binding), type=SubscribeTriggerConfig)
        except msgspec.ValidationError:
            config = SubscribeTriggerConfig()
        topic = config.topic
        if not topic:
            raise TriggerRegistrationFailed("topic is required for subscribe triggers")
        if config.deliver not in ("one", EACH):
            raise TriggerRegistrationFailed(f"deliver must be 'one' or 'each', got '{config.deliver[:100]}'")
        self.unbind(binding)
        if self._channels is not None and topic not in self.subscribers:
            self._channels.subscribe(topic)
        self.subscribers.setdefault(topic, {})[binding.id] = binding
        self._topics[binding.id] = topic

    def unbind(self, binding: Binding) -> None:
        topic = self._topics.pop(binding.id, None)
        if topic is None:
            return
        subscribers = self.subscribers[topic]
        self._firing.forget(subscribers.pop(binding.id))
        if not subscribers:
            del self.subscribers[topic]
            if self._channels is not None:
                self._channels.unsubscribe(topic)

    def _heard(self, topic: str, data: bytes) -> None:
        try:
            msgspec.json.decode(data)
        except BAD_JSON:
            MESSAGE_DROPPED(topic=topic)
            return
        self._deliver(topic, data, self._notices.of(topic, data))

    def _deliver(self, topic: str, data: bytes, trace: Trace = NO_TRACE, cause: Caller | None = None) -> None:
        subscribers = self.subscribers.get(topic)
        if subscribers:
            self._firing.fire(list(subscribers.values()), data, trace, cause)

    def _worker_event(self, event: str, worker: Peer) -> None:
        """Only this engine's: others tell of their own workers (W7)."""
        if WORKERS_AVAILABLE in self.subscribers:
            self._deliver(WORKERS_AVAILABLE, msgspec.json.encode(WorkerChanged(event, worker.worker_id)))
