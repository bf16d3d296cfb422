"""Messages from engine to engine over one Redis channel (05 §7.2, §7.4)."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable

from iii.storage.redis_connection import RedisError, client, connected

logger = logging.getLogger(__name__)

_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.1, 5.0
_SILENCE_S = 15.0  # then the connection is checked
WAITING = 10_000  # messages to be published; beyond that they are dropped, with a warning


class RedisChannel:
    """Publishes in order, and hears what everybody published, itself too.

    Args:
        heard: called with each message.
        missed: called when messages may have been missed: the connection was lost and is there again.
    """

    def __init__(self, url: str, name: str, heard: Callable[[bytes], None], missed: Callable[[], None]) -> None:
        self._url = url
        self._name = name
        self._heard = heard
        self._missed = missed
        self._waiting: deque[bytes] = deque()
        self._filled = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        """Returns when messages are heard. Raises StartFailure."""
        self._publisher = await connected(self._url)
        self._subscriber = client(self._url, retries=0, socket_timeout=None)
        subscribed = asyncio.Event()
        self._tasks = [
            asyncio.create_task(self._listen_on(subscribed)),
            asyncio.create_task(self._publish_on()),
        ]
        await subscribed.wait()

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
            await self._publisher.aclose()
            await self._subscriber.aclose()
        self._tasks.clear()

    def publish(self, message: bytes) -> None:
        """Send it when the server takes it; lost only if it does not for very long."""
        if len(self._waiting) >= WAITING:
            logger.error("A message for %s was dropped: %s wait for Redis", self._name, WAITING)
            return
        self._waiting.append(message)
        self._filled.set()

    async def _publish_on(self) -> None:
        wait_s = _FIRST_WAIT_S
        while True:
            while self._waiting:
                batch = [self._waiting[index] for index in range(min(len(self._waiting), 100))]
                try:
                    async with self._publisher.pipeline(transaction=False) as pipeline:
                        for message in batch:
                            pipeline.publish(self._name, message)
                        await pipeline.execute()
                except (RedisError, OSError) as error:
                    logger.error("Cannot publish to %s: %s; trying again", self._name, error)
                    await asyncio.sleep(wait_s)
                    wait_s = min(2 * wait_s, _LONGEST_WAIT_S)
                else:
                    wait_s = _FIRST_WAIT_S
                    for _ in batch:
                        self._waiting.popleft()
            self._filled.clear()
            await self._filled.wait()

    async def _listen_on(self, subscribed: asyncio.Event) -> None:
        wait_s = _FIRST_WAIT_S
        while True:
            try:
                async with self._subscriber.pubsub() as channel:
                    await channel.subscribe(self._name)
                    if subscribed.is_set():
                        logger.warning("Redis is there again: messages of %s may have been missed", self._name)
                        self._missed()
                    subscribed.set()
                    wait_s = _FIRST_WAIT_S
                    while True:
                        message = await channel.get_message(ignore_subscribe_messages=True, timeout=_SILENCE_S)
                        if message is None:
                            await channel.ping()
                        elif message["type"] == "message":
                            self._tell(message["data"])
            except (RedisError, OSError) as error:
                logger.error("Redis channel %s lost: %s; connecting again", self._name, error)
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, _LONGEST_WAIT_S)

    def _tell(self, message: bytes) -> None:
        try:
            self._heard(message)
        except Exception:
            logger.exception("A message of %s could not be handled", self._name)
