"""Telemetry on real sockets: large frames, many frames, and calls beside them (06 §2.2, §2.11)."""

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import psutil
import pytest
import pytest_asyncio

from iii.engine.engine import Engine
from iii.modules.observability.ingest.ingest import LARGE_BYTES
from iii.modules.observability.module import Observability
from iii.modules.observability.records import Span
from iii.modules.observability.signals import Source
from tests.integration.server.raw_socket import BINARY, RawSocket
from tests.integration.server.waiting import until


class Heard(list[str]):
    """Names of the spans that arrived."""

    def add(self, spans: Sequence[Span], source: Source) -> None:
        assert source is Source.WORKER
        self.extend(span.name for span in spans)


@pytest_asyncio.fixture
async def observability(engine: Engine) -> AsyncIterator[Observability]:
    module = Observability(engine)
    engine.add_module(module)
    await module.start()
    yield module
    await module.stop()


@pytest.fixture
def heard(observability: Observability) -> Heard:
    heard = Heard()
    observability.signals.spans.subscribe(heard.add)
    return heard


def frame(*names: str, **more: Any) -> bytes:
    spans = [{"traceId": "0a" * 16, "spanId": "0b" * 8, "name": name, "endTimeUnixNano": 1, **more} for name in names]
    return b"OTLP" + json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}).encode()


async def test_06_check_02_whatever_comes_on_otel_the_next_frame_is_taken(port: int, heard: Heard) -> None:
    async with await RawSocket.upgraded(port, "/otel") as client:
        client.say("hello")
        for message in (b"XXXX{}", b"OTLP\xff\xfe", b"OTLP", b"OTLP{bad", b"OTL"):
            client.say(message, BINARY)
        client.say(frame("good"), BINARY)
        assert await client.answers_ping()
        assert heard == ["good"]


async def test_06_check_03_a_frame_on_the_main_socket_and_then_a_message(port: int, heard: Heard) -> None:
    async with await RawSocket.greeted(port) as worker:
        worker.say(frame("good"), BINARY)
        worker.say({"type": "ping"})
        assert (await worker.json())["type"] == "pong"
        assert heard == ["good"]


async def test_06_2_4_a_socket_that_only_sends_telemetry_is_no_worker(port: int, engine: Engine, heard: Heard) -> None:
    """06 check 9: clients up to 0.11.1 open it on `/`, and never read from it after the greeting."""
    async with await RawSocket.greeted(port) as telemetry, await RawSocket.greeted(port) as worker:
        telemetry.say(frame("good"), BINARY)
        assert await telemetry.answers_ping()
        worker.say({"type": "ping"})
        assert (await worker.json())["type"] == "pong"
        assert sum(session.is_worker for session in engine.roster.connections.values()) == 1
        telemetry.say({"type": "ping"})
        assert (await telemetry.json())["type"] == "pong"  # nothing was said before
        assert sum(session.is_worker for session in engine.roster.connections.values()) == 2


async def test_large_frames_are_cut_elsewhere_and_stay_in_order(
    port: int, heard: Heard, observability: Observability
) -> None:
    text = "x" * 1_000
    names = [f"{number}{text}" for number in range(LARGE_BYTES * 3 // len(text))]
    async with await RawSocket.upgraded(port, "/otel") as client:
        client.say(frame("first"), BINARY)
        client.say(frame(*names), BINARY)
        client.say(frame("then"), BINARY)
        client.say(b"OTLP[" + b"1," * LARGE_BYTES + b"1]", BINARY)
        client.say(frame("last"), BINARY)
        await until(lambda: "last" in heard)
    assert heard == ["first", *names, "then", "last"]
    assert observability.ingest.health() == {"dropped_frames": 1, "dropped_items": 0}


def command_of(process: psutil.Process) -> str:
    """Empty for one that has ended, and waits for its parent: another test's."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


async def test_the_process_that_cuts_ends_with_the_module(
    port: int, heard: Heard, observability: Observability
) -> None:
    async with await RawSocket.upgraded(port, "/otel") as client:
        others = psutil.Process().children()  # of tests before, which end just now
        client.say(frame("x" * LARGE_BYTES), BINARY)
        await until(lambda: bool(heard))
        started = [child for child in psutil.Process().children() if child not in others]
        (process,) = [child for child in started if "iii.net.decoding_process" in command_of(child)]
        client.say(frame("y" * LARGE_BYTES), BINARY)
        await observability.stop()
        await until(lambda: not process.is_running())
