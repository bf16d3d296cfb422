"""A collector whose answer comes byte by byte (14 §3)."""

import itertools
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from iii.modules.observability.export import http_transport
from iii.modules.observability.export.collector_address import CollectorAddress, Signal
from iii.modules.observability.export.transport import SendFailed

SIGNALS: tuple[Signal, ...] = ("traces", "logs")
BYTE_S = 0.02  # between two bytes: far less than any time-out of a socket


@contextmanager
def dripping(answer: bytes) -> Iterator[int]:
    """The port of one that begins its answers so, and never ends them."""
    over = threading.Event()

    def drip(client: socket.socket) -> None:
        with client:
            for byte in itertools.chain(answer, itertools.repeat(ord("x"))):
                try:
                    client.send(bytes([byte]))
                except OSError:
                    return
                if over.wait(BYTE_S):
                    return

    def serve() -> None:
        while True:
            try:
                client, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=drip, args=[client], daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=serve, daemon=True).start()
        try:
            yield listening.getsockname()[1]
        finally:
            over.set()
            listening.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    ("scheme", "answer"),
    [
        ("http", b"HTTP/1.1 200 O"),
        ("http", b"H"),
        ("http", b"HTTP/1.1 200 OK\r\nx-a: "),
        ("https", b"\x16\x03\x03\x40\x00"),  # of a record of 16 KiB
    ],
)
@pytest.mark.parametrize("signal", SIGNALS)
def test_14_3_a_request_ends_in_time_however_slowly_the_answer_comes(
    monkeypatch: pytest.MonkeyPatch, scheme: str, answer: bytes, signal: Signal
) -> None:
    monkeypatch.setattr(http_transport, "TIMEOUT_S", 0.3)
    monkeypatch.setattr(http_transport, "LOGS_TIMEOUT_S", 0.3)
    with dripping(answer) as port:
        address = CollectorAddress(signal, "http/protobuf", f"{scheme}://127.0.0.1:{port}/v1/x", {})
        transport = http_transport.HttpTransport(address)
        for _ in range(2):
            with pytest.raises(SendFailed) as failed:  # without an end of the whole it would wait for ever
                transport.send(b"{}")
            assert failed.value.again
