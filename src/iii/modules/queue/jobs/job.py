"""One job: what somebody wants done, and how often that was tried (04 §3.5)."""

from __future__ import annotations

import json
import os
import random
import re
from typing import Any, NamedTuple, TypeAlias

import msgspec
from msgspec import Struct

from iii.protocol.errors import InvocationError
from iii.protocol.json_text import BAD_JSON
from iii.protocol.names import DEFAULT_NAMESPACE
from iii.protocol.quoted import shortened

TargetKey: TypeAlias = tuple[str, str] | None
"""Namespace and function of a job's target; None where the queue has one target."""

MAX_DELAY_MS = 24 * 3600 * 1000  # Longest delay before a retry.
LONGEST_DELAY_MS = 366 * MAX_DELAY_MS  # Longest delay that a job may be given.
_CODE_CHARACTERS = 100  # of failures
_MESSAGE_CHARACTERS = 4000
_STACKTRACE_CHARACTERS = 16_000
_GROUP_CHARACTERS = 200  # longer values are shortened to their hash
_NUMBERED = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[0-9a-f]{4}-([0-9a-f]{12})").fullmatch


class NewJob(Struct, kw_only=True, gc=False):
    """A job before it is accepted.

    Attributes:
        id: the receipt of a named queue's job (04 §3.4).
        numbered: the embedded store gives it an id of its own (13 §1), instead of the engine's; not of a caller's.
        function_id, namespace: of the target; a topic's destination knows them.
        data, metadata: JSON; what the function gets.
        group: within which a fifo queue keeps order.
        priority: higher goes first.
        delay_ms: before its first delivery.
        max_attempts, backoff_ms: as its queue had them when it came; a topic's job takes them from its subscriber.
        deduplication_id: a second job with the same one is not accepted within the window.
    """

    id: str
    data: bytes
    created_at: int  # Unix milliseconds
    function_id: str | None = None
    namespace: str | None = None
    metadata: bytes | None = None
    group: str | None = None
    priority: int = 0
    delay_ms: int = 0
    max_attempts: int | None = None
    backoff_ms: int | None = None
    traceparent: str | None = None
    baggage: str | None = None
    deduplication_id: str | None = None
    deduplication_ms: int = 0
    numbered: bool = False


class Job(Struct, gc=False):
    """A job of the store. Its place in the order is `key`: first the priority, then the order of acceptance."""

    rank: int  # minus its priority
    seq: int
    id: str
    group: str | None
    function_id: str | None
    namespace: str | None
    attempts: int  # that failed
    max_attempts: int | None
    backoff_ms: int | None
    created_at: int
    traceparent: str | None
    baggage: str | None
    metadata: bytes | None
    data: bytes | None  # None: large, and read when it is delivered

    @property
    def key(self) -> tuple[int, int]:
        return self.rank, self.seq

    @property
    def target(self) -> TargetKey:
        return None if self.function_id is None else (self.namespace or DEFAULT_NAMESPACE, self.function_id)


def numbered_ids() -> str:
    """How the ids of a store's jobs begin until it is opened again; each ends in its `seq`, as 12 hexadecimal digits.

    They are UUIDs (version 8, RFC 9562 §5.8) that say where their job is: no index of all ids is needed.
    """
    random_part = os.urandom(9).hex()
    return f"{random_part[:8]}-{random_part[8:12]}-8{random_part[12:15]}-a{random_part[15:18]}-"


def number_of(job_id: str) -> int | None:
    """The `seq` that an id says, if it is of that form; whether it is true is to be seen there."""
    found = _NUMBERED(job_id)
    return None if found is None else int(found[1], 16)


class Failure(NamedTuple):
    """Why an attempt failed."""

    code: str
    message: str
    stacktrace: str | None = None
    error_id: str | None = None  # under which the log of its worker tells of it
    traceparent: str | None = None  # of the attempt

    @property
    def text(self) -> str:
        """As dead letters show it (04 §8.1)."""
        return f"{self.code}: {self.message}"

    def encode(self) -> bytes:
        """The error object as JSON."""
        return InvocationError(self.code, self.message, stacktrace=self.stacktrace).encode()

    def shortened(self) -> Failure:
        """Workers may fail with megabytes."""
        stacktrace = None if self.stacktrace is None else shortened(self.stacktrace, _STACKTRACE_CHARACTERS)
        return self._replace(
            code=shortened(self.code, _CODE_CHARACTERS),
            message=shortened(self.message, _MESSAGE_CHARACTERS),
            stacktrace=stacktrace,
        )


def retry_delay_ms(backoff_ms: int, attempts: int, jitter: float = 0.0) -> int:
    """Before the next try, after so many failures: doubled each time, at most a day (04 §5.1).

    Args:
        jitter: share of it by which chance makes it longer, at most; 0 is exact.
    """
    doublings: int = 2 ** min(attempts - 1, 64)
    exact_ms = min(backoff_ms * doublings, MAX_DELAY_MS)
    return min(exact_ms + round(exact_ms * jitter * random.random()), MAX_DELAY_MS) if jitter else exact_ms


def group_of(value: object) -> str:
    """The group that a payload's value names: `1` and `"1"` are two (04 §3.3)."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    if len(text) <= _GROUP_CHARACTERS:
        return text
    import hashlib

    return f"sha256:{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"


def member(data: bytes, name: str) -> tuple[bool, Any]:
    """Whether a payload is an object with that member, and its value."""
    try:
        found = msgspec.json.decode(data)
    except BAD_JSON:
        return False, None
    if not isinstance(found, dict) or name not in found:
        return False, None
    return True, found[name]
