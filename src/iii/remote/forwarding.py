"""Calls that another engine answers in the place of this one: modules whose adapter is `bridge` (27 §1)."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from iii.engine.invocation import Trace
from iii.protocol.errors import FunctionNotFound, InvocationError, InvocationForbidden
from iii.protocol.limits import MIB, OFFLINE_QUEUE_BYTES, OFFLINE_QUEUE_MESSAGES
from iii.protocol.log_event import LogEvent
from iii.protocol.measurement import Measurement
from iii.protocol.reply import Reply
from iii.protocol.start_failure import StartFailure
from iii.protocol.task_set import TaskSet
from iii.remote.config import BridgeAdapterConfig
from iii.remote.engine import LinkFailed, RemoteEngine, name_on_remote
from iii.remote.hops import across
from iii.storage.items import StoreError

FORWARDING_FAILED = LogEvent(
    __name__, "bridge.forwarding_failed", logging.ERROR, "Deferred work of an adapter bridge failed",
    means="Something raised behind an answer of the other engine.",
    do="Report it with its stack trace.",
)  # fmt: skip

WAITING_CALLS = 10_000  # Most calls of a module that wait for another engine at a time.
WAITING_BYTES = 64 * MIB  # Most bytes of these calls.
_OF_THE_ENGINE = frozenset({FunctionNotFound.code, InvocationForbidden.code})  # said in the place of the function


class Unreachable(StoreError):
    """The other engine did not answer, or does not serve this one; the text says why, and its address."""


class Forwarding:
    """One connection of one module; in the place of a store of its own."""

    lost = False

    def __init__(self, config: BridgeAdapterConfig, part: str) -> None:
        """`part`: how the other engine lists it. Raises StartFailure."""
        self._timeout_ms = config.timeout_ms
        self._tasks = TaskSet(FORWARDING_FAILED)
        self._bytes = 0  # of the calls that wait
        try:
            self.remote = RemoteEngine(
                config.bridge_url, config.worker_name or name_on_remote(part), "Adapter bridge of another engine.",
                config.token, None if config.tls is None else config.tls.options(),
            )  # fmt: skip
        except ValueError as error:
            raise StartFailure(f"adapter.config: {error}") from None

    @property
    def disconnected(self) -> str | None:
        """The other engine, while there is no connection to it, and why."""
        return self.remote.disconnected

    def measure(self, store: str) -> Sequence[Measurement]:
        return ()  # nothing is kept here

    async def open(self) -> None:
        """Connect in the background: the other engine may be down."""
        self.remote.open()

    def ask(
        self,
        function_id: str,
        data: bytes,
        trace: Trace,
        reply: Reply[bytes, Unreachable | InvocationError],
        waits_ms: int = 0,
    ) -> None:
        """Call a function there. What it answers is the reply, its error too.

        Args:
            waits_ms: how long the function itself may wait before it answers.
        """
        if (crowd := self._crowd(len(data))) is not None:
            reply(None, Unreachable(crowd))
            return
        self._bytes += len(data)
        self._tasks.spawn(self._ask(function_id, data, trace, reply, self._timeout_ms + waits_ms))

    def _crowd(self, size: int) -> str | None:
        """Why one more call cannot wait. What the connection keeps while it is lost is bounded more closely."""
        connected = self.remote.connected
        calls, limit = len(self._tasks), WAITING_CALLS if connected else OFFLINE_QUEUE_MESSAGES
        limit_bytes = WAITING_BYTES if connected else OFFLINE_QUEUE_BYTES
        if calls < limit and (not calls or self._bytes + size <= limit_bytes):
            return None
        state = "is slow" if connected else "is not connected"
        return f"the other engine {state}, and {calls} calls wait for it; retry later ({self.remote.whereabouts})"

    async def _ask(
        self,
        function_id: str,
        data: bytes,
        trace: Trace,
        reply: Reply[bytes, Unreachable | InvocationError],
        timeout_ms: int,
    ) -> None:
        result: bytes | None = None
        error: Unreachable | InvocationError | None = None
        try:
            result = await self.remote.call(function_id, data, timeout_ms=timeout_ms, trace=across(trace, function_id))
        except LinkFailed as failed:
            error = Unreachable(f"{failed} ({self.remote.whereabouts})")
        except InvocationError as refused:
            error = refused
            if refused.code in _OF_THE_ENGINE:
                error = Unreachable(f"{refused.message} ({self.remote.address})")
        finally:
            self._bytes -= len(data)
        reply(result, error)

    async def quiet(self) -> None:
        """The other engine calls no more; calls to it are still made."""
        await self.remote.finish()

    async def close(self) -> None:
        """Leave; calls that wait are refused."""
        await self.remote.close()
        await self._tasks.wait()
