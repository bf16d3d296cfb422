"""A worker connection by hand, for attacks; started as a script, it pings the engine every 5 ms and says how long that took."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # started as a script
import base64
import contextlib
import itertools
import json
import os
import queue
import socket
import struct
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

from benchmarks.wire import masked_frame

MIB = 1 << 20
PING_S = 0.005
ANSWER_S = 300.0
BATCH = 500  # messages of one send

_numbers = itertools.count()


class Client:
    """A worker connection by hand. A thread reads all that comes, unless `deaf`."""

    def __init__(self, port: int, *, deaf: bool = False) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=ANSWER_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        key = base64.b64encode(os.urandom(16)).decode()
        self._socket.sendall(
            f"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        self._buffer = bytearray()
        while b"\r\n\r\n" not in self._buffer:
            self._buffer += self._socket.recv(65536)
        del self._buffer[: self._buffer.index(b"\r\n\r\n") + 4]
        self.messages: queue.Queue[bytes] = queue.Queue()
        self.pongs: queue.Queue[bytes] = queue.Queue()
        self.received = 0
        if not deaf:
            threading.Thread(target=self._read, daemon=True).start()

    def send(self, messages: Iterable[bytes]) -> None:
        messages = iter(messages)
        while batch := list(itertools.islice(messages, BATCH)):
            self._socket.sendall(b"".join(map(masked_frame, batch)))

    def raw(self, data: bytes) -> None:
        self._socket.sendall(data)

    def ping(self) -> None:
        """Returns once everything that was sent before has been taken in."""
        mark = b"%d" % next(_numbers)
        self._socket.sendall(masked_frame(mark, 0x89))
        while self.pongs.get(timeout=ANSWER_S) != mark:
            pass

    def call(self, function_id: str, data: object) -> Any:
        """The answer, decoded. Other messages that come meanwhile are dropped."""
        mark = invocation_id()
        self.send([invoke(function_id, data, mark)])
        while True:
            message = self.messages.get(timeout=ANSWER_S)
            if mark.encode() in message[:200]:
                return json.loads(message)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            while data := self._socket.recv(MIB):
                self._buffer += data
                for opcode, payload in self._frames():
                    if opcode == 0xA:
                        self.pongs.put(payload)
                    elif opcode == 0x9:
                        self._socket.sendall(masked_frame(payload, 0x8A))
                    else:
                        self.received += 1
                        self.messages.put(payload)

    def _frames(self) -> Iterator[tuple[int, bytes]]:
        offset, buffer = 0, self._buffer
        while len(buffer) - offset >= 2:
            size, head = buffer[offset + 1] & 127, 2
            if size == 126 and len(buffer) - offset >= 4:
                size, head = struct.unpack_from(">H", buffer, offset + 2)[0], 4
            elif size == 127 and len(buffer) - offset >= 10:
                size, head = struct.unpack_from(">Q", buffer, offset + 2)[0], 10
            elif size >= 126:
                break
            if len(buffer) - offset < head + size:
                break
            yield buffer[offset] & 15, bytes(buffer[offset + head : offset + head + size])
            offset += head + size
        del buffer[:offset]


def invocation_id() -> str:
    return f"00000000-0000-4000-8000-{next(_numbers):012x}"


def message(kind: str, **members: object) -> bytes:
    return json.dumps({"type": kind, **members}, separators=(",", ":")).encode()


def invoke(function_id: str, data: object, mark: str | None = None, **members: object) -> bytes:
    if mark is not None:
        members["invocation_id"] = mark
    return message("invokefunction", function_id=function_id, data=data, **members)


def call_of(function_id: str, data: bytes, mark: str) -> bytes:
    """A call with data as it is."""
    members = (mark.encode(), function_id.encode(), data)
    return b'{"type":"invokefunction","invocation_id":"%b","function_id":"%b","data":%b}' % members


def void(data: bytes) -> bytes:
    """A call of a function that is not there, with data as it is."""
    return b'{"type":"invokefunction","function_id":"f","data":' + data + b"}"


def trigger(number: int, kind: str, config: object, function_id: str = "f") -> bytes:
    return message("registertrigger", id=f"{kind}{number}", trigger_type=kind, function_id=function_id, config=config)


def worker(port: int, name: str, *functions: str) -> Client:
    """A connected worker that has said its name and serves these functions, as it will answer by itself."""
    client = Client(port)
    client.call("engine::workers::register", {"name": name, "version": "0.25.0", "features": ["large-messages.v1"]})
    client.send(message("registerfunction", id=function) for function in functions)
    client.ping()
    return client


def pinger(port: int) -> None:
    """Ping every 5 ms; at each line of standard input print what it took since the line before, in ms."""
    with contextlib.suppress(OSError):
        os.nice(-10)  # what is measured is the engine's turn, not this process's
    client = Client(port)
    took: list[float] = []
    lock = threading.Lock()

    def report() -> None:
        for _ in sys.stdin:
            with lock:
                ordered = sorted(took) or [0.0]
                took.clear()
            print(json.dumps({"largest": ordered[-1], "p99": ordered[len(ordered) * 99 // 100]}), flush=True)

    threading.Thread(target=report, daemon=True).start()
    while True:
        started = time.perf_counter()
        client.ping()
        now = time.perf_counter()
        with lock:
            took.append((now - started) * 1000)
        time.sleep(max(0.0, started + PING_S - now))


if __name__ == "__main__":
    pinger(json.loads(sys.argv[1]))
