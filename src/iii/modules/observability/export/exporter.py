"""One signal on its way to a collector: in batches, from a bounded queue, on a thread; it never holds anybody up (14 §3)."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Generic, TypeVar, cast

from msgspec import Struct

from iii.modules.observability.export.collector_address import CollectorAddress
from iii.modules.observability.export.transport import SendFailed, Transport
from iii.protocol.limits import MIB
from iii.protocol.log_event import LogEvent

EXPORT_FAILED = LogEvent(
    __name__, "export.failed", logging.WARNING, "Collector takes no telemetry; it is tried again, and the oldest is dropped meanwhile",
    means="The collector is away, slow or refuses what it gets. Calls and the stores of the engine are not affected.",
    do="Look at the address and the headers of the collector, and at its own log. `engine::health::check` counts what was dropped.",
)  # fmt: skip
EXPORT_RESUMED = LogEvent(
    __name__, "export.resumed", logging.INFO, "Collector takes telemetry again",
    means="The first batch after a failure has arrived. `dropped`: records that were lost meanwhile.",
)  # fmt: skip

EXPORT_OFF = LogEvent(
    __name__, "export.off", logging.ERROR, "Telemetry is not exported",
    means="The way to the collector cannot be set up, for instance because gRPC is not installed; the engine runs without.",
    do="Install the extra `otlp` (`pip install '.[otlp]'` in a checkout), or set `OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf`.",
)  # fmt: skip

QUEUED = 8_192  # records that wait; above it the oldest are dropped
QUEUED_BYTES = 64 * MIB  # of them
BATCH_BYTES = 2 * MIB  # a collector takes 4 MiB of gRPC, unless it is told otherwise
FIRST_PAUSE_S = 1.0  # between two attempts at one batch, doubled each time
LONGEST_PAUSE_S = 5.0  # so that a collector that is back is noticed soon
LAST_FLUSH_S = 1.5  # for what still waits when the engine stops: of the 2 s that L4 leaves for it

R = TypeVar("R")
T = TypeVar("T")


class Signalled(Struct, Generic[R], frozen=True):
    """What is particular to one kind of records.

    Attributes:
        encode: a batch, as the body of a request; on a thread.
        size: bytes that a record will have, roughly.
        batch: records that leave without waiting for the interval.
    """

    encode: Callable[[Sequence[R]], bytes]
    size: Callable[[R], int]
    batch: int
    interval_s: float


class Exporter(Generic[R]):
    """Takes records on the loop and returns at once.

    Attributes:
        dropped: records that never reached the collector.
    """

    def __init__(
        self, to: CollectorAddress, connect: Callable[[CollectorAddress], Transport], kind: Signalled[R]
    ) -> None:
        self.dropped = 0
        self._to = to
        self._connect = connect
        self._kind = kind
        self._queue: deque[tuple[R, int]] = deque()
        self._queued_bytes = 0
        self._wake = asyncio.Event()  # a batch is full, or the end has come
        self._stopping = False
        self._failing = self._off = False
        self._dropped_before = 0  # when it began to fail
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """On the loop."""
        self._task = asyncio.create_task(self._run(), name=f"iii export {self._to.signal}")

    def add(self, records: Sequence[R]) -> None:
        """Queue them; the oldest give way."""
        if self._off:
            self.dropped += len(records)
            return
        queue, size = self._queue, self._kind.size
        for record in records:
            bytes_of_it = size(record)
            queue.append((record, bytes_of_it))
            self._queued_bytes += bytes_of_it
        while len(queue) > QUEUED or (self._queued_bytes > QUEUED_BYTES and queue):
            self._queued_bytes -= queue.popleft()[1]
            self.dropped += 1
        if len(queue) >= self._kind.batch:
            self._wake.set()

    async def stop(self) -> None:
        """Send what waits, for `LAST_FLUSH_S` at most."""
        self._stopping = True
        self._wake.set()
        if self._task is not None:
            _, late = await asyncio.wait([self._task], timeout=LAST_FLUSH_S)
            for task in late:
                task.cancel()
        self.dropped += len(self._queue)
        self._queue.clear()

    async def _run(self) -> None:
        try:
            transport = await on_a_thread(lambda: self._connect(self._to))
        except Exception as error:
            EXPORT_OFF(signal=self._to.signal, address=self._to.address, reason=str(error))
            self._off = True
            return
        try:
            while not self._stopping:
                if len(self._queue) < self._kind.batch:
                    await self._woken(self._kind.interval_s)
                if self._queue:
                    await self._send(transport, self._next_batch())
            while self._queue:
                await self._send(transport, self._next_batch())
        finally:
            transport.close()

    def _next_batch(self) -> list[R]:
        records: list[R] = []
        size = 0
        while self._queue and len(records) < self._kind.batch:
            record, bytes_of_it = self._queue[0]
            if records and size + bytes_of_it > BATCH_BYTES:
                break
            records.append(record)
            size += bytes_of_it
            self._queue.popleft()
        self._queued_bytes -= size
        return records

    async def _send(self, transport: Transport, records: Sequence[R]) -> None:
        pause_s = FIRST_PAUSE_S
        dropped = self.dropped
        if not self._failing:
            self._dropped_before = dropped
        while True:
            try:
                await on_a_thread(lambda: self._hand_over(transport, records))
            except SendFailed as error:
                self._say_failed(error)
                if not error.again or self._stopping:
                    break
                await self._woken(pause_s, for_the_end=True)
                if self.dropped > dropped:
                    break  # newer ones have given way already
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            else:
                if self._failing:
                    self._failing = False
                    lost = self.dropped - self._dropped_before
                    EXPORT_RESUMED(signal=self._to.signal, address=self._to.address, dropped=lost)
                return
        self.dropped += len(records)

    def _say_failed(self, error: SendFailed) -> None:
        if not self._failing:
            self._failing = True
            EXPORT_FAILED(signal=self._to.signal, address=self._to.address, reason=str(error))

    def _hand_over(self, transport: Transport, records: Sequence[R]) -> None:
        """On a thread: even to write a batch would hold the loop."""
        try:
            body = self._kind.encode(records)
        except Exception as error:  # one record that cannot be written must not end the export of all others
            raise SendFailed(f"{type(error).__name__}: {error}", again=False) from error
        transport.send(body)

    async def _woken(self, seconds: float, *, for_the_end: bool = False) -> None:
        """Wait so long, or until a batch is full or the engine stops (or only that)."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while not self._stopping:
            self._wake.clear()
            try:
                async with asyncio.timeout_at(end):
                    await self._wake.wait()
            except TimeoutError:
                return
            if not for_the_end:
                return


async def on_a_thread(action: Callable[[], T]) -> T:
    """On one that does not hold up the end of the process, as those of executors do: a silent collector keeps it for seconds."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def tell(result: T | None, error: BaseException | None) -> None:
        if done.done():
            return  # cancelled
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(cast(T, result))

    def run() -> None:
        result: T | None = None
        failure: BaseException | None = None
        try:
            result = action()
        except BaseException as error:
            failure = error
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(tell, result, failure)

    threading.Thread(target=run, name="iii export", daemon=True).start()
    return await done
