"""One process of raw load: a worker that answers, or a caller that keeps a window of calls in flight.

It talks with the benchmark in JSON lines: both say `{"ready": true}`; then a worker answers until it is ended, and a
caller runs one round for each `{"seconds": s}` and says its Round.
"""

import asyncio
import gc
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypedDict, cast

import uvloop

sys.path.insert(0, str(Path(__file__).parents[1]))  # started as a script
from benchmarks.wire import (
    CALLS_PREPARED,
    ContextWire,
    EnqueueWire,
    NatsWire,
    StateWire,
    UnrecordedWire,
    WebSocketWire,
    Wire,
)

KINDS: dict[str, type[WebSocketWire]] = {
    "state": StateWire, "queue": EnqueueWire, "context": ContextWire, "unrecorded": UnrecordedWire,
}  # fmt: skip

System = Literal["iii", "nats"]
Writes = Literal["each", "joined"]


class Task(TypedDict):
    """What the process does: JSON, its only argument."""

    role: Literal["caller", "worker"]
    system: System
    port: int
    name: str
    functions: list[str]  # to call, in turn; or the one to serve. The first segment may mean one of `KINDS`
    payload_bytes: int
    window: int  # calls in flight
    writes: Writes  # a write for each message, or one for all that are due together


class Round(TypedDict):
    """What a caller saw."""

    calls: int
    seconds: float
    latencies_us: list[int]


class Peer(asyncio.Protocol):
    """A connection that introduces itself and then exchanges messages."""

    def __init__(self, wire: Wire, function: str | None, writes: Writes) -> None:
        self.wire = wire
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._function = function
        self._introduced = False
        self._join = writes == "joined"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's is one, but doesn't inherit
        self._descriptor = transport.get_extra_info("socket").fileno()
        self._transport.write(self.wire.opening())

    def data_received(self, data: bytes) -> None:
        messages = self.wire.split(data, self._transport)
        if not messages:
            return
        if self.ready.done():
            self.received(messages)
        elif not self._introduced:
            self._introduced = True
            self._transport.write(self.wire.introduction(self._function))
        elif any(self.wire.is_ready(message) for message in messages):
            self.ready.set_result(None)

    def received(self, messages: list[bytes]) -> None:
        raise NotImplementedError

    def send(self, frames: Sequence[bytes]) -> None:
        if self._join:
            self._transport.write(b"".join(frames))
            return
        # uvloop would join what is written during one turn of its loop
        for position, frame in enumerate(frames):
            try:
                written = 0 if self._transport.get_write_buffer_size() else os.write(self._descriptor, frame)
            except BlockingIOError:
                written = 0
            if written < len(frame):
                self._transport.write(b"".join((frame[written:], *frames[position + 1 :])))
                return

    def connection_lost(self, error: Exception | None) -> None:
        sys.exit(f"connection lost: {error}")


class Worker(Peer):
    """Answers every call."""

    def received(self, messages: list[bytes]) -> None:
        answer = self.wire.answer
        self.send([answer(message) for message in messages])


class Caller(Peer):
    """Keeps its window full for as long as a round lasts."""

    def __init__(self, wire: Wire, task: Task) -> None:
        super().__init__(wire, None, task["writes"])
        self._window = task["window"]
        self._frames = wire.calls(task["functions"])
        self._started_ns = [0] * CALLS_PREPARED
        self._next = 0
        self._in_flight = 0
        self._stop_ns = 0
        self._latencies_ns: list[int] = []
        self._finished: asyncio.Future[None] | None = None

    async def round(self, seconds: float) -> Round:
        self._latencies_ns = []
        self._finished = asyncio.get_running_loop().create_future()
        begin_ns = time.perf_counter_ns()
        self._stop_ns = begin_ns + int(seconds * 1e9)
        self._call(self._window)
        await self._finished
        elapsed_ns = time.perf_counter_ns() - begin_ns
        latencies_us = [latency // 1000 for latency in self._latencies_ns]
        return {"calls": len(latencies_us), "seconds": elapsed_ns / 1e9, "latencies_us": latencies_us}

    def received(self, messages: list[bytes]) -> None:
        now_ns = time.perf_counter_ns()
        number = self.wire.number
        started_ns = self._started_ns
        self._latencies_ns += [now_ns - started_ns[number(message)] for message in messages]
        self._in_flight -= len(messages)
        if now_ns < self._stop_ns:
            self._call(len(messages))
        elif not self._in_flight and self._finished is not None:
            self._finished.set_result(None)

    def _call(self, count: int) -> None:
        first, self._next = self._next, self._next + count
        if self._next > CALLS_PREPARED:
            first, self._next = 0, count
        self._in_flight += count
        self._started_ns[first : self._next] = [time.perf_counter_ns()] * count
        self.send(self._frames[first : self._next])


def fail(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """A benchmark whose load is broken has no result: end instead of going on."""
    loop.default_exception_handler(context)
    os._exit(1)


async def run(task: Task) -> None:
    wire: Wire
    if task["system"] == "iii":
        kind = KINDS.get(task["functions"][0].partition("::")[0], WebSocketWire)
        wire = kind(task["name"], task["payload_bytes"])
    else:
        wire = NatsWire(task["name"], task["payload_bytes"])
    peer: Peer
    if task["role"] == "worker":
        peer = Worker(wire, task["functions"][0], task["writes"])
    else:
        peer = Caller(wire, task)
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(fail)
    await loop.create_connection(lambda: peer, "127.0.0.1", task["port"])
    await peer.ready
    gc.disable()
    print('{"ready": true}', flush=True)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        assert isinstance(peer, Caller)
        print(json.dumps(await peer.round(json.loads(line)["seconds"])), flush=True)


if __name__ == "__main__":
    uvloop.run(run(json.loads(sys.argv[1])))
