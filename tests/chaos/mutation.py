"""Broken, twisted and enormous versions of every message, from a seed."""

from __future__ import annotations

import json
import random
from collections.abc import Callable

from iii.protocol.limits import MIB
from tests.integration.server.raw_socket import BINARY, CLOSE, CONTINUATION, PING, TEXT, client_frame

_ID = "00000000-0000-4000-8000-0000000000%02d"

_MESSAGES: list[dict[str, object]] = [
    {"type": "registerfunction", "id": "mad::f", "description": "d", "request_format": {"type": "object"},
     "metadata": {"a": [1, 2.5, None, True]}},
    {"type": "registerfunction", "id": "mad::http", "invocation": {"url": "http://127.0.0.1:1/x", "method": "POST"}},
    {"type": "unregisterfunction", "id": "mad::f"},
    {"type": "registerservice", "id": "mad", "name": "Mad", "description": "d"},
    {"type": "registertriggertype", "id": "mad::type", "description": "d"},
    {"type": "unregistertriggertype", "id": "mad::type"},
    {"type": "registertrigger", "id": "t1", "trigger_type": "mad::type", "function_id": "mad::f", "config": {"x": 1}},
    {"type": "registertrigger", "id": "t2", "trigger_type": "engine::functions-available", "function_id": "mad::f",
     "config": {}, "metadata": {"k": "v"}, "namespace": "default", "trigger_namespace": "default"},
    {"type": "unregistertrigger", "id": "t1", "trigger_type": "mad::type"},
    {"type": "triggerregistrationresult", "id": "t1", "trigger_type": "mad::type", "function_id": "mad::f",
     "error": {"code": "invalid_config", "message": "m"}},
    {"type": "invokefunction", "function_id": "mad::f", "data": {"deep": {"er": ["x"]}}, "invocation_id": _ID % 1,
     "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "baggage": "a=b,c=d"},
    {"type": "invokefunction", "function_id": "mad::f", "data": [1], "action": {"type": "void"}},
    {"type": "invokefunction", "function_id": "mad::f", "data": 1, "invocation_id": _ID % 2,
     "action": {"type": "enqueue", "queue": "q"}},
    {"type": "invokefunction", "function_id": "engine::workers::register", "invocation_id": _ID % 3,
     "data": {"runtime": "python", "version": "0.23.0", "name": "mad", "os": "x", "pid": 7, "features": ["y"]}},
    {"type": "invokefunction", "function_id": "engine::functions::list", "data": {"prefix": "mad::"},
     "invocation_id": _ID % 4},
    {"type": "invokefunction", "function_id": "engine::functions::info", "data": {"function_ids": ["mad::f", "x"]},
     "invocation_id": _ID % 5},
    {"type": "invokefunction", "function_id": "engine::workers::list", "data": {"worker_id": _ID % 9},
     "invocation_id": _ID % 6, "namespace": "orders"},
    {"type": "invokefunction", "function_id": "engine::registered-triggers::list", "data": {}, "invocation_id": _ID % 7},
    {"type": "invokefunction", "function_id": "engine::channels::create", "data": {"buffer_size": 8},
     "invocation_id": _ID % 8},
    {"type": "invocationresult", "invocation_id": _ID % 1, "function_id": "mad::f", "result": {"r": "ä€😀"}},
    {"type": "invocationresult", "invocation_id": _ID % 1, "function_id": "mad::f",
     "error": {"code": "E", "message": "m", "stacktrace": "s"}},
    {"type": "reattach", "previous_worker_id": _ID % 1, "reattach_token": _ID % 2},
    {"type": "ping"},
    {"type": "pong"},
    {"type": "workerregistered", "worker_id": _ID % 1},
    {"type": "registrationrejected", "code": "FUNCTION_NAMESPACE_CONFLICT", "namespace": "default"},
    {"type": "error", "error": {"code": "c", "message": "m"}},
]  # fmt: skip

_TEXTS = [json.dumps(message).encode() for message in _MESSAGES]

_ODD_VALUES: list[object] = [
    None, True, -1, 1.5, 1e400, float("nan"), 2**70, "", " ", "\0", "\ud800", "x" * 5000, [], [[]], {}, {"": None},
    ["x"] * 300, {"type": "ping"}, "engine::", "*",
]  # fmt: skip

_SNIPPETS = [
    b"\xff", b"\xc3\x28", b"\xed\xa0\x80", b"\0", b"\\ud800", b"NaN", b"-Infinity", b"{", b"}", b"[", b"]", b'"', b",",
    b"\\", b"null", b"1e999", b'"type":"ping",', b'"invocation_id":7,', b"\xef\xbb\xbf", b"\xe2\x80\xa8",
]  # fmt: skip


class Mutations:
    """An endless supply of frames; the same seed gives the same ones."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._ways: list[Callable[[], bytes]] = [
            self._message, self._odd_member, self._odd_member, self._nested_oddity, self._snippets, self._snippets,
            self._bytes_changed, self._bytes_changed, self._cut, self._doubled, self._noise, self._telemetry,
        ]  # fmt: skip

    def frame(self) -> bytes:
        """A frame that WebSocket allows, around a message that the protocol may not allow."""
        chance = self._random.random()
        if chance < 0.0002:
            return self._enormous()
        payload = self._random.choice(self._ways)()
        if chance < 0.03:
            return self._fragments(payload)
        if chance < 0.04:
            return client_frame(payload[:125], PING)
        return client_frame(payload, BINARY if chance < 0.1 else TEXT)

    def breaking_frame(self) -> bytes:
        """Bytes after which the connection cannot go on."""
        frame = bytearray(client_frame(self._message()))
        match self._random.randrange(6):
            case 0:
                frame[0] = self._random.choice((0x83, 0x8F, 0x03, 0x09, 0x0A, 0x08))
            case 1:
                frame[1] &= 0x7F
            case 2:
                return client_frame(self._message(), CONTINUATION)
            case 3:
                return client_frame(b"a", TEXT, final=False) + client_frame(b"b", TEXT)
            case 4:
                return bytes((0x81, 0xFF)) + self._random.randbytes(8) + bytes(frame)
            case 5:
                return client_frame(self._random.randbytes(self._random.randrange(126)), CLOSE)
        return bytes(frame)

    def _message(self) -> bytes:
        return self._random.choice(_TEXTS)

    def _odd_member(self) -> bytes:
        message = dict(self._random.choice(_MESSAGES))
        name = self._random.choice(list(message))
        if self._random.random() < 0.3:
            del message[name]
        else:
            message[name] = self._random.choice(_ODD_VALUES)
        return json.dumps(message).encode()

    def _nested_oddity(self) -> bytes:
        depth = self._random.choice((10, 400, 499, 501, 2000, 20_000))
        opening, closing = self._random.choice(((b"[", b"]"), (b'{"a":', b"}")))
        nested = opening * depth + b"1" + closing * self._random.choice((depth, depth - 1, 0))
        name = self._random.choice((b"data", b"result", b"metadata", b"config", b"type", b"id"))
        return self._message()[:-1] + b',"%b":%b}' % (name, nested)

    def _snippets(self) -> bytes:
        text = bytearray(self._message())
        for _ in range(self._random.randint(1, 4)):
            at = self._random.randrange(len(text) + 1)
            text[at:at] = self._random.choice(_SNIPPETS)
        return bytes(text)

    def _bytes_changed(self) -> bytes:
        text = bytearray(self._message())
        for _ in range(self._random.randint(1, 6)):
            text[self._random.randrange(len(text))] = self._random.randrange(256)
        return bytes(text)

    def _cut(self) -> bytes:
        text = self._message()
        start, end = sorted(self._random.randrange(len(text) + 1) for _ in range(2))
        return text[:start] + text[end:] if self._random.random() < 0.5 else text[start:end]

    def _doubled(self) -> bytes:
        return self._message() + self._random.choice((b"", b" ", b",", b"\n")) + self._message()

    def _noise(self) -> bytes:
        return self._random.randbytes(self._random.randrange(200))

    def _telemetry(self) -> bytes:
        return self._random.choice((b"OTLP", b"MTRC", b"LOGS", b"OTL", b"mtrc")) + self._cut()

    def _fragments(self, payload: bytes) -> bytes:
        pieces = [payload[at : at + 40] for at in range(0, len(payload), 40)][:50] or [b""]
        frames = [client_frame(pieces[0], TEXT, final=False)]
        frames += [client_frame(piece, CONTINUATION, final=False) for piece in pieces[1:]]
        frames.insert(self._random.randrange(len(frames)) + 1, client_frame(b"between", PING))
        return b"".join(frames) + client_frame(b"", CONTINUATION)

    def _enormous(self) -> bytes:
        filler = self._random.choice((b"x", b"[", b'{"a":', b"\xff", b"\\", b'"', b" ")) * MIB
        return client_frame(self._message()[:-1] + b',"data":"' + filler[: 4 * MIB] + b'"}')
