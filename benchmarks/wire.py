"""The two protocols as bytes, made once and patched, so that a load generator costs less than what it loads.

A wire belongs to one connection: it says what opens it, splits what arrives into messages, and has the frames of calls
and answers ready. Nothing here decodes JSON: an id stands at a known place, or is found by its key.
"""

import asyncio
import base64
import json
import os
from collections.abc import Mapping, Sequence
from typing import Protocol

CALLS_PREPARED = 4096  # per caller; far more than are ever in flight, so that an id is never used twice at a time
INDEX_DIGITS = 8  # of the call's number, in hexadecimal, inside its id


class Wire(Protocol):
    """One connection of one system."""

    size: int

    def opening(self) -> bytes:
        """What is sent first."""

    def split(self, data: bytes, transport: asyncio.WriteTransport) -> list[bytes]:
        """The calls or answers that are complete now; what only keeps the connection going is dealt with."""

    def introduction(self, function: str | None) -> bytes:
        """What follows the first word of the other side; `function` is to be served. Its answer `is_ready` knows."""

    def is_ready(self, message: bytes) -> bool: ...

    def calls(self, functions: Sequence[str]) -> list[bytes]:
        """Frames of CALLS_PREPARED calls, of each function in turn; the answer to the n-th has number n."""

    def number(self, answer: bytes) -> int:
        """Which call it answers. Raises ValueError if it is no success."""

    def answer(self, call: bytes) -> bytes:
        """The frame that answers it."""


def payload(size: int) -> bytes:
    """A JSON object of exactly `size` bytes."""
    frame = b'{"payload":"%s"}'
    return frame % (b"x" * (size - len(frame) + 2))


# -- iii ----------------------------------------------------------------------------------------------------------

_MASK = os.urandom(4)
_INVOCATION_ID = b'"invocation_id":"'
_ID_BYTES = 36
_ANSWER_HEAD = b'{"type":"invocationresult","invocation_id":"'
_UPGRADE = "GET / HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"  # fmt: skip
_TEXT, _PING, _PONG = 0x81, 0x89, 0x8A  # first byte of an unfragmented frame


def masked_frame(message: bytes, first: int = _TEXT) -> bytes:
    """A WebSocket frame of a client, all with the same mask."""
    size = len(message)
    if size < 126:
        head = bytes((first, 0x80 | size))
    elif size < 65_536:
        head = bytes((first, 0x80 | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((first, 0x80 | 127)) + size.to_bytes(8, "big")
    return head + _MASK + _masked(message)


def _masked(data: bytes, phase: int = 0) -> bytes:
    key = (_MASK * (len(data) // 4 + 2))[phase : phase + len(data)]
    return (int.from_bytes(data, "big") ^ int.from_bytes(key, "big")).to_bytes(len(data), "big")


class WebSocketWire:
    """A worker connection of the iii engine."""

    action = b""  # further members of each call
    client: Mapping[str, str] = {
        "runtime": "python",
        "version": "0.25.0",
    }  # which records the calls that it runs itself

    def __init__(self, name: str, size: int) -> None:
        self.size = size
        self._name = name
        self._rest = b""
        self._upgraded = False
        self._answer_prefix = self._answer_suffix = b""
        self._id_key = int.from_bytes((_MASK * (_ID_BYTES // 4 + 1))[len(_ANSWER_HEAD) % 4 :][:_ID_BYTES], "big")

    def opening(self) -> bytes:
        return _UPGRADE.format(host="localhost", key=base64.b64encode(os.urandom(16)).decode()).encode()

    def split(self, data: bytes, transport: asyncio.WriteTransport) -> list[bytes]:
        if self._rest:
            data = self._rest + data
        messages: list[bytes] = []
        position, size = 0, len(data)
        if not self._upgraded:
            head, separator, _ = data.partition(b"\r\n\r\n")
            if not separator:
                self._rest = data
                return messages
            if b" 101 " not in head[:13]:
                raise ConnectionError(f"no upgrade: {head[:100]!r}")
            self._upgraded = True
            position = len(head) + 4
        while size - position >= 2:
            length = data[position + 1]
            start = position + 2
            if length == 126:
                start = position + 4
                length = int.from_bytes(data[position + 2 : start], "big")
            elif length == 127:
                start = position + 10
                length = int.from_bytes(data[position + 2 : start], "big")
            end = start + length
            if end > size:
                break
            if data[position] == _TEXT:
                messages.append(data[start:end])
            elif data[position] == _PING:
                transport.write(masked_frame(data[start:end], _PONG))
            else:
                raise ConnectionError(f"unexpected frame: {data[position:end][:100]!r}")
            position = end
        self._rest = data[position:]
        return messages

    def introduction(self, function: str | None) -> bytes:
        announcement = {**self.client, "name": self._name, "os": "any", "pid": os.getpid()}
        messages: list[dict[str, object]] = []
        if function is not None:
            self._answer_prefix, self._answer_suffix = self._answer_parts(function)
            messages.append({"type": "registerfunction", "id": function, "description": "Echoes"})
        call: dict[str, object] = {"type": "invokefunction", "invocation_id": call_id(0, 0)}
        messages.append({**call, "function_id": "engine::workers::register", "data": announcement})
        return b"".join(masked_frame(json.dumps(message).encode()) for message in messages)

    def is_ready(self, message: bytes) -> bool:
        return b'"success":true' in message

    def calls(self, functions: Sequence[str]) -> list[bytes]:
        caller = int.from_bytes(os.urandom(6), "big")
        return [
            masked_frame(
                b'{"type":"invokefunction","invocation_id":"%s","function_id":"%s","data":%s%s}'
                % (
                    call_id(number, caller).encode(),
                    functions[number % len(functions)].encode(),
                    self.data(number),
                    self.action,
                )
            )
            for number in range(CALLS_PREPARED)
        ]

    def data(self, number: int) -> bytes:
        """What the n-th call carries."""
        return payload(self.size)

    def number(self, answer: bytes) -> int:
        if b'"error"' in answer or len(answer) < self.size:
            raise ValueError(f"no success: {answer[:200]!r}")
        start = answer.index(_INVOCATION_ID) + len(_INVOCATION_ID)
        return int(answer[start : start + INDEX_DIGITS], 16)

    def answer(self, call: bytes) -> bytes:
        start = call.index(_INVOCATION_ID) + len(_INVOCATION_ID)
        masked_id = int.from_bytes(call[start : start + _ID_BYTES], "big") ^ self._id_key
        return self._answer_prefix + masked_id.to_bytes(_ID_BYTES, "big") + self._answer_suffix

    def _answer_parts(self, function: str) -> tuple[bytes, bytes]:
        message = b'%s%s","function_id":"%s","result":%s}' % (
            _ANSWER_HEAD, call_id(0, 0).encode(), function.encode(), payload(self.size),
        )  # fmt: skip
        frame = masked_frame(message)
        start = len(frame) - len(message) + len(_ANSWER_HEAD)
        return frame[:start], frame[start + _ID_BYTES :]


class StateWire(WebSocketWire):
    """Calls of `state::set` and `state::get`: a thousand keys in turn, each with a text of so many bytes."""

    def data(self, number: int) -> bytes:
        return b'{"scope":"bench","key":"key%d","value":"%s"}' % (number % 1000, b"x" * self.size)


class ContextWire(WebSocketWire):
    """Calls with a `traceparent`, of a client that records its calls itself: the engine hands it on."""

    action = b',"traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"'


class UnrecordedWire(WebSocketWire):
    """Calls without trace context, of a client that records nothing: the engine does."""

    client: Mapping[str, str] = {"runtime": "go", "version": "0.25.0"}


class EnqueueWire(WebSocketWire):
    """Jobs for the queue `bench`; the answers are receipts."""

    action = b',"action":{"type":"enqueue","queue":"bench"}'

    def number(self, answer: bytes) -> int:
        if b'"messageReceiptId"' not in answer:
            raise ValueError(f"no receipt: {answer[:200]!r}")
        start = answer.index(_INVOCATION_ID) + len(_INVOCATION_ID)
        return int(answer[start : start + INDEX_DIGITS], 16)


def call_id(number: int, caller: int) -> str:
    """A UUID that says which call it is."""
    return f"{number:0{INDEX_DIGITS}x}-0000-4000-8000-{caller:012x}"


# -- NATS ---------------------------------------------------------------------------------------------------------

_END = b"\r\n"


class NatsWire:
    """A client connection of nats-server: request is a message with a reply inbox, answer a message to it."""

    def __init__(self, name: str, size: int) -> None:
        self.size = size
        self._inbox = f"_INBOX.{name}.".encode()
        self._rest = b""
        self._answer_suffix = b" %d\r\n%s\r\n" % (size, payload(size))

    def opening(self) -> bytes:
        return b'CONNECT {"verbose":false,"pedantic":false}\r\nSUB %s* 1\r\nPING\r\n' % self._inbox

    def split(self, data: bytes, transport: asyncio.WriteTransport) -> list[bytes]:
        if self._rest:
            data = self._rest + data
        messages: list[bytes] = []
        position, size = 0, len(data)
        while (end := data.find(_END, position)) >= 0:
            if data[position] == 0x4D:  # M: MSG subject sid [reply] size
                head = data[position:end]
                end += int(head[head.rindex(b" ") + 1 :]) + 2
                if end + 2 > size:
                    break
                messages.append(head)
            elif data.startswith(b"PING", position):
                transport.write(b"PONG\r\n")
            elif data.startswith(b"PONG", position):
                messages.append(b"PONG")
            elif data.startswith(b"-ERR", position):
                raise ConnectionError(f"nats-server says {data[position:end]!r}")
            position = end + 2
        self._rest = data[position:]
        return messages

    def introduction(self, function: str | None) -> bytes:
        return b"PING\r\n" if function is None else b"SUB %s 2\r\nPING\r\n" % function.encode()

    def is_ready(self, message: bytes) -> bool:
        return message == b"PONG"

    def calls(self, functions: Sequence[str]) -> list[bytes]:
        data = payload(self.size)
        return [
            b"PUB %s %s%0*x %d\r\n%s\r\n"
            % (functions[number % len(functions)].encode(), self._inbox, INDEX_DIGITS, number, len(data), data)
            for number in range(CALLS_PREPARED)
        ]

    def number(self, answer: bytes) -> int:
        start = answer.index(self._inbox) + len(self._inbox)
        return int(answer[start : start + INDEX_DIGITS], 16)

    def answer(self, call: bytes) -> bytes:
        return b"PUB " + call.split(b" ")[3] + self._answer_suffix
