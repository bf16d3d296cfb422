"""Consumers of clients that have no triggers: observers of `queue::on-message` (26 §5)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta, Struct

from iii.engine.observing.codes import INVALID_ARGS
from iii.engine.observing.source import EventSource
from iii.engine.schema import json_schema
from iii.modules.queue.options import NAME_CHARACTERS
from iii.modules.queue.subscription import Subscription

if TYPE_CHECKING:
    from iii.engine.observing.observer import Observer
    from iii.modules.queue.adapter import QueueAdapter


class OnMessageArgs(Struct, forbid_unknown_fields=True, kw_only=True):
    """Whose messages."""

    topic: Annotated[str, Meta(description="Name of the durable topic; patterns are not supported.")]


class ObservedTopics:
    """The host of `queue::on-message`. An observer subscribes while it is active; otherwise its messages wait."""

    def __init__(self, adapter: QueueAdapter) -> None:
        self.source = EventSource(
            "queue::on-message",
            "A message of a durable topic is to be handled: each observer is a consumer.",
            args_format=json_schema(OnMessageArgs),
            host=self,
        )
        self._adapter = adapter
        self._subscriptions: dict[str, Subscription] = {}  # by observer; those that are subscribed now

    def take(self, observer: Observer) -> None:
        """Raises InvocationError: it names no topic."""
        topic = msgspec.convert(observer.decoded_args, OnMessageArgs).topic
        if not topic or len(topic) > NAME_CHARACTERS:
            raise INVALID_ARGS(f"topic must have 1 to {NAME_CHARACTERS} characters, this one has {len(topic)}")
        self._unsubscribe(observer, for_good=True)  # of another topic

    def let_go(self, observer: Observer) -> None:
        self._unsubscribe(observer, for_good=observer.party.peer is not None)

    def changed(self, observer: Observer) -> None:
        if not observer.active:
            self._unsubscribe(observer, for_good=False)
            return
        topic = msgspec.convert(observer.decoded_args, OnMessageArgs).topic
        subscription = self._subscriptions[observer.id] = Subscription(
            f"observer {observer.id}",
            topic,
            observer.target,
            observer.target_namespace,
            observer.metadata,
            None,
            {},
            partial(self.source.deeper, observer),
        )
        self._adapter.topics.subscribe(subscription)

    def _unsubscribe(self, observer: Observer, *, for_good: bool) -> None:
        subscription = self._subscriptions.pop(observer.id, None)
        if subscription is not None:
            self._adapter.topics.unsubscribe(subscription, for_good=for_good)
