"""A worker that writes its own frames, for what no published Python or Node client sends (browser, odd registrations)."""

import base64
import json
import os
import socket
import struct
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit


class RawWorker:
    """One WebSocket, blocking, without any library; it sends JSON text and reads nothing but the upgrade's answer."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        assert address.hostname
        assert address.port
        self._socket = socket.create_connection((address.hostname, address.port), timeout=60)
        key = base64.b64encode(os.urandom(16)).decode()
        self._socket.sendall(
            f"GET / HTTP/1.1\r\nHost: {address.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        head = self._socket.recv(4096)
        assert head.startswith(b"HTTP/1.1 101 "), head

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def send(self, message_type: str, **members: Any) -> None:
        data = json.dumps({"type": message_type, **members}).encode()
        size = bytes([0x80 | len(data)]) if len(data) < 126 else bytes([0x80 | 126]) + struct.pack(">H", len(data))
        self._socket.sendall(b"\x81" + size + bytes(4) + data)  # a mask of zeros leaves the bytes as they are

    def announce(self, **metadata: Any) -> None:
        self.send("invokefunction", function_id="engine::workers::register", data=metadata, action={"type": "void"})
