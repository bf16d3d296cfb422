"""Connections of a port and the bytes on them, as metrics (16 §1)."""

from iii.engine.engine import Engine
from iii.net import picows_side
from iii.server.listener import Listener
from iii.testing import FakeClock
from tests.integration.server.raw_socket import BINARY, PING, RawSocket, client_frame
from tests.integration.server.waiting import until


def measured(listener: Listener) -> dict[str, float]:
    """Connections, and bytes in and out."""
    found = {}
    for measurement in listener.measure("port"):
        for labels, value in measurement.points:
            assert isinstance(value, (int, float))
            found[dict(labels).get("direction", "connections")] = value
    return found


async def test_16_1_bytes_are_those_on_the_wire(listener: Listener) -> None:
    assert measured(listener) == {"connections": 0, "in": 0, "out": 0}
    frames = client_frame(b"MTRC" + b"x" * 300_000, BINARY) + client_frame(b"p" * 10, PING)
    async with await RawSocket.upgraded(listener.port, "/otel") as client:
        client.write(frames)
        await client.frame()
        assert measured(listener) == {"connections": 1, "in": len(frames), "out": 12}
    await until(lambda: not listener.open_sockets)
    assert measured(listener) == {"connections": 0, "in": len(frames), "out": 12}  # they do not go with it


async def test_a_renewed_read_buffer_counts_nothing(listener: Listener) -> None:
    async with await RawSocket.upgraded(listener.port, "/otel") as client:
        client.say(b"x" * 300_000)
        assert await client.answers_ping()
        (connection,) = listener.connections
        before = measured(listener)
        picows_side.renew(connection.transport)
        assert measured(listener) == before


def test_a_port_that_is_not_open_measures_nothing() -> None:
    assert list(Listener(Engine(FakeClock()), "127.0.0.1", 0, 1000).measure("port")) == []
