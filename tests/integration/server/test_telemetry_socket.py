"""Connections on `/otel` (L17, 01 §2, 06 §2.3, 06 check 2)."""

import pytest

from iii.engine.engine import Engine
from iii.protocol.telemetry import TelemetryKind
from iii.server.listener import Listener
from tests.integration.server.raw_socket import BINARY, CONTINUATION, RawSocket


async def test_01_check_02_a_telemetry_socket_is_no_worker(listener: Listener, engine: Engine) -> None:
    """06 check 1."""
    arrived: list[tuple[TelemetryKind, bytes]] = []
    engine.telemetry.subscribe(lambda kind, payload: arrived.append((kind, payload)))
    async with await RawSocket.upgraded(listener.port, "/otel") as client:
        client.say(b"OTLP{}", BINARY)
        client.say("text has no meaning here")
        client.say(b"MTRC", BINARY)
        client.say(b"LOGS{", BINARY, final=False)
        client.say(b"}", CONTINUATION)
        assert await client.answers_ping()
        assert arrived == [
            (TelemetryKind.SPANS, b"{}"),
            (TelemetryKind.METRICS, b""),
            (TelemetryKind.LOGS, b"{}"),
        ]
        assert not engine.roster.connections


async def test_06_2_3_other_binary_frames_are_dropped_with_a_warning(
    listener: Listener, engine_log: pytest.LogCaptureFixture
) -> None:
    async with await RawSocket.upgraded(listener.port, "/otel") as client:
        for _ in range(1000):
            client.say(b'{"type":"ping"}', BINARY)
        assert await client.answers_ping()
    dropped = [record for record in engine_log.records if "it is not telemetry" in record.getMessage()]
    assert 1 <= len(dropped) <= 40  # twenty in ten seconds


async def test_it_ends_like_a_worker_socket(listener: Listener) -> None:
    async with await RawSocket.upgraded(listener.port, "/otel") as client:
        client.say("no beginning", CONTINUATION)
        assert (await client.frame()).close_code == 1002
