"""One process with a publisher and its subscribers, of iii or of nats-server.

It talks with the benchmark in JSON lines: it says `{"ready": true}`; then for each `{"seconds": s}` it publishes, so many
messages on their way at a time, and says `{"messages": n, "seconds": s}` when every subscriber has all of them.
"""

import asyncio
import gc
import json
import os
import sys
import time
from pathlib import Path
from typing import Literal, TypedDict, cast

import uvloop

sys.path.insert(0, str(Path(__file__).parents[1]))  # started as a script
from benchmarks.load import fail
from benchmarks.wire import WebSocketWire, masked_frame

_JOIN = b'{"type":"join","data":{"subscriptionId":"s","streamName":"bench","groupId":"g"}}'
_SYNCED = b'"event":{"type":"sync","data":[]}}'


class Task(TypedDict):
    """What the process does: JSON, its only argument."""

    system: Literal["iii", "nats"]
    port: int  # of the engine, or of nats-server
    stream_port: int
    subscribers: int
    payload_bytes: int
    in_flight: int


class Subscriber(asyncio.Protocol):
    """Counts bytes: all messages of a run are of the same size."""

    def __init__(self, opening: bytes, ready_when: bytes, counted: "Fanout") -> None:
        self._opening = opening
        self._ready_when = ready_when
        self._head = b""
        self._fanout = counted
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.WriteTransport, transport).write(self._opening)

    def data_received(self, data: bytes) -> None:
        if self.ready.done():
            self._fanout.received(len(data))
            return
        self._head += data
        if self._ready_when in self._head:
            self.ready.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        sys.exit(f"a subscriber lost its connection: {error}")


class Publisher(asyncio.Protocol):
    """Writes; what comes back is thrown away, once it is ready."""

    def __init__(self, opening: bytes, then: bytes, ready_when: bytes) -> None:
        self._opening = opening
        self._then = then  # what follows the first answer
        self._ready_when = ready_when
        self._head = b""
        self._introduced = False
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.WriteTransport, transport)
        self.transport.write(self._opening)

    def data_received(self, data: bytes) -> None:
        if self.ready.done():
            return
        self._head += data
        if not self._introduced:
            self._introduced = True
            self.transport.write(self._then)
        if self._ready_when in self._head:
            self.ready.set_result(None)


class Fanout:
    """Publishes while a round lasts."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._bytes = 0
        self._message_bytes = 0  # at all subscribers together
        self._published = 0
        self._delivered = 0
        self._in_flight = 0
        self._stop_s = 0.0
        self._finished: asyncio.Future[None] | None = None

    async def connect(self) -> None:
        loop = asyncio.get_running_loop()
        task = self._task
        wire = WebSocketWire("publisher", 0)
        text = b"x" * task["payload_bytes"]
        if task["system"] == "iii":
            opening, ready = wire.opening() + masked_frame(_JOIN), _SYNCED
            port = task["stream_port"]
            self._frame = masked_frame(
                b'{"type":"invokefunction","function_id":"stream::send","action":{"type":"void"},"data":'
                b'{"stream_name":"bench","group_id":"g","type":"t","data":"%s"}}' % text
            )
            self._publisher = Publisher(wire.opening(), wire.introduction(None), b'"success":true')
        else:
            hello = b'CONNECT {"verbose":false,"pedantic":false}\r\n'
            opening, ready, port = hello + b"SUB bench 1\r\nPING\r\n", b"PONG", task["port"]
            self._frame = b"PUB bench %d\r\n%s\r\n" % (len(text), text)
            self._publisher = Publisher(hello + b"PING\r\n", b"", b"PONG")
        await loop.create_connection(lambda: self._publisher, "127.0.0.1", task["port"])
        await self._publisher.ready
        for _ in range(task["subscribers"]):
            subscriber = Subscriber(opening, ready, self)
            await loop.create_connection(lambda new=subscriber: new, "127.0.0.1", port)  # type: ignore[misc]
            await subscriber.ready
        self._publisher.transport.write(self._frame)
        settled = 0
        while not self._bytes or settled < 20:  # the first one tells how large they are
            before = self._bytes
            await asyncio.sleep(0.02)
            settled = settled + 1 if self._bytes == before else 0
        self._message_bytes, self._bytes = self._bytes, 0

    async def round(self, seconds: float) -> dict[str, float]:
        self._finished = asyncio.get_running_loop().create_future()
        self._bytes = self._published = self._delivered = self._in_flight = 0
        begin = time.perf_counter()
        self._stop_s = begin + seconds
        self._publish(self._task["in_flight"])
        await self._finished
        return {"messages": self._published, "seconds": time.perf_counter() - begin}

    def received(self, size: int) -> None:
        self._bytes += size
        if not self._message_bytes or self._bytes < (self._delivered + 1) * self._message_bytes:
            return
        arrived = self._bytes // self._message_bytes - self._delivered
        self._delivered += arrived
        self._in_flight -= arrived
        if time.perf_counter() < self._stop_s:
            self._publish(arrived)
        elif not self._in_flight and self._finished is not None and not self._finished.done():
            self._finished.set_result(None)

    def _publish(self, count: int) -> None:
        self._published += count
        self._in_flight += count
        for _ in range(count):
            self._publisher.transport.write(self._frame)


async def main(task: Task) -> None:
    asyncio.get_running_loop().set_exception_handler(fail)
    fanout = Fanout(task)
    await fanout.connect()
    gc.disable()
    print('{"ready": true}', flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        print(json.dumps(await fanout.round(json.loads(line)["seconds"])), flush=True)
    os._exit(0)


if __name__ == "__main__":
    uvloop.run(main(json.loads(sys.argv[1])))
