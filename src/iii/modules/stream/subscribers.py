"""`engine::streams::subscribers`: who follows which group of a stream (24 §10)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta, Struct

from iii.engine.builtin import LATER, Later, builtin
from iii.engine.invocation import Invocation
from iii.protocol.quoted import shortened

if TYPE_CHECKING:
    from iii.engine.engine import Engine
    from iii.modules.stream.client import StreamClient, StreamSubscription
    from iii.storage.items import Group

_PAGE = 500
_GROUPS = 200  # that are counted one by one
_CHARACTERS = 200  # of names that clients choose
_AT_ONCE = 50  # subscriptions of one step; a turn of the loop has many


class SubscriberListRequest(Struct, kw_only=True):
    stream_name: Annotated[str | None, Meta(description="Only subscriptions of this stream.")] = None
    group_id: Annotated[str | None, Meta(description="Only subscriptions of groups with this id.")] = None
    item_id: Annotated[str | None, Meta(description="Only subscriptions of this item, and of its whole group.")] = None
    offset: Annotated[int, Meta(ge=0, description="Subscriptions to pass over.")] = 0
    limit: Annotated[int, Meta(ge=1, le=_PAGE, description="Most subscriptions that are listed.")] = 100


class SubscriberRow(Struct, kw_only=True):
    """One subscription of one client of the stream port."""

    id: Annotated[str, Meta(description="As its client named it.")]
    stream_name: str
    group_id: str
    item_id: Annotated[str | None, Meta(description="The one item that is followed; null: the whole group.")]
    ip_address: Annotated[str | None, Meta(description="Of the client.")]
    since_ms: Annotated[int, Meta(description="When the client subscribed, Unix milliseconds.")]
    synced: Annotated[bool, Meta(description="False while the client waits for its first snapshot.")]


class FollowedGroup(Struct):
    """Subscriptions of one group that fit the request."""

    stream_name: str
    group_id: str
    count: int


class SubscriberList(Struct):
    subscribers: list[SubscriberRow]
    total: Annotated[int, Meta(description="Subscriptions that fit, listed or not.")]
    groups: Annotated[list[FollowedGroup], Meta(description="Groups with subscriptions that fit, 200 at most.")]


class StreamSubscribers:
    """Of the clients that are connected to one stream port."""

    def __init__(self, engine: Engine, clients: Callable[[], list[StreamClient]]) -> None:
        self._engine = engine
        self._clients = clients

    @builtin("engine::streams::subscribers", spec="24 §10")
    def subscribers(self, request: SubscriberListRequest, invocation: Invocation) -> SubscriberList | Later:
        """List who follows a stream, a group or an item, in the order of connecting and subscribing."""
        clients = sorted(self._clients(), key=lambda client: client.number)
        self._engine.turns.go(_listing(clients, request, invocation))
        return LATER


def _listing(clients: list[StreamClient], request: SubscriberListRequest, invocation: Invocation) -> Iterator[None]:
    """One client may have 10,000 subscriptions, which may change between two steps."""
    rows: list[SubscriberRow] = []
    counts: dict[Group, int] = {}
    total = 0
    for client in clients:
        subscriptions = client.subscriptions()
        for start in range(0, len(subscriptions), _AT_ONCE):
            for subscription_id, subscription in subscriptions[start : start + _AT_ONCE]:
                if _fits(subscription, request):
                    if request.offset <= total < request.offset + request.limit:
                        rows.append(_row(client, subscription_id, subscription))
                    total += 1
                    if subscription.group in counts or len(counts) < _GROUPS:
                        counts[subscription.group] = counts.get(subscription.group, 0) + 1
            yield
    groups = [FollowedGroup(_short(stream), _short(group), count) for (stream, group), count in counts.items()]
    invocation.complete(msgspec.json.encode(SubscriberList(rows, total, groups)))


def _fits(subscription: StreamSubscription, request: SubscriberListRequest) -> bool:
    stream, group = subscription.group
    return (
        request.stream_name in (None, stream)
        and request.group_id in (None, group)
        and (request.item_id is None or subscription.item_id in (None, request.item_id))
    )


def _row(client: StreamClient, subscription_id: str, subscription: StreamSubscription) -> SubscriberRow:
    stream, group = subscription.group
    return SubscriberRow(
        id=_short(subscription_id),
        stream_name=_short(stream),
        group_id=_short(group),
        item_id=None if subscription.item_id is None else _short(subscription.item_id),
        ip_address=client.connection.ip_address,
        since_ms=subscription.since_ms,
        synced=subscription.held is None,
    )


def _short(name: str) -> str:
    return shortened(name, _CHARACTERS)
