"""Telemetry of a worker whose engine greets it (08 §4.5)."""

import asyncio
import sys

import pytest

from iii.protocol.names import TRACES_V1, TRACES_V2
from iii.sdk import reporting as reporting_module
from iii.sdk.backlog import Backlog
from iii.sdk.connection import EngineConnection
from iii.sdk.link import EngineLink
from iii.sdk.options import InitOptions
from iii.sdk.pause import Pause
from iii.sdk.reporting import Reporting


@pytest.mark.parametrize(("elsewhere", "hurried"), [(None, 1), ("ws://127.0.0.1:9", 0)])
async def test_08_4_5_telemetry_follows_the_workers_own_connection_at_once(
    monkeypatch: pytest.MonkeyPatch, elsewhere: str | None, hurried: int
) -> None:
    told: list[Pause] = []
    monkeypatch.setattr(Pause, "cut", lambda pause: told.append(pause))
    options = InitOptions(otel={"enabled": True, "engine_ws_url": elsewhere})
    loop = asyncio.get_running_loop()
    reporting = Reporting("ws://127.0.0.1:9", options, "w", loop, lambda _: None, lambda: None, lambda: 0, lambda: None)
    reporting.greeted(())
    assert len(told) == hurried


@pytest.mark.parametrize(
    ("connected", "largest", "aside"), [(True, 1024, True), (True, 10, False), (False, 1024, False)]
)
async def test_17_9_spans_go_to_otel_where_they_cannot_go_beside_the_calls(
    monkeypatch: pytest.MonkeyPatch, connected: bool, largest: int, aside: bool
) -> None:
    on_own, on_otel = list[bytes](), list[bytes]()

    def write_aside(_link: EngineLink, frame: bytes) -> bool:
        if connected:
            on_own.append(frame)
        return connected

    monkeypatch.delitem(sys.modules, "opentelemetry.sdk.trace", raising=False)
    monkeypatch.setattr(reporting_module, "ASIDE_BYTES", largest)
    monkeypatch.setattr(EngineConnection, "send_or_drop", lambda connection, frame: on_otel.append(frame))
    monkeypatch.setattr(EngineLink, "write_aside", write_aside)
    link = EngineLink(lambda *_: None, lambda _: None, lambda *_: None, Backlog(), lambda _: None)
    options, loop = InitOptions(otel={"enabled": True}), asyncio.get_running_loop()
    reporting = Reporting("ws://127.0.0.1:9", options, "w", loop, lambda _: None, lambda: None, lambda: 0, lambda: link)
    assert reporting.telemetry is not None
    reporting.greeted((TRACES_V1, TRACES_V2))

    spans = reporting.telemetry.spans
    spans.call_ended(spans.call_span("f"), None)
    spans.flush()

    assert [frame[:4] for frame in (on_own if aside else on_otel)] == [b"SPNS"]
    assert len(on_own) + len(on_otel) == 1
