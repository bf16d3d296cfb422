"""`iii-queue`: the functions and trigger types of durable jobs (04 §1–11)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import msgspec
from msgspec import UNSET

from iii.engine.access.by_caller import session_of
from iii.engine.answer import answer
from iii.engine.bindings import Binding
from iii.engine.builtin import LATER, Later, builtin
from iii.engine.engine import Engine
from iii.engine.enqueue import EnqueueRequest
from iii.engine.functions import Function
from iii.engine.invocation import Invocation
from iii.engine.module import Adjusted, Module
from iii.engine.observing.origin import depth_of_call, trace_of, with_depth
from iii.engine.observing.source import EventSource
from iii.engine.schema import late_schema
from iii.engine.tracing import Notes
from iii.engine.trigger_types import TriggerType
from iii.modules.queue.adapter import QueueAdapter, UnsupportedSettings
from iii.modules.queue.codes import DEFINE_FAILED
from iii.modules.queue.config import BuiltinConfig, QueueConfig, RabbitmqConfig
from iii.modules.queue.embedded.adapter import BuiltinAdapter
from iii.modules.queue.enqueueing import new_job
from iii.modules.queue.introspection import Introspection
from iii.modules.queue.job_functions import Jobs
from iii.modules.queue.jobs.job import NewJob
from iii.modules.queue.jobs.schema import MIGRATIONS
from iii.modules.queue.jobs.steady import SteadyTime
from iii.modules.queue.jobs.store import JobStore
from iii.modules.queue.level_history import LevelHistory
from iii.modules.queue.levels import measured
from iii.modules.queue.maintenance import Maintenance
from iii.modules.queue.observed import ObservedTopics
from iii.modules.queue.options import (
    DEFAULT_QUEUE,
    NAME_CHARACTERS,
    InvalidQueueConfig,
    NamedQueue,
    NamedQueueConfig,
    defined,
    problem,
)
from iii.modules.queue.requests import (
    DefineQueueInput,
    DefineQueueResult,
    DurablePublishInput,
    EnqueueInput,
    EnqueueResult,
)
from iii.modules.queue.subscription import DurableSubscriberTriggerConfig, Subscription, subscription_of
from iii.protocol.errors import PUBLISH_FAILED, TOPIC_NOT_SET, EnqueueFailed
from iii.protocol.ids import new_id
from iii.protocol.log_event import LogEvent
from iii.protocol.measurement import Measurement
from iii.protocol.names import DEFAULT_NAMESPACE, ENQUEUE_PROVIDER
from iii.protocol.quoted import shortened
from iii.protocol.start_failure import StartFailure
from iii.remote.config import BridgeAdapterConfig
from iii.storage.adapter import AdapterConfig, RedisConfig
from iii.storage.items import StoreError
from iii.storage.memory_database import MemoryDatabase

IN_MEMORY = LogEvent(
    __name__, "queue.in_memory", logging.WARNING, "Jobs are kept in memory and lost when the engine ends",
    means="`store_method` of `iii-queue` is `in_memory`.",
    do="For jobs that outlive the engine set `store_method: file_based`.",
)  # fmt: skip
DEFINED = LogEvent(
    __name__, "queue.defined", logging.INFO, "Queue defined",
    means="`queue::define` created a queue or changed its settings.",
)  # fmt: skip
DEFINITION_IN_FORCE = LogEvent(
    __name__, "queue.definition_in_force", logging.WARNING, "Queue has the settings of queue::define, not of the configuration",
    means="`queue::define` changed a queue of the configuration; that stays in force over restarts.",
    do="To take it back: `iii trigger queue::define queue=NAME config=null`.",
)  # fmt: skip
DEFINITION_INVALID = LogEvent(
    __name__, "queue.definition_invalid", logging.ERROR, "Stored definition of a queue not valid; the configuration is used",
    means="The store was written by another version, whose settings this one does not know.",
    do="Define the queue again with `queue::define`.",
)  # fmt: skip

_METHODS = {"memory": "in_memory", "in_memory": "in_memory", "file_based": "file_based"}  # adapters named after them


class Queue(Module):
    name = "iii-queue"
    description = "Async job processing with named queues, retries, and dead-letter support."
    Config: ClassVar = QueueConfig
    parts: ClassVar = (Introspection, Jobs, LevelHistory, Maintenance)
    remedy: ClassVar = "list it in `queue_configs`, or call `queue::define`"  # of a queue that does not exist

    def __init__(self, engine: Engine, config: QueueConfig | None = None, instance: str | None = None) -> None:
        """Raises StartFailure."""
        super().__init__(engine, instance)
        self.config = config or QueueConfig()
        self.queues = {DEFAULT_QUEUE: NamedQueue(DEFAULT_QUEUE, NamedQueueConfig())}
        for name, settings in self.config.queue_configs.items():
            wrong = problem(name, settings)
            if wrong is not None:
                key, text = wrong
                raise StartFailure(f"{self.name}: {text}", ("queue_configs", name, key))
            self.queues[name] = NamedQueue(name, settings)
        self.adapter = _adapter(engine, self.config)
        self._subscriptions: dict[str, Subscription] = {}
        self._observed = ObservedTopics(self.adapter)
        self._history = LevelHistory(engine, self.adapter)

    def functions(self) -> Iterator[Function]:
        """Some adapters have them answered by somebody else."""
        for function in super().functions():
            function.deliver = self.adapter.answers or function.deliver
            yield function

    def part(self, kind: Callable[..., object]) -> object:
        return self._history if kind is LevelHistory else kind(self.adapter, self.queues)

    @property
    def unwell(self) -> bool:
        return self.adapter.lost

    @property
    def disconnected(self) -> str | None:
        return self.adapter.disconnected

    async def measurements(self) -> Sequence[Measurement]:
        levels = await self.adapter.levels()
        return [*measured(levels, self.engine.clock.time_ms()), *self.adapter.measure_store(self.instance)]

    async def start(self) -> None:
        """Open the store and begin with what is there. Raises StartFailure."""
        await self.adapter.open()
        for name, stored in self.adapter.queues.definitions().items():
            try:
                config = msgspec.json.decode(stored, type=NamedQueueConfig)
            except msgspec.MsgspecError as error:
                DEFINITION_INVALID(queue=name, reason=str(error))
                continue
            if config != self.config.queue_configs.get(name, config):
                DEFINITION_IN_FORCE(queue=name)
            self.queues[name] = NamedQueue(name, config)
        for queue in self.queues.values():
            try:
                await self.adapter.queues.serve(queue)
            except StoreError as error:
                raise StartFailure(f"{self.name}: {error}") from None
        self._history.begin()

    async def adjust(self, config: QueueConfig) -> Adjusted:
        """Queues that are new or have other settings; a queue that `queue::define` changed keeps its own.

        Raises StartFailure.
        """
        names = set(config.queue_configs)
        same = msgspec.structs.replace(config, queue_configs=self.config.queue_configs) == self.config
        if not same or not names >= set(self.config.queue_configs):
            return Adjusted.MODULE
        for name, settings in config.queue_configs.items():
            if (wrong := problem(name, settings)) is not None:
                raise StartFailure(f"{self.name}: {wrong[1]}", ("queue_configs", name, wrong[0]))
        defined_ones = self.adapter.queues.definitions()
        for name in sorted(names - set(defined_ones)):
            settings = config.queue_configs[name]
            if settings != self.config.queue_configs.get(name):
                await self._serve(NamedQueue(name, settings))
        self.config = config
        return Adjusted.NOW

    async def _serve(self, queue: NamedQueue) -> None:
        """Raises StartFailure."""
        try:
            await self.adapter.queues.serve(queue)
        except (StoreError, UnsupportedSettings) as error:
            raise StartFailure(f"{self.name}: {error}", ("queue_configs", queue.name)) from None
        self.queues[queue.name] = queue

    async def quiet(self) -> None:
        """Start no more jobs, and let those that run end; jobs are still accepted."""
        self._history.end()
        await self.adapter.quiet()

    async def stop(self) -> None:
        """Close the store."""
        await self.adapter.close()

    # -- jobs -----------------------------------------------------------------------------------------------------

    @builtin(ENQUEUE_PROVIDER, spec="04 §3.4, I4", request=EnqueueInput)
    def enqueue(self, request: EnqueueRequest, invocation: Invocation) -> EnqueueResult | Later:
        """Accept a job for a named queue"""
        if not request.queue.strip():
            raise EnqueueFailed("queue is required")
        if not request.function_id.strip():
            raise EnqueueFailed("function_id is required")
        if not request.message_receipt_id.strip():
            raise EnqueueFailed("messageReceiptId is required")
        queue = self.queues.get(request.queue)
        if queue is None:
            raise EnqueueFailed(f"Queue '{shortened(request.queue, NAME_CHARACTERS)}' not found; {self.remedy}")
        job = new_job(queue, request, self.engine.clock.time_ms(), numbered=invocation.request is not None)
        # A worker's call of this function: the action has it in the request. What a session says in that does not count
        depth = depth_of_call(invocation)
        if depth or (job.baggage is not None and session_of(invocation) is not None):
            job.baggage = with_depth(job.baggage, depth)
        text = f"Queue '{request.queue}' cannot take the job"
        self.adapter.queues.enqueue(queue, job, answer(invocation, EnqueueFailed, text, EnqueueResult))
        return LATER

    @builtin("iii::durable::publish", spec="04 §4.1", aliases={"queue": "topic"})
    def publish(self, request: DurablePublishInput, invocation: Invocation) -> Later | None:
        """Publish a message to every function that subscribes to a topic, durably"""
        if not request.topic:
            raise TOPIC_NOT_SET("Topic is not set")
        if len(request.topic) > NAME_CHARACTERS:
            text = f"a topic has at most {NAME_CHARACTERS} characters, this one {len(request.topic)}"
            raise PUBLISH_FAILED(text)
        trace = trace_of(invocation)
        job = NewJob(
            id=new_id(),
            data=bytes(request.data),
            created_at=self.engine.clock.time_ms(),
            traceparent=trace.traceparent,
            baggage=trace.baggage,
            numbered=True,
        )
        if invocation.span is not None:
            invocation.span.note(_published(request.topic))
        text = f"Topic '{request.topic}' cannot take the message"
        self.adapter.topics.publish(request.topic, job, answer(invocation, PUBLISH_FAILED, text, lambda receipt: None))
        return LATER

    @builtin("enqueue", spec="04 §1.3", aliases={"queue": "topic"})
    def publish_by_old_name(self, request: DurablePublishInput, invocation: Invocation) -> Later | None:
        """The same as iii::durable::publish, as clients up to 0.10 call it"""
        return self.publish(request, invocation)

    @builtin("queue::define", spec="04 §10.3, O10")
    async def define(self, request: DefineQueueInput) -> DefineQueueResult:
        """Create a named queue, or change its settings"""
        config = self._defined(request)
        queue = self.queues.get(request.queue)
        if queue is not None and queue.config == config and request.config is not None:
            return DefineQueueResult(queue=request.queue, changed=False)
        queue = NamedQueue(request.queue, config)
        try:
            await self.adapter.queues.define(
                request.queue, None if request.config is None else msgspec.json.encode(config)
            )
            await self.adapter.queues.serve(queue)
        except UnsupportedSettings as error:
            raise InvalidQueueConfig(str(error)) from None
        except StoreError as error:
            raise DEFINE_FAILED(f"Queue '{request.queue}' cannot be defined: {error}") from None
        self.queues[request.queue] = queue
        DEFINED(queue=request.queue, config=msgspec.to_builtins(config))
        return DefineQueueResult(queue=request.queue, changed=True)

    def _defined(self, request: DefineQueueInput) -> NamedQueueConfig:
        """Raises InvalidQueueConfig."""
        if request.config is not None:
            return defined(request.queue, {} if request.config is UNSET else request.config)
        return self.config.queue_configs.get(request.queue) or defined(request.queue, {})

    # -- subscribers ----------------------------------------------------------------------------------------------

    def trigger_types(self) -> Iterator[TriggerType]:
        for name, description in (
            ("durable:subscriber", "Messages of a topic, durably"),
            ("queue", "The same as durable:subscriber, as clients up to 0.10 call it"),
        ):
            schema = late_schema(DurableSubscriberTriggerConfig)
            yield TriggerType(DEFAULT_NAMESPACE, name, self, description, config_schema=schema)

    def sources(self) -> Iterator[EventSource]:
        yield self._observed.source

    def bind(self, binding: Binding) -> None:
        subscription = subscription_of(binding)
        self.adapter.topics.subscribe(subscription)
        self._subscriptions[binding.id] = subscription

    def unbind(self, binding: Binding) -> None:
        subscription = self._subscriptions.pop(binding.id, None)
        if subscription is not None:
            self.adapter.topics.unsubscribe(subscription, for_good=not binding.orphaned)


def _published(topic: str) -> Notes:
    """What the span of a publisher's call says (17 §7)."""
    return (("messaging.destination.name", topic), ("baggage.topic", topic), ("messaging.operation.type", "publish"))


def _adapter(engine: Engine, config: QueueConfig) -> QueueAdapter:
    """Raises StartFailure."""
    chosen = config.adapter or AdapterConfig()
    called = chosen.name or chosen.class_ or ""
    match chosen.kind(config.adapters):
        case "redis":
            from iii.modules.queue.redis import RedisAdapter

            return RedisAdapter(engine, chosen.block(RedisConfig).redis_url)
        case "rabbitmq":
            from iii.modules.queue.rabbitmq.adapter import RabbitmqAdapter

            return RabbitmqAdapter(engine, chosen.block(RabbitmqConfig))
        case "bridge":
            from iii.modules.queue.bridged import BridgeAdapter

            return BridgeAdapter(engine, chosen.block(BridgeAdapterConfig))
        case _:
            block = chosen.block(BuiltinConfig)
            if called in _METHODS:
                block = msgspec.structs.replace(block, store_method=_METHODS[called])
            return BuiltinAdapter(engine, _store(block, SteadyTime(engine.clock)), config, block)


def _store(config: BuiltinConfig, time: SteadyTime) -> JobStore:
    if config.store_method != "file_based":
        IN_MEMORY()
        return JobStore(lambda rolled_back: MemoryDatabase(MIGRATIONS), time)
    from iii.storage.database import Database

    folder = Path(config.file_path) / "queue"
    sync_s = max(config.save_interval_ms, 100) / 1000
    return JobStore(lambda rolled_back: Database(folder, MIGRATIONS, config.durability, sync_s, rolled_back), time)
