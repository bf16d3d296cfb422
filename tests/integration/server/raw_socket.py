"""A client that says exactly the bytes a test wants: HTTP first, then WebSocket frames."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from types import TracebackType
from typing import Any, NamedTuple, Self

DEADLINE_S = 60.0  # for anything that should come at once

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
_MASK = b"\x11\x22\x33\x44"


class Frame(NamedTuple):
    final: bool
    opcode: int
    payload: bytes

    @property
    def close_code(self) -> int | None:
        assert self.opcode == CLOSE
        return int.from_bytes(self.payload[:2], "big") if self.payload else None


def client_frame(payload: bytes | str | dict[str, Any], opcode: int = TEXT, final: bool = True) -> bytes:
    """One masked frame."""
    if isinstance(payload, dict):
        payload = json.dumps(payload)
    data = payload.encode() if isinstance(payload, str) else payload
    size = len(data)
    first = opcode | (0x80 if final else 0)
    if size < 126:
        head = bytes((first, 0x80 | size))
    elif size < 65_536:
        head = bytes((first, 0xFE)) + size.to_bytes(2, "big")
    else:
        head = bytes((first, 0xFF)) + size.to_bytes(8, "big")
    key = (_MASK * (size // 4 + 1))[:size]
    return head + _MASK + (int.from_bytes(data, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")


def upgrade_request(path: str = "/", **headers: str) -> bytes:
    """Headers as keywords, `_` for `-`; an empty value leaves one out."""
    lines = {
        "Host": "engine",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
    }
    lines |= {name.replace("_", "-"): value for name, value in headers.items()}
    text = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value)
    return f"GET {path} HTTP/1.1\r\n{text}\r\n".encode()


class RawSocket:
    """One TCP connection; leaving the context ends it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, port: int, host: str = "127.0.0.1") -> Self:
        return cls(*await asyncio.open_connection(host, port, limit=2**27))

    @classmethod
    async def upgraded(cls, port: int, path: str = "/") -> Self:
        """A WebSocket, before its first frame."""
        client = await cls.connect(port)
        client.write(upgrade_request(path))
        assert (await client.head()).startswith("HTTP/1.1 101 ")
        return client

    @classmethod
    async def greeted(cls, port: int) -> Self:
        """A WebSocket on `/` that has got its `workerregistered`."""
        client = await cls.upgraded(port)
        assert (await client.json())["type"] == "workerregistered"
        return client

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.drop()
        try:
            await self.writer.wait_closed()
        except OSError:
            pass

    def drop(self) -> None:
        """End TCP without a word."""
        self.writer.transport.abort()

    def write(self, data: bytes) -> None:
        self.writer.write(data)

    def finish(self) -> None:
        """Nothing more is sent; what comes is still read."""
        self.writer.write_eof()

    def say(self, payload: bytes | str | dict[str, Any], opcode: int = TEXT, final: bool = True) -> None:
        self.write(client_frame(payload, opcode, final))

    async def head(self) -> str:
        """An HTTP head."""
        async with asyncio.timeout(DEADLINE_S):
            return (await self.reader.readuntil(b"\r\n\r\n")).decode()

    async def answer(self) -> tuple[int, dict[str, str], str]:
        """An HTTP answer with a body."""
        first, *lines = (await self.head()).strip().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        body = await self.reader.readexactly(int(headers["content-length"]))
        return int(first.split()[1]), headers, body.decode()

    async def frame(self, deadline_s: float = DEADLINE_S) -> Frame:
        async with asyncio.timeout(deadline_s):
            first, second = await self.reader.readexactly(2)
            assert not second & 0x80, "servers do not mask"
            assert not first & 0x70, "no extension was negotiated"
            size = second & 0x7F
            if size == 126:
                size = int.from_bytes(await self.reader.readexactly(2), "big")
            elif size == 127:
                size = int.from_bytes(await self.reader.readexactly(8), "big")
            return Frame(bool(first & 0x80), first & 0x0F, await self.reader.readexactly(size))

    async def json(self, deadline_s: float = DEADLINE_S) -> dict[str, Any]:
        """The next message, which must be a whole text frame; pings before it are answered."""
        final, opcode, payload = await self.frame(deadline_s)
        while opcode == PING:
            self.say(payload, PONG)
            final, opcode, payload = await self.frame(deadline_s)
        assert (final, opcode) == (True, TEXT)
        message: dict[str, Any] = json.loads(payload)
        return message

    async def answers_ping(self) -> bool:
        """Whether the connection lives and nothing else was said meanwhile, but pings, which come after 20 s."""
        self.say(b"are you there", PING)
        while (frame := await self.frame()).opcode == PING:
            self.say(frame.payload, PONG)
        return frame == Frame(True, PONG, b"are you there")

    async def ended(self, deadline_s: float = DEADLINE_S) -> bytes:
        """Wait for the end of TCP; what came before it."""
        async with asyncio.timeout(deadline_s):
            try:
                return await self.reader.read(-1)
            except ConnectionError:
                return b""
