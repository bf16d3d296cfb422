"""Items in Redis, shared by all engines that use it (05 §7.2). The names of keys and fields are everybody's."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, TypeAlias, TypeVar

from iii.protocol.log_event import LogEvent
from iii.protocol.measurement import Measurement
from iii.protocol.reply import Reply
from iii.protocol.task_set import TaskSet
from iii.storage.items import KEEP, Changed, Entry, Group, How, StoreError
from iii.storage.redis_connection import RedisError, connected
from iii.storage.update_ops import plain

T = TypeVar("T")

WORK_FAILED = LogEvent(
    __name__, "redis.work_failed", logging.ERROR, "Deferred work on Redis failed",
    means="Something raised behind an answer of Redis.",
    do="Report it with its stack trace.",
)  # fmt: skip

_SCANNED_AT_ONCE = 1000
_GLOB = "\\*?[]^-"

# Writes only if nobody else has written since; absent values are empty texts, which JSON never is
_SWAP = """
local found = redis.call('HGET', KEYS[1], ARGV[1])
if (found or '') ~= ARGV[2] then return 0 end
if ARGV[3] == '' then redis.call('HDEL', KEYS[1], ARGV[1]) else redis.call('HSET', KEYS[1], ARGV[1], ARGV[3]) end
return 1
"""

_Turn: TypeAlias = tuple[Callable[[], Awaitable[Changed]], Reply[Changed, StoreError]]


class RedisItems:
    """A hash for each group, its items as fields.

    Args:
        prefix: of the keys, `state:` or `stream:`.
        parts: how many names a group has: 1 for scopes, 2 for stream and group, joined by a colon.
    """

    lost = False

    def __init__(self, url: str, prefix: str, parts: int) -> None:
        self._url = url
        self._prefix = prefix
        self._parts = parts
        self._tasks = TaskSet(WORK_FAILED)
        self._turns: dict[tuple[Group, str], deque[_Turn]] = {}

    async def open(self) -> None:
        """Raises StartFailure."""
        self._redis = await connected(self._url)
        self._swap = self._redis.register_script(_SWAP)

    def measure(self, store: str) -> Sequence[Measurement]:
        return ()

    async def close(self) -> None:
        await self._tasks.wait()
        if hasattr(self, "_redis"):
            await self._redis.aclose()

    def get(self, group: Group, key: str, reply: Reply[bytes, StoreError]) -> None:
        async def read() -> Any:
            value: Any = await self._redis.hget(self._key(group), key)
            _check(value)
            return value

        self._tasks.spawn(_answer(read(), reply))

    def put(self, group: Group, key: str, value: bytes, reply: Reply[Changed, StoreError]) -> None:
        self.change(group, key, lambda old: value, reply)

    def change(self, group: Group, key: str, how: How, reply: Reply[Changed, StoreError], size: int = 0) -> None:
        """Changes of one item by this engine follow one another; only other engines can get in between."""

        turn = (group, key)
        waiting = self._turns.get(turn)
        change = partial(self._change, group, key, how)
        if waiting is not None:
            waiting.append((change, reply))
        else:
            self._turns[turn] = deque([(change, reply)])
            self._tasks.spawn(self._take_turns(turn))

    async def _take_turns(self, turn: tuple[Group, str]) -> None:
        waiting = self._turns[turn]
        while waiting:
            change, reply = waiting.popleft()
            try:
                await _answer(change(), reply)
            except Exception as error:
                WORK_FAILED(error)
        del self._turns[turn]

    async def _change(self, group: Group, key: str, how: How) -> Changed:
        name = self._key(group)
        while True:
            old: Any = await self._redis.hget(name, key)
            new = how(old)
            if new is KEEP:
                return Changed(old, old)
            assert new is None or isinstance(new, bytes)
            if await self._swap(keys=[name], args=[key, old or b"", new or b""]):
                return Changed(b"null" if old is not None and not _is_json(old) else old, new)

    def entries(self, group: Group, reply: Reply[list[Entry], StoreError]) -> None:
        async def listed() -> list[Entry]:
            found: Any = await self._redis.hgetall(self._key(group))
            for value in found.values():
                _check(value)
            return [Entry(key.decode("utf-8", "surrogateescape"), value) for key, value in found.items()]

        self._tasks.spawn(_answer(listed(), reply))

    def snapshot(self, group: Group, reply: Reply[list[Entry], StoreError]) -> None:
        self.entries(group, reply)

    def groups(self, first: str | None, reply: Reply[list[Group], StoreError]) -> None:
        pattern = _escaped(self._prefix if first is None else f"{self._prefix}{first}:") + "*"

        async def listed() -> list[Group]:
            keys = self._redis.scan_iter(match=pattern, count=_SCANNED_AT_ONCE, _type="HASH")
            found = {self._group(key.decode("utf-8", "surrogateescape"), first) async for key in keys}
            return [group for group in found if group is not None]

        self._tasks.spawn(_answer(listed(), reply))

    def _key(self, group: Group) -> str:
        return self._prefix + (group[0] if self._parts == 1 else f"{group[0]}:{group[1]}")

    def _group(self, key: str, first: str | None) -> Group | None:
        """The group of a key; a stream's name ends at the first colon unless it is known."""
        names = key.removeprefix(self._prefix)
        if self._parts == 1:
            return (names, "")
        if first is not None:
            return (first, names.removeprefix(f"{first}:"))
        stream, colon, group = names.partition(":")
        return (stream, group) if colon else None


def _is_json(value: bytes) -> bool:
    try:
        _check(value)
    except ValueError:
        return False
    return True


def _check(value: bytes | None) -> None:
    """Raises ValueError: somebody has written what is no JSON."""
    if value is not None:
        try:
            plain(value)
        except ValueError as error:
            raise ValueError(f"Failed to deserialize value from Redis: {error}") from None


async def _answer(asked: Awaitable[T], reply: Reply[T, StoreError]) -> None:
    try:
        value = await asked
    except (RedisError, ValueError) as error:
        reply(None, StoreError.of(error))
    else:
        reply(value, None)


def _escaped(text: str) -> str:
    return "".join(f"\\{character}" if character in _GLOB else character for character in text)
