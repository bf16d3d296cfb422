"""Messages from engine to engine over Redis channels (05 §7.2, §7.4; 04 §13.3)."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from iii.protocol.log_event import LogEvent
from iii.protocol.reply import Reply
from iii.protocol.start_failure import StartFailure
from iii.protocol.task_set import TaskSet
from iii.storage.items import StoreError
from iii.storage.redis_connection import CONNECT_S, RedisError, ResponseError, client, connected

CHANGE_FAILED = LogEvent(
    __name__, "redis.subscription_failed", logging.ERROR, "Subscription to a Redis channel not changed",
    means="A change of subscriptions raised; it is made again when the connection is made again.",
    do="Report it with its stack trace.",
)  # fmt: skip
DROPPED = LogEvent(
    __name__, "redis.message_dropped", logging.ERROR, "Message dropped: too many wait for Redis",
    means="Redis takes less than is published, or is not there.",
    do="Look at the Redis server and the network to it, or publish less.",
)  # fmt: skip
PUBLISH_FAILED = LogEvent(
    __name__, "redis.publish_failed", logging.ERROR, "Publishing to Redis failed; retrying",
    means="Redis does not answer. What waits is sent later, unless its sender wants to know whether it was sent.",
    do="Look at the Redis server and the network to it.",
)  # fmt: skip
MESSAGE_REFUSED = LogEvent(
    __name__, "redis.message_refused", logging.ERROR, "Message refused by Redis",
    means="The user of the engine may not publish to the channel, or Redis has no memory left.",
    do="Look at the access rules (ACL) and the memory of the Redis server.",
)  # fmt: skip
RECONNECTED = LogEvent(
    __name__, "redis.reconnected", logging.WARNING, "Reconnected to Redis; messages may have been missed",
    means="Redis keeps nothing for an engine that is not connected. Clients of streams have to reconnect.",
)  # fmt: skip
CONNECTION_LOST = LogEvent(
    __name__, "redis.connection_lost", logging.ERROR, "Connection to Redis lost; reconnecting",
    means="Messages of other engines do not arrive until it is back.",
    do="Look at the Redis server and the network to it.",
)  # fmt: skip
SUBSCRIPTION_REFUSED = LogEvent(
    __name__, "redis.subscription_refused", logging.ERROR, "Subscription refused by Redis",
    means="The user of the engine may not subscribe to the channel; its messages do not arrive.",
    do="Look at the access rules (ACL) of the Redis server.",
)  # fmt: skip
MESSAGE_FAILED = LogEvent(
    __name__, "redis.message_failed", logging.ERROR, "Message of a Redis channel failed inside the engine",
    means="Something raised while a message was handled; the next ones are heard.",
    do="Report it with its stack trace.",
)  # fmt: skip

_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.1, 5.0
_SILENCE_S = 15.0  # then the connection is checked
_AT_ONCE = 100  # messages of one round trip
_OWN = "iii::alive"  # keeps the connection in its mode while nothing else is wanted; for notices, too
WAITING = 10_000  # messages to be published; beyond that they are dropped, with an error in the log


class RedisChannels:
    """Publishes in order, and hears what everybody published, itself too.

    Args:
        heard: called with the channel's name and each message.
        missed: called when messages may have been missed: the connection was lost and is there again.
        noticed: called with each notice of an engine.
    """

    def __init__(
        self,
        url: str,
        heard: Callable[[str, bytes], None],
        missed: Callable[[], None],
        noticed: Callable[[bytes], None] | None = None,
    ) -> None:
        self._url = url
        self._heard = heard
        self._missed = missed
        self._noticed = noticed
        self._wanted = {_OWN}
        self._waiting: deque[tuple[str, bytes, Reply[None, StoreError] | None]] = deque()
        self._filled = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._changes = TaskSet(CHANGE_FAILED)
        self._channel: Any = None  # while it is connected

    async def open(self) -> None:
        """Returns when messages are heard. Raises StartFailure."""
        self._publisher = await connected(self._url)
        self._subscriber = client(self._url, retries=0, socket_timeout=None)
        subscribed = asyncio.Event()
        self._tasks = [
            asyncio.create_task(self._listen_on(subscribed)),
            asyncio.create_task(self._publish_on()),
        ]
        try:
            async with asyncio.timeout(CONNECT_S):
                await subscribed.wait()
        except TimeoutError:
            await self.close()
            raise StartFailure("Redis refused the subscription to channels; see the log above") from None

    async def close(self) -> None:
        """What has not been published by now is lost."""
        tasks, self._tasks = [*self._tasks, *self._changes], []
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
            self._refuse("the engine is shutting down")
            await self._publisher.aclose()
            await self._subscriber.aclose()

    def subscribe(self, name: str) -> None:
        """Hear of a channel; what this engine publishes from now on is heard."""
        self._wanted.add(name)
        if self._channel is not None:
            self._change(self._channel.subscribe(name))

    def unsubscribe(self, name: str) -> None:
        if name == _OWN:
            return
        self._wanted.discard(name)
        if self._channel is not None:
            self._change(self._channel.unsubscribe(name))

    def publish(self, name: str, message: bytes, reply: Reply[None, StoreError] | None = None) -> None:
        """Send it when the server takes it; lost only if it does not for very long.

        Args:
            reply: when the server has it. If the server is not there that is an error, and the message is dropped.
                So it is for the channel of the engines' own notices.
        """
        if name != _OWN:
            self._put(name, message, reply)
        elif reply is not None:
            reply(None, StoreError(f"'{_OWN}' is for notices of engines; choose another name"))

    def _put(self, name: str, message: bytes, reply: Reply[None, StoreError] | None) -> None:
        if len(self._waiting) >= WAITING:
            DROPPED(channel=name, waiting=WAITING)
            if reply is not None:
                reply(None, StoreError(f"{WAITING} messages are waiting for Redis; retry later"))
            return
        self._waiting.append((name, message, reply))
        self._filled.set()

    def notice(self, text: bytes) -> None:
        """Tell all engines something that clients of Redis do not see; dropped if that is not possible now."""
        self._put(_OWN, text, _dropped)

    def _refuse(self, reason: str) -> None:
        """What somebody wants to know of is not kept for later: an error means that it will not come."""
        waiting, self._waiting = self._waiting, deque()
        for name, message, reply in waiting:
            if reply is None:
                self._waiting.append((name, message, reply))
            else:
                reply(None, StoreError(reason))

    def _change(self, change: Coroutine[Any, Any, Any]) -> None:
        async def changed() -> None:
            try:
                await change
            except (RedisError, OSError):
                pass  # whoever listens notices too, and begins anew with all that is wanted

        self._changes.spawn(changed())

    async def _publish_on(self) -> None:
        wait_s = _FIRST_WAIT_S
        while True:
            while self._waiting:
                await self._changes.wait()
                batch = [self._waiting[index] for index in range(min(len(self._waiting), _AT_ONCE))]
                try:
                    async with self._publisher.pipeline(transaction=False) as pipeline:
                        for name, message, _ in batch:
                            pipeline.publish(name, message)
                        answers = await pipeline.execute(raise_on_error=False)
                except (RedisError, OSError) as error:
                    PUBLISH_FAILED(reason=str(error), retry_s=wait_s)
                    self._refuse(f"Cannot publish to Redis: {error}")
                    await asyncio.sleep(wait_s)
                    wait_s = min(2 * wait_s, _LONGEST_WAIT_S)
                else:
                    wait_s = _FIRST_WAIT_S
                    for answer in answers:
                        name, _, reply = self._waiting.popleft()
                        refused = StoreError(str(answer)) if isinstance(answer, Exception) else None
                        if refused is not None:
                            MESSAGE_REFUSED(channel=name, reason=str(refused))
                        if reply is not None:
                            reply(None, refused)
            self._filled.clear()
            await self._filled.wait()

    async def _listen_on(self, subscribed: asyncio.Event) -> None:
        wait_s = _FIRST_WAIT_S
        while True:
            try:
                async with self._subscriber.pubsub() as channel:
                    await self._subscribe_all(channel)
                    self._channel = channel
                    if subscribed.is_set():
                        RECONNECTED()
                        self._missed()
                    subscribed.set()
                    wait_s = _FIRST_WAIT_S
                    asked = False  # whether it still lives
                    while True:
                        message = await channel.get_message(timeout=_SILENCE_S)
                        if message is None and asked:
                            raise TimeoutError(f"no answer within {_SILENCE_S:g} s")
                        if message is None:
                            await channel.ping()
                        elif message["type"] == "message":
                            self._tell(message["channel"].decode("utf-8", "replace"), message["data"])
                        asked = message is None
            except (RedisError, OSError, TimeoutError) as error:
                CONNECTION_LOST(reason=str(error), retry_s=wait_s)
            finally:
                self._channel = None
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, _LONGEST_WAIT_S)

    async def _subscribe_all(self, channel: Any) -> None:
        """One that Redis does not allow is nobody else's loss. Raises RedisError: the connection is lost."""
        await channel.subscribe(_OWN)
        for name in sorted(self._wanted - {_OWN}):
            await channel.subscribe(name)
            try:
                while (message := await channel.get_message(timeout=CONNECT_S)) is not None:
                    if message["type"] == "message":
                        self._tell(message["channel"].decode("utf-8", "replace"), message["data"])
                    elif message["channel"].decode("utf-8", "replace") == name:
                        break
            except ResponseError as error:
                SUBSCRIPTION_REFUSED(channel=name, reason=str(error))
                self._wanted.discard(name)
                channel.channels.pop(name.encode(), None)
                channel.pending_unsubscribe_channels.discard(name.encode())

    def _tell(self, name: str, message: bytes) -> None:
        try:
            if name != _OWN:
                self._heard(name, message)
            elif self._noticed is not None:
                self._noticed(message)
        except Exception as error:
            MESSAGE_FAILED(error, channel=name)


def _dropped(_: None, error: object) -> None:
    """Nobody wants to know."""
