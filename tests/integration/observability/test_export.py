"""Telemetry to a real receiver (14, 06 checks 61-64)."""

import asyncio
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

import iii
from iii.modules.observability.export import export, exporter, http_transport, transport
from iii.modules.observability.export.collector_address import Signal
from iii.modules.observability.export.export import Export, ExportSettings
from iii.modules.observability.records import LogRecord, Metric, NumberPoint, Span
from iii.modules.observability.signals import Signals, Source
from iii.sdk import announcement
from tests.integration.observability.collector import DEADLINE_S, Collector, grpc_collector, http_collector
from tests.processes import EngineProcess

LAST_FLUSH_S = exporter.LAST_FLUSH_S  # as it is outside of these tests
HTTP = {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "SPANS_INTERVAL_S", 0.01)
    monkeypatch.setattr(exporter, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(
        exporter, "LAST_FLUSH_S", DEADLINE_S
    )  # a busy machine may need more than an engine that stops has


@pytest.fixture(params=["http", "grpc"])
def collector(request: pytest.FixtureRequest) -> Iterator[tuple[Collector, dict[str, str]]]:
    """One of each kind, and the variables that choose it."""
    kinds: dict[str, tuple[Callable[[], AbstractContextManager[Collector]], dict[str, str]]] = {
        "http": (http_collector, HTTP),
        "grpc": (grpc_collector, {}),
    }
    start, environ = kinds[request.param]
    with start() as found:
        yield found, environ


def span(number: int = 1, name: str = "work") -> Span:
    resource = {"service.name": "shop"}
    return Span(
        "a" * 32, f"{number:016x}", None, name, 1, 2, "ok", [], "shop", [], [], kind="server", resource=resource
    )  # fmt: skip


SHOP = {"service.name": "shop"}  # the records of a frame share it


def record(body: str) -> LogRecord:
    return LogRecord(1, 1, 9, "INFO", body, {}, None, None, SHOP, "shop")


@asynccontextmanager
async def exporting(
    url: str,
    *signals: Signal,
    environ: dict[str, str],
    forwarded: Callable[[Span], bool] = lambda span: True,
    own: list[Metric] | None = None,
    **settings: Any,
) -> AsyncIterator[tuple[Signals, Export]]:
    told = Signals()
    options = ExportSettings(
        signals=frozenset(signals), endpoint=url, resource={"service.name": "iii"}, environ=environ, **settings
    )

    async def own_metrics() -> list[Metric]:
        return own or []

    running = Export(options, told, forwarded, own_metrics)
    running.start()
    try:
        yield told, running
    finally:
        await running.stop()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110 - what changes there tells nobody
            await asyncio.sleep(0.005)


async def test_06_check_63_spans_of_engine_and_workers_arrive(collector: tuple[Collector, dict[str, str]]) -> None:
    receiver, environ = collector
    environ = environ | {"OTEL_EXPORTER_OTLP_HEADERS": "Authorization=Bearer%20token"}
    async with exporting(receiver.url, "traces", environ=environ) as (signals, _):
        own = span(2, "call f")
        own.resource = {}
        signals.spans([span(), own], Source.WORKER)
        ((signal, headers, message),) = await asyncio.to_thread(receiver.wait, 1)
    assert signal == "traces"
    assert headers["authorization"] == "Bearer token"
    worker, engine = message.resource_spans
    assert [each.resource.attributes[0].value.string_value for each in (worker, engine)] == ["shop", "iii"]
    assert worker.scope_spans[0].spans[0].kind == 2  # SERVER


async def test_14_worker_spans_leave_as_the_sampler_says_and_those_of_the_engine_always(
    collector: tuple[Collector, dict[str, str]],
) -> None:
    receiver, environ = collector
    async with exporting(
        receiver.url, "traces", environ=environ, forwarded=lambda span: span.name == "kept"
    ) as (signals, _):  # fmt: skip
        signals.spans([span(1, "not"), span(2, "kept")], Source.WORKER)
        signals.spans([span(3, "own")], Source.ENGINE)
    names = [
        each.name
        for _, _, message in receiver.requests
        for resource in message.resource_spans
        for each in resource.scope_spans[0].spans
    ]
    assert names == ["kept", "own"]


async def test_06_check_64a_metrics_of_workers_and_of_the_engine_arrive(
    collector: tuple[Collector, dict[str, str]],
) -> None:
    receiver, environ = collector
    total = Metric("iii.invocations.total", "", "", "counter", [NumberPoint(5, [], 1)], "iii", 1)
    environ = environ | {"OTEL_METRIC_EXPORT_INTERVAL": "20"}
    async with exporting(receiver.url, "metrics", environ=environ, own=[total]) as (signals, _):
        stock = Metric("stock", "", "", "gauge", [NumberPoint(7, [], 1)], "shop", 1, resource={"service.name": "shop"})
        signals.metrics([stock], Source.WORKER)
        await asyncio.to_thread(receiver.wait, 2)
    found = {
        (resource.resource.attributes[0].value.string_value, metric.name)
        for _, _, message in receiver.requests
        for resource in message.resource_metrics
        for metric in resource.scope_metrics[0].metrics
    }
    assert found == {("shop", "stock"), ("iii", "iii.invocations.total")}


async def test_14_logs_are_posted_as_json_in_batches() -> None:
    with http_collector() as receiver:
        async with exporting(receiver.url, "logs", environ={}, log_batch=2, log_interval_ms=60_000) as (signals, _):
            signals.logs([record("a"), record("b")], Source.WORKER)
            signals.logs([record("c")], Source.ENGINE)
            await asyncio.to_thread(receiver.wait, 1)
            assert len(receiver.requests) == 1
        bodies = [
            [each["body"]["stringValue"] for each in message["resourceLogs"][0]["scopeLogs"][0]["logRecords"]]
            for _, _, message in receiver.requests
        ]
    assert bodies == [["a", "b"], ["c"]]  # the rest when the engine stops


async def test_14_a_batch_that_fails_for_now_is_sent_again(
    collector: tuple[Collector, dict[str, str]], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "iii.modules.observability")
    receiver, environ = collector
    receiver.answers = [503, 429] if environ else ["UNAVAILABLE", "RESOURCE_EXHAUSTED"]
    async with exporting(receiver.url, "traces", environ=environ) as (signals, running):
        signals.spans([span()], Source.WORKER)
        await asyncio.to_thread(receiver.wait, 3)
        await until(lambda: "Collector takes telemetry again" in caplog.text)
        assert running.dropped == 0
    assert caplog.text.count("Collector takes no telemetry") == 1


async def test_14_a_batch_that_is_refused_is_dropped_and_counted(
    collector: tuple[Collector, dict[str, str]], caplog: pytest.LogCaptureFixture
) -> None:
    receiver, environ = collector
    receiver.answers = [400 if environ else "INVALID_ARGUMENT"]
    async with exporting(receiver.url, "traces", environ=environ) as (signals, running):
        signals.spans([span(1), span(2)], Source.WORKER)
        await until(lambda: running.dropped == 2)
        signals.spans([span(3)], Source.WORKER)
        await asyncio.to_thread(receiver.wait, 2)
    assert ("HTTP 400" if environ else "INVALID_ARGUMENT: as the test says") in caplog.text


async def test_06_check_64_a_silent_collector_holds_nobody_up_and_what_waits_is_bounded(
    collector: tuple[Collector, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporter, "QUEUED", 100)
    monkeypatch.setattr(exporter, "LAST_FLUSH_S", 0.1)
    receiver, environ = collector
    receiver.silent = True
    async with exporting(receiver.url, "traces", environ=environ) as (signals, running):
        signals.spans([span()], Source.WORKER)
        await asyncio.to_thread(receiver.wait, 1)  # from now on it hangs
        for number in range(1000):
            signals.spans([span(number)], Source.WORKER)
        assert running.dropped == 900
        began = time.monotonic()
    assert time.monotonic() - began < DEADLINE_S / 2
    assert running.dropped == 1000
    assert len(receiver.requests) == 1


def test_L4_a_collector_that_does_not_answer_holds_up_the_stop_for_less_than_two_seconds() -> None:
    assert LAST_FLUSH_S < 2


async def test_06_check_64_a_collector_that_is_away_costs_nothing_but_what_it_misses(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # and does not listen: nobody else can do so there meanwhile
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        async with exporting(url, "traces", "logs", environ=HTTP, log_batch=1) as (signals, running):
            signals.spans([span()], Source.WORKER)
            signals.logs([record("a")], Source.WORKER)
            await until(lambda: caplog.text.count("Collector takes no telemetry") == 2)  # one a signal
            assert running.dropped == 0  # they wait for it
    assert running.dropped == 2
    assert caplog.text.count("Collector takes no telemetry") == 2


async def test_06_check_64_calls_and_frames_do_not_wait_for_a_silent_collector(
    collector: tuple[Collector, dict[str, str]], tmp_path: Path
) -> None:
    """If they did, each frame would last as long as a request to it: 10 s."""
    receiver, environ = collector
    receiver.silent = True
    config = CONFIG.replace("COLLECTOR", receiver.url).replace("edge", "edge, exporter: both")
    otel: dict[str, Any] = {"enabled": True, "service_name": "shop", "spans_flush_interval_ms": 1}
    with EngineProcess(tmp_path, config=config, env=environ) as engine:
        async with asyncio.timeout(DEADLINE_S):
            worker = await iii.connect_worker(engine.url, iii.InitOptions(otel=otel))
            health: Any = {"function_id": "engine::health::check", "payload": {}}
            asked: Any = {
                "function_id": "engine::traces::list",
                "payload": {
                    "name": "call engine::health",
                    "search_all_spans": True,
                    "include_internal": True,
                    "limit": 0,
                },
            }
            await worker.trigger_async(health)
            while not receiver.requests:  # noqa: ASYNC110 - on a thread
                await asyncio.sleep(0.01)
            for number in range(20):  # each call is a span, and a frame
                await worker.trigger_async(health)
                while (await worker.trigger_async(asked))["total"] <= number:
                    pass
            await worker.shutdown_async()


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests end soon."""
    for place in (transport, http_transport):
        monkeypatch.setattr(place, "TIMEOUT_S", 0.2)


@pytest.mark.usefixtures("hasty")
async def test_14_3_a_request_that_is_not_answered_ends_and_is_sent_again(
    collector: tuple[Collector, dict[str, str]], caplog: pytest.LogCaptureFixture
) -> None:
    receiver, environ = collector
    receiver.silent = True
    async with exporting(receiver.url, "traces", environ=environ) as (signals, running):
        signals.spans([span()], Source.WORKER)
        first, second, *_ = await asyncio.to_thread(receiver.wait, 2)
        assert first[2] == second[2]
        receiver.silent = False
        receiver.release.set()
        assert running.dropped == 0
    assert caplog.text.count("Collector takes no telemetry") == 1


@pytest.mark.usefixtures("hasty")
async def test_14_3_a_request_ends_however_slowly_its_answer_comes(caplog: pytest.LogCaptureFixture) -> None:
    """A byte now and then kept all spans from the collector, without a word."""
    asked, ended = 0, asyncio.Queue[None]()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        writer.write(b"HTTP/1.1 200 OK\r\nx: ")
        with suppress(ConnectionError):
            while True:
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.02)
        writer.close()
        ended.put_nowait(None)

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with exporting(url, "traces", environ=HTTP) as (signals, _):
        signals.spans([span()], Source.WORKER)
        await until(lambda: asked > 1)
        server.close()
    assert "no answer within" in caplog.text
    async with asyncio.timeout(DEADLINE_S):
        for _ in range(asked):
            await ended.get()


async def test_14_what_waits_is_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporter, "QUEUED_BYTES", 10_000)
    with http_collector() as receiver:
        receiver.silent = True
        async with exporting(receiver.url, "traces", environ=HTTP) as (signals, running):
            signals.spans([span()], Source.WORKER)
            await asyncio.to_thread(receiver.wait, 1)
            large = span(2)
            large.attributes = [("k", "x" * 4_000)]
            signals.spans([large] * 5, Source.WORKER)
            assert running.dropped == 3
            receiver.silent = False
            receiver.release.set()
            await asyncio.to_thread(receiver.wait, 2)


async def test_14_without_what_export_needs_the_engine_runs_and_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "grpc", None)
    async with exporting("http://127.0.0.1:1", "traces", environ={}) as (signals, running):
        await until(lambda: "Telemetry is not exported" in caplog.text)
        signals.spans([span()], Source.WORKER)
        assert running.dropped == 1


CONFIG = """\
workers:
  - name: iii-worker-manager
    config: {port: {port}}
  - name: iii-observability
    config: {endpoint: "COLLECTOR", logs_exporter: otlp, service_name: edge}
"""


async def test_06_check_63_what_a_worker_sends_the_engine_reaches_the_collector(tmp_path: Path) -> None:
    """The engine as a process, with our SDK as a worker; what waits leaves when it stops."""
    with http_collector() as receiver:
        config = CONFIG.replace("COLLECTOR", receiver.url)
        with EngineProcess(tmp_path, config=config, env=HTTP) as engine:
            await asyncio.to_thread(_work_with, engine.url)
            engine.stop()
        spans = _exported(receiver)
        bodies = {
            each["body"]["stringValue"]
            for signal, _, message in receiver.requests
            if signal == "logs"
            for resource in message["resourceLogs"]
            for scope in resource["scopeLogs"]
            for each in scope["logRecords"]
        }
    assert {("shop", "execute shop::price"), ("shop", "call shop::price")} <= spans
    assert "priced" in bodies


async def test_06_check_65_rules_decide_what_of_workers_and_engine_reaches_the_collector(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that says it is of an older client has its calls recorded by the engine."""
    monkeypatch.setattr(announcement, "COMPATIBILITY_LEVEL", "0.18.0")
    sampling = (
        '{rules: [{operation: "execute *", service: "sh?p", rate: 0}, {operation: "*", service: other, rate: 0}]}'
    )
    with http_collector() as receiver:
        config = CONFIG.replace("COLLECTOR", receiver.url).replace("edge", f"edge, sampling: {sampling}")
        with EngineProcess(tmp_path, config=config, env=HTTP) as engine:
            await asyncio.to_thread(_work_with, engine.url)
            engine.stop()
    assert _exported(receiver) == {("shop", "call shop::price"), ("edge", "call shop::price")}


def _exported(receiver: Collector) -> set[tuple[str, str]]:
    """Service and name of each span."""
    return {
        (resource.resource.attributes[0].value.string_value, each.name)
        for signal, _, message in receiver.requests
        if signal == "traces"
        for resource in message.resource_spans
        for each in resource.scope_spans[0].spans
    }


def _work_with(url: str) -> None:
    otel: dict[str, Any] = {"enabled": True, "service_name": "shop", "spans_flush_interval_ms": 1}
    worker = iii.register_worker(url, iii.InitOptions(otel=otel))

    def price(data: Any) -> int:
        iii.Logger().info("priced")
        return 5

    worker.register_function("shop::price", price)
    assert worker.trigger({"function_id": "shop::price"}) == 5
    worker.shutdown()  # sends what it has
    probe = iii.register_worker(url, iii.InitOptions(otel={"enabled": False}))
    deadline = time.monotonic() + DEADLINE_S
    while probe.trigger({"function_id": "engine::traces::list", "payload": {"search_all_spans": True}})["total"] < 2:
        assert time.monotonic() < deadline
    probe.shutdown()


OWN_METRICS = """
workers:
  - {name: iii-worker-manager, config: {port: {port}}}
  - {name: iii-queue, config: {adapter: {name: builtin, config: {store_method: file_based, file_path: data}}}}
  - {name: iii-observability, config: {exporter: memory, metrics_exporter: otlp, endpoint: "COLLECTOR"}}
"""


def test_06_check_64a_all_that_modules_measure_reaches_the_collector(tmp_path: Path) -> None:
    environ = HTTP | {"OTEL_METRIC_EXPORT_INTERVAL": "50"}
    with http_collector() as receiver:
        config = OWN_METRICS.replace("COLLECTOR", receiver.url)
        with EngineProcess(tmp_path, config=config, env=environ) as engine:
            receiver.wait(2)
            engine.stop()
            assert "left out" not in engine.log()
        metrics = [
            metric
            for _, _, message in receiver.requests
            for resource in message.resource_metrics
            for metric in resource.scope_metrics[0].metrics
        ]
    counted = [point for metric in metrics for point in (*metric.sum.data_points, *metric.histogram.data_points)]
    assert len({point.start_time_unix_nano for point in counted}) == 1  # the start of the engine
    assert all(0 < point.start_time_unix_nano <= point.time_unix_nano for point in counted)
    assert {
        "iii.invocations.total", "iii.workers.active", "iii.queue.jobs", "iii.queue.oldest_job.age", "iii.connections",
        "iii.connection.io", "iii.store.operation.duration", "iii.event_loop.lag",
    } <= {metric.name for metric in metrics}  # fmt: skip
