"""One page that follows lists: what it asks for, and what it is told when it can take it (23 §6)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Literal

import msgspec
from msgspec import Raw, Struct

from iii.console.refusal import Refusal, refusal_of
from iii.protocol.limits import CONSOLE_STUCK_S, CONSOLE_SUBSCRIPTIONS

if TYPE_CHECKING:
    from iii.console.desk import Desk
    from iii.console.live.following import Following
    from iii.console.live.hub import FollowedTopics, TopicName

_encode = msgspec.json.Encoder().encode
_AT_ONCE_S = 0.02  # what happens within it is one message


class PageRequest(Struct):
    """What a page says."""

    op: Literal["sub", "unsub", "ping"]
    id: int = 0
    topic: str = ""
    params: Raw = Raw(b"{}")


_decode = msgspec.json.Decoder(PageRequest).decode


class _Subscription:
    __slots__ = ("failed", "following", "name", "rev")

    def __init__(self, name: TopicName, following: Following) -> None:
        self.name = name
        self.following = following
        self.rev: int | None = None
        self.failed = False


class LivePage:
    """Holds no messages: a page that reads slowly gets fewer and larger ones, and one that does not read is let go."""

    def __init__(self, hub: FollowedTopics, desk: Desk, send: Callable[[str], Awaitable[None]]) -> None:
        self._hub = hub
        self._desk = desk
        self._send = send
        self._subscriptions: dict[int, _Subscription] = {}
        self._said: list[bytes] = []  # answers and notices
        self._wake = asyncio.Event()

    def take(self, text: str | bytes) -> None:
        """The page says something."""
        try:
            request = _decode(text)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            self.say({"t": "error", "id": None, "error": f"not understood: {error!s:.200}", "code": "BAD_REQUEST"})
            return
        if request.op == "ping":
            self.say({"t": "pong"})
        elif request.op == "unsub":
            self._unsubscribe(request.id)
        else:
            self._subscribe(request)

    def say(self, message: dict[str, object]) -> None:
        """Beside what it follows; a page that is too slow for answers asks too much."""
        if len(self._said) < 2 * CONSOLE_SUBSCRIPTIONS:
            self._said.append(_encode(message))
        self._wake.set()

    def end(self) -> None:
        """The page is gone."""
        for subscription_id in list(self._subscriptions):
            self._unsubscribe(subscription_id)

    async def tell(self) -> None:
        """For as long as the page is there. Raises TimeoutError: it does not read."""
        while True:
            await self._wake.wait()
            await asyncio.sleep(_AT_ONCE_S)
            self._wake.clear()
            said, self._said = self._said, []
            for message in said:
                await self._write(message)
            for subscription_id, subscription in list(self._subscriptions.items()):
                if self._subscriptions.get(subscription_id) is subscription:
                    await self._tell_of(subscription_id, subscription)

    async def _tell_of(self, subscription_id: int, subscription: _Subscription) -> None:
        failure = subscription.following.failure
        if failure is not None:
            if not subscription.failed:
                subscription.failed = True
                body = refusal_of(failure).body()
                await self._write(_encode({"t": "error", "id": subscription_id, **body}))
            return
        if subscription.failed:
            subscription.failed, subscription.rev = False, None
        news = subscription.following.topic.feed.since(subscription.rev)
        if news is not None:
            subscription.rev = news.rev
            await self._write(b'{"id":%d,%b}' % (subscription_id, news.members))

    async def _write(self, message: bytes) -> None:
        async with asyncio.timeout(CONSOLE_STUCK_S):
            await self._send(message.decode())

    def _subscribe(self, request: PageRequest) -> None:
        """Again with the same id: everything anew."""
        earlier = self._subscriptions.get(request.id)
        if earlier is None and len(self._subscriptions) >= CONSOLE_SUBSCRIPTIONS:
            self._refuse(request.id, Refusal(429, f"at most {CONSOLE_SUBSCRIPTIONS} subscriptions", "TOO_MANY"))
            return
        try:
            name, following = self._hub.join(
                self._desk, request.topic, request.params, (self, request.id), self._wake.set
            )
        except Refusal as refusal:
            self._unsubscribe(request.id)
            self._refuse(request.id, refusal)
            return
        if earlier is not None and earlier.name != name:
            self._hub.leave(earlier.name, (self, request.id))
        self._subscriptions[request.id] = _Subscription(name, following)
        self._wake.set()

    def _refuse(self, subscription_id: int, refusal: Refusal) -> None:
        self.say({"t": "error", "id": subscription_id, **refusal.body()})

    def _unsubscribe(self, subscription_id: int) -> None:
        subscription = self._subscriptions.pop(subscription_id, None)
        if subscription is not None:
            self._hub.leave(subscription.name, (self, subscription_id))
