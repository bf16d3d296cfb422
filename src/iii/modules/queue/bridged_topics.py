"""Subscribers of this engine to topics of another one (27 §4)."""

from __future__ import annotations

import asyncio
import os
import platform
import uuid
from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from iii.engine.engine import Engine
from iii.engine.functions import Function
from iii.engine.invocation import Trace
from iii.modules.queue.consume.attempt import Attempt
from iii.modules.queue.consume.delivery_span import message_span
from iii.modules.queue.jobs.job import Failure, NewJob
from iii.modules.queue.options import TIMEOUT_MS
from iii.modules.queue.requests import DestinationRow
from iii.modules.queue.subscription import Subscription
from iii.protocol.errors import FunctionNotFound, InvocationError, TriggerRegistrationFailed
from iii.protocol.names import TOPIC_RELAY
from iii.protocol.reply import Reply
from iii.protocol.tracecontext import valid_traceparent
from iii.remote.engine import RemoteEngine
from iii.remote.hops import MOST_HOPS
from iii.storage.items import StoreError

_Key: TypeAlias = tuple[str, str, str]
"""Topic, namespace and function: the triggers of one function share what is published, as everywhere."""

_THERE = "the other engine takes the message"


class _Destination:
    """One function here, which has a relay there.

    Attributes:
        subscriptions: its triggers, by id.
        unbind: takes the trigger there back, by the id of the one here; also of those whose worker is away.
        unregister: takes the relay back; None while no worker is here.
    """

    def __init__(self) -> None:
        self.subscriptions: dict[str, Subscription] = {}
        self.unbind: dict[str, Callable[[], None]] = {}
        self.unregister: Callable[[], None] | None = None


class BridgedTopics:
    """Each function that subscribes has a relay there, under a name that it has after restarts too.

    So what is published while this engine, or the function's worker, is away waits there.
    """

    def __init__(self, engine: Engine, remote: RemoteEngine, name: str | None) -> None:
        """`name`: of this engine, for ever."""
        self._engine = engine
        self._remote = remote
        self._name = name or f"{platform.node()}:{os.getcwd()}"
        self._destinations: dict[_Key, _Destination] = {}
        self._keys: dict[str, _Key] = {}  # by the id of a trigger

    def publish(self, topic: str, job: NewJob, done: Reply[str, StoreError]) -> None:
        done(None, StoreError(_THERE))

    def subscribe(self, subscription: Subscription) -> None:
        """Raises TriggerRegistrationFailed: the engines lead back to each other."""
        key = subscription.topic, subscription.namespace, subscription.function_id
        relay = self._relay(key)
        if self._keys.get(subscription.id, key) != key:
            self._drop(subscription.id, for_good=True)
        self._keys[subscription.id] = key
        destination = self._destinations.setdefault(key, _Destination())
        replaced = [each for each in destination.unbind if each not in destination.subscriptions]
        if subscription.id in destination.subscriptions:
            replaced.append(subscription.id)
        destination.subscriptions[subscription.id] = subscription
        if destination.unregister is None:
            text = f"Messages of '{subscription.topic}' for {subscription.function_id} of another engine."
            destination.unregister = self._remote.offer(relay, partial(self._deliver, destination), text)
        config: dict[str, object] = {"topic": subscription.topic}
        if subscription.wanted:
            config["queue_config"] = subscription.queue_config()
        bound = self._remote.bind("durable:subscriber", relay, config)
        for trigger_id in replaced:  # once there is another one, or the other engine would forget the function
            destination.unbind.pop(trigger_id)()
        destination.unbind[subscription.id] = bound

    def unsubscribe(self, subscription: Subscription, for_good: bool) -> None:
        self._drop(subscription.id, for_good)

    def triggers(self) -> dict[str, int]:
        return {}

    def destinations(self, topic: str) -> list[DestinationRow]:
        return []

    def forget(self, topic: str, function_id: str, namespace: str) -> bool:
        return False

    def _drop(self, trigger_id: str, for_good: bool) -> None:
        key = self._keys.pop(trigger_id, None)
        if key is None:
            return
        destination = self._destinations[key]
        del destination.subscriptions[trigger_id]
        if for_good:
            destination.unbind.pop(trigger_id)()
        if not destination.subscriptions and destination.unregister is not None:
            destination.unregister()  # what is published waits for it there
            destination.unregister = None
        if not destination.unbind:
            del self._destinations[key]

    def _relay(self, key: _Key) -> str:
        """The id of the function there. One that relays for a further engine says how long the way is."""
        function_id, depth = key[2], 1
        if function_id.startswith(TOPIC_RELAY):
            told = function_id.rpartition("::")[2]
            depth = int(told) + 1 if told.isascii() and told.isdigit() and len(told) <= len(str(MOST_HOPS)) else 2
        if depth > MOST_HOPS:
            raise TriggerRegistrationFailed(
                f"the subscription to '{key[0]}' has crossed {MOST_HOPS} bridges: they lead back to each other"
            )
        own = f"{TOPIC_RELAY}{uuid.uuid5(uuid.NAMESPACE_URL, chr(0).join((self._name, *key)))}"
        return own if depth == 1 else f"{own}::{depth}"

    # -- messages -------------------------------------------------------------------------------------------------

    async def _deliver(self, destination: _Destination, data: bytes, trace: Trace) -> bytes:
        """Raises InvocationError: the attempt failed."""
        subscription = next(reversed(destination.subscriptions.values()), None)
        if subscription is None:
            raise InvocationError(FunctionNotFound.code, "the subscriber has left meanwhile")
        if subscription.wanted.get("hold", True):
            await self._served(subscription)
        over: asyncio.Future[Failure | None] = asyncio.get_running_loop().create_future()

        def done(failure: Failure | None) -> None:
            if not over.done():
                over.set_result(failure)

        target = subscription.target
        attempt = Attempt(self._engine, target, valid_traceparent(trace.traceparent), trace.baggage, done)
        attempt.record(lambda tracer, publisher: message_span(tracer, subscription.topic, target, None, publisher))
        attempt.run(data)
        try:
            failure = await over
        except asyncio.CancelledError:
            attempt.withdraw(cancels=True)
            raise
        if failure is not None:
            raise InvocationError(failure.code, failure.message, stacktrace=failure.stacktrace)
        return b"null"

    async def _served(self, subscription: Subscription) -> None:
        """Until a worker serves the function; no longer than an attempt may take."""
        functions, key = self._engine.functions, (subscription.namespace, subscription.function_id)
        if functions.find(key[1], key[0]) is not None:
            return
        came = asyncio.Event()

        def changed(previous: Function | None, current: Function | None) -> None:
            if current is not None and current.key == key:
                came.set()

        functions.changes.subscribe(changed)
        try:
            async with asyncio.timeout(subscription.wanted.get("timeout_ms", TIMEOUT_MS) / 1000):
                await came.wait()
        except TimeoutError:
            pass  # the attempt says what is missing
        finally:
            functions.changes.unsubscribe(changed)
