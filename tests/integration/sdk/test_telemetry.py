"""Gauges, spans and log records (08 §17-§19, checks 35, 59-61, 63; O3)."""

import asyncio
import http.server
import importlib.util
import logging
import sys
import threading
import time
import tracemalloc
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import baggage, context, trace
from opentelemetry.metrics import Observation
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import iii
from tests.hostile import EXCEPTIONS, DumpRaises
from tests.integration.sdk.connecting import Connect
from tests.integration.sdk.fake_engine import DEADLINE_S, FakeConnection, FakeEngine

TRACEPARENT = f"00-{'a' * 32}-{'b' * 16}-01"
FAST_OTEL: dict[str, Any] = {"enabled": True, "spans_flush_interval_ms": 1, "service_name": "shop"}


def plain(attributes: list[dict[str, Any]]) -> dict[str, Any]:
    return {each["key"]: next(iter(each["value"].values()), None) for each in attributes}


def spans(socket: FakeConnection) -> list[dict[str, Any]]:
    return [
        span
        for document in socket.telemetry(b"OTLP")
        for resource in document["resourceSpans"]
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    ]


def compact_frames(socket: FakeConnection) -> int:
    return sum(each.startswith(b"SPNS") for each in list(socket.binary))


def records(socket: FakeConnection) -> list[dict[str, Any]]:
    return [
        record
        for document in socket.telemetry(b"LOGS")
        for resource in document["resourceLogs"]
        for scope in resource["scopeLogs"]
        for record in scope["logRecords"]
    ]


def gauges(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    (scope,) = document["resourceMetrics"][0]["scopeMetrics"]
    assert scope["scope"]["version"] == ""
    return {metric["name"]: metric["gauge"]["dataPoints"][0] for metric in scope["metrics"]}


# -- gauges -------------------------------------------------------------------------------------------------------


def test_08_check_63_a_worker_reports_itself_soon_after_connecting_and_then_every_interval(
    engine: FakeEngine, connect: Connect
) -> None:
    connect(enable_metrics_reporting=True, worker_name="me", otel={"enabled": False, "metrics_export_interval_ms": 200})
    connection = engine.connection()
    engine.wait(lambda: len(connection.telemetry(b"MTRC")) >= 3)
    points = gauges(connection.telemetry(b"MTRC")[1])
    assert {
        "iii.worker.memory.rss",
        "iii.worker.memory.vms",
        "iii.worker.cpu.percent",
        "iii.worker.cpu.user_micros",
        "iii.worker.cpu.system_micros",
        "iii.worker.event_loop.lag_ms",
        "iii.worker.uptime_seconds",
        "iii.worker.handlers.running",
    } == points.keys()
    assert points["iii.worker.memory.rss"]["asDouble"] > 1_000_000
    assert points["iii.worker.uptime_seconds"]["asDouble"] >= 0
    for point in points.values():
        assert plain(point["attributes"]) == {"worker.id": "W1", "worker.name": "me"}
        assert abs(int(point["timeUnixNano"]) / 1e9 - time.time()) < 60
    assert not engine.telemetry_sockets


def test_a_new_connection_is_reported_under_its_new_id(engine: FakeEngine, connect: Connect) -> None:
    connect(enable_metrics_reporting=True)
    for number in (1, 2):
        connection = engine.connection(number)
        engine.wait(lambda connection=connection: connection.telemetry(b"MTRC"))  # type: ignore[misc]
        point = gauges(connection.telemetry(b"MTRC")[0])["iii.worker.memory.rss"]
        assert plain(point["attributes"])["worker.id"] == f"W{number}"
        connection.drop()


def test_the_longest_wait_of_the_loop_is_reported(engine: FakeEngine, connect: Connect) -> None:
    worker = connect(enable_metrics_reporting=True, otel={"enabled": False, "metrics_export_interval_ms": 100})
    tracemalloc.start()
    try:

        @worker.function("block")
        async def block(data: Any) -> None:
            time.sleep(0.3)  # noqa: ASYNC251 - what a careless handler does

        connection = engine.connection()
        connection.message("registerfunction")
        connection.invoke("block")

        def lags() -> list[float]:
            return [gauges(each)["iii.worker.event_loop.lag_ms"]["asDouble"] for each in connection.telemetry(b"MTRC")]

        engine.wait(lambda: max(lags(), default=0) > 100)
        engine.wait(lambda: "iii.worker.memory.heap_used" in gauges(connection.telemetry(b"MTRC")[-1]))
    finally:
        tracemalloc.stop()


def test_handlers_that_run_are_counted(engine: FakeEngine, connect: Connect) -> None:
    worker = connect(enable_metrics_reporting=True, otel={"enabled": False, "metrics_export_interval_ms": 50})
    leave = threading.Event()
    worker.register_function("sync", lambda data: leave.wait(DEADLINE_S))
    connection = engine.connection()
    connection.message("registerfunction")
    connection.send({"type": "invokefunction", "function_id": "sync", "data": None, "invocation_id": "1"})

    def running() -> list[float]:
        return [
            gauges(each)["iii.worker.handlers.running"]["asDouble"]
            for each in connection.telemetry(b"MTRC")
            if "iii.worker.handlers.running" in gauges(each)
        ]

    engine.wait(lambda: 1 in running())
    leave.set()
    engine.wait(lambda: running()[-1] == 0)


def test_no_gauges_when_they_are_not_wanted(engine: FakeEngine, connect: Connect) -> None:
    connect(otel={"metrics_enabled": False}, enable_metrics_reporting=True)
    connect(enable_metrics_reporting=False)
    for number in (1, 2):
        engine.connection(number).invoke("unknown")
        assert not engine.connection(number).binary


# -- spans --------------------------------------------------------------------------------------------------------


def test_08_check_59_telemetry_is_switched_by_environment_and_option(
    engine: FakeEngine, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    for value in ("off", "0", "no", "FALSE"):
        monkeypatch.setenv("OTEL_ENABLED", value)
        assert not iii.OtelConfig().wanted
    connect()
    assert not engine.telemetry_sockets
    connect(otel={"enabled": True})
    engine.telemetry_socket()
    monkeypatch.delenv("OTEL_ENABLED")
    assert iii.OtelConfig().wanted
    assert not iii.OtelConfig(enabled=False).wanted


def test_08_check_59_without_opentelemetry_only_those_who_ask_have_telemetry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_ENABLED")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert not iii.OtelConfig().wanted
    assert iii.OtelConfig(enabled=True).wanted
    monkeypatch.setenv("OTEL_ENABLED", "true")
    assert iii.OtelConfig().wanted


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a program that does not use OpenTelemetry."""
    for name in ("opentelemetry.context", "opentelemetry.sdk.trace"):
        monkeypatch.delitem(sys.modules, name)


def test_a_bad_key_of_otel_is_refused_by_the_constructor() -> None:
    with pytest.raises(TypeError, match="otel has no option 'exporter'; it has enabled,"):
        iii.InitOptions(otel={"exporter": "x"})


def test_08_check_60_spans_travel_as_frames_on_their_own_socket(
    engine: FakeEngine, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("III_TOKEN", "t")
    monkeypatch.setenv("SERVICE_NAMESPACE", "prod")
    worker = connect(f"{engine.url}/?tenant=a", otel=FAST_OTEL)

    @worker.function("work")
    async def work(data: Any) -> Any:
        return {"token": "secret", "size": 5}

    connection = engine.connection()
    connection.message("registerfunction")
    answer = connection.invoke("work", {"password": "p", "n": 1}, traceparent=TRACEPARENT, baggage="iii.session.id=s1")
    socket = engine.telemetry_socket()
    engine.wait(lambda: spans(socket))
    (span,) = spans(socket)

    assert socket.path == "/otel?tenant=a"
    assert socket.headers["authorization"] == "Bearer t"
    resource = plain(socket.telemetry(b"OTLP")[0]["resourceSpans"][0]["resource"]["attributes"])
    assert resource["service.name"] == "shop"
    assert resource["service.namespace"] == "prod"
    assert resource["telemetry.sdk.name"] == "iii-python-sdk"
    assert resource["iii.otlp.kind"] == "standard"
    assert span["name"] == "execute work"
    assert span["kind"] == 1  # INTERNAL, as OTLP numbers it
    assert (span["traceId"], span["parentSpanId"]) == ("a" * 32, "b" * 16)
    assert answer["traceparent"] == f"00-{'a' * 32}-{span['spanId']}-01"
    assert plain(span["attributes"]) == {"iii.function.id": "work", "iii.session.id": "s1"}
    assert span["status"] == {"code": 1}
    assert int(span["endTimeUnixNano"]) >= int(span["startTimeUnixNano"]) > 0
    came, went = span["events"]
    assert came["name"] == "iii.invocation.input"
    assert plain(came["attributes"])["iii.payload.json"] == '{"password":"[REDACTED]","n":1}'
    assert plain(went["attributes"]) == {
        "iii.payload.json": '{"token":"[REDACTED]","size":5}',
        "iii.payload.truncated": False,
        "iii.payload.ok": True,
    }


def test_17_9_only_an_engine_that_reads_compact_frames_gets_them(engine: FakeEngine, connect: Connect) -> None:
    """And only for its own workers: whoever gets the telemetry of those of others did not see the payloads."""
    engine.features = ["traces.v1", "traces.v2"]
    near = connect(worker_name="near", otel=FAST_OTEL)
    near.register_function("work", lambda data: data)
    socket = engine.telemetry_socket()
    connection = engine.connection(1)
    answer = connection.invoke("work", 5, traceparent=TRACEPARENT)
    engine.wait(lambda: compact_frames(connection))
    assert compact_frames(socket) == 0
    assert (answer["result"], "traceparent" in answer) == (5, False)

    far = connect(worker_name="far", otel={**FAST_OTEL, "engine_ws_url": engine.url})
    engine.connection(2)
    far.trigger({"function_id": "engine::workers::register", "payload": {}})
    other = engine.wait(lambda: next((each for each in engine.telemetry_sockets if each is not socket), None))
    engine.wait(lambda: spans(other))
    assert (spans(socket), compact_frames(other)) == ([], 0)


@pytest.mark.parametrize("kind", ["sync", "async", "awaitable"])
def test_08_check_35_the_span_is_current_in_the_handler_and_parent_of_its_calls(
    engine: FakeEngine, connect: Connect, kind: str
) -> None:
    worker = connect(otel=FAST_OTEL)
    engine.answers["inner"] = None
    seen: list[str] = []

    def look() -> None:
        seen.append(trace.format_trace_id(trace.get_current_span().get_span_context().trace_id))

    def sync(data: Any) -> None:
        look()
        worker.trigger({"function_id": "inner"})

    async def asynchronous(data: Any) -> None:
        look()
        await worker.trigger_async({"function_id": "inner"})

    handlers = {"sync": sync, "async": asynchronous, "awaitable": lambda data: asynchronous(data)}
    worker.register_function("outer", handlers[kind])
    connection = engine.connection()
    connection.message("registerfunction")
    connection.invoke("outer", traceparent=TRACEPARENT, baggage="k=v")
    socket = engine.telemetry_socket()
    engine.wait(lambda: len(spans(socket)) == 2)
    by_name = {span["name"]: span for span in spans(socket)}

    assert seen == ["a" * 32]
    call = by_name["call inner"]
    assert call["kind"] == 3  # CLIENT
    assert call["parentSpanId"] == by_name["execute outer"]["spanId"]
    inner = connection.message("invokefunction", function_id="inner")
    assert inner["traceparent"] == f"00-{'a' * 32}-{call['spanId']}-01"
    assert inner["baggage"] == "k=v"


def test_errors_are_marked(engine: FakeEngine, connect: Connect) -> None:
    worker = connect(otel=FAST_OTEL)

    def fail(data: Any) -> None:
        raise ValueError("boom")

    worker.register_function("fail", fail)
    engine.answers["refused"] = lambda call: {"error": {"code": "X", "message": "no"}}
    connection = engine.connection()
    connection.message("registerfunction")
    connection.invoke("fail", invocation_id="1")
    with pytest.raises(iii.InvocationError):
        worker.trigger({"function_id": "refused"})
    with pytest.raises(iii.InvocationError):
        asyncio.run(worker.trigger_async({"function_id": "refused"}))
    socket = engine.telemetry_socket()
    engine.wait(lambda: len(spans(socket)) == 3)
    first, *refused = spans(socket)
    assert first["status"] == {"code": 2, "message": "boom"}
    assert [event["name"] for event in first["events"]] == [
        "iii.invocation.input",
        "iii.invocation.output",
        "exception",
    ]
    assert plain(first["events"][1]["attributes"])["iii.payload.json"] == '{"error":"boom"}'
    assert [span["status"]["message"] for span in refused] == ["X: no", "X: no"]


def test_payloads_can_be_left_out(engine: FakeEngine, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("III_DISABLE_TRACE_PAYLOADS", "TRUE")
    worker = connect(otel=FAST_OTEL)

    def fail(data: Any) -> None:
        raise ValueError("boom")

    worker.register_function("fail", fail)
    connection = engine.connection()
    connection.message("registerfunction")
    connection.invoke("fail")
    socket = engine.telemetry_socket()
    engine.wait(lambda: spans(socket))
    (span,) = spans(socket)
    assert [event["name"] for event in span["events"]] == ["exception"]


def test_core_3_core_20_no_error_costs_an_answer_nor_a_span(engine: FakeEngine, connect: Connect) -> None:
    worker = connect(otel=FAST_OTEL)
    number = -1

    async def fail(data: Any) -> Any:
        raise EXCEPTIONS[number]()

    worker.register_function("fail", fail)
    worker.register_function("dump", lambda data: DumpRaises())
    connection = engine.connection()
    connection.message("registerfunction", id="dump")
    for number in range(len(EXCEPTIONS)):
        assert connection.invoke("fail", invocation_id=str(number))["error"]["code"]
    assert "SystemExit" in connection.invoke("dump", invocation_id="dump")["error"]["message"]
    with pytest.raises(TypeError, match="not JSON serializable"):
        worker.trigger({"function_id": "not sent", "payload": b"x"})
    worker.trigger({"function_id": "lone \ud800", "action": iii.TriggerAction.Void()})
    socket = engine.telemetry_socket()
    engine.wait(lambda: len(spans(socket)) == len(EXCEPTIONS) + 3)
    names = [span["name"] for span in spans(socket)]
    assert names.count("execute fail") == len(EXCEPTIONS)
    assert names[-2:] == ["call not sent", "call lone ?"]


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("kind", ["sync", "async", "awaitable"])
def test_08_check_35_calls_and_records_of_a_handler_belong_to_it_without_opentelemetry(
    engine: FakeEngine, connect: Connect, kind: str
) -> None:
    worker = connect(otel=FAST_OTEL)
    engine.answers["inner"] = None
    logger = iii.Logger()

    def sync(data: Any) -> None:
        logger.info("in it")
        worker.trigger({"function_id": "inner"})

    async def asynchronous(data: Any) -> None:
        logger.info("in it")
        await worker.trigger_async({"function_id": "inner"})

    handlers = {"sync": sync, "async": asynchronous, "awaitable": lambda data: asynchronous(data)}
    worker.register_function("outer", handlers[kind])
    connection = engine.connection()
    connection.message("registerfunction")
    connection.invoke("outer", traceparent=TRACEPARENT, baggage="k=v")
    socket = engine.telemetry_socket()
    engine.wait(lambda: len(spans(socket)) == 2 and records(socket))
    by_name = {span["name"]: span for span in spans(socket)}
    (record,) = records(socket)

    assert by_name["execute outer"]["parentSpanId"] == "b" * 16
    assert by_name["call inner"]["parentSpanId"] == record["spanId"] == by_name["execute outer"]["spanId"]
    assert {record["traceId"], *(span["traceId"] for span in spans(socket))} == {"a" * 32}
    inner = connection.message("invokefunction", function_id="inner")
    assert inner["traceparent"] == f"00-{'a' * 32}-{by_name['call inner']['spanId']}-01"
    assert inner["baggage"] == "k=v"


def test_a_handler_writes_to_its_span_through_opentelemetry(engine: FakeEngine, connect: Connect) -> None:
    worker = connect(otel=FAST_OTEL)
    recording: list[bool] = []

    def work(data: Any) -> None:
        span = trace.get_current_span()
        span.set_attribute("order", 7)
        span.add_event("priced", {"cents": 5})
        span.record_exception(ValueError("handled"))
        recording.append(span.is_recording())

    worker.register_function("work", work)
    connection = engine.connection()
    connection.message("registerfunction")
    connection.invoke("work")
    socket = engine.telemetry_socket()
    engine.wait(lambda: spans(socket))
    (span,) = spans(socket)
    assert plain(span["attributes"]) == {"iii.function.id": "work", "order": 7}
    assert [event["name"] for event in span["events"]] == [
        "iii.invocation.input",
        "priced",
        "exception",
        "iii.invocation.output",
    ]
    assert span["status"]["code"] == 1
    assert recording == [True]


@pytest.fixture
def application(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """An application with OpenTelemetry of its own, and what its exporter has got."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({"service.name": "their-shop"}), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    return exporter


def test_an_applications_own_opentelemetry_gets_all_spans_and_so_does_the_engine(
    engine: FakeEngine, connect: Connect, application: InMemorySpanExporter
) -> None:
    worker = connect(otel={**FAST_OTEL, "service_name": None})
    engine.answers["inner"] = None

    def outer(data: Any) -> None:
        with trace.get_tracer_provider().get_tracer("theirs").start_as_current_span("pricing"):
            worker.trigger({"function_id": "inner"})

    def fail(data: Any) -> None:
        raise ValueError("boom")

    worker.register_function("outer", outer)
    worker.register_function("fail", fail)
    connection = engine.connection()
    connection.message("registerfunction", id="fail")
    answer = connection.invoke("outer", {"a": 1}, traceparent=TRACEPARENT, baggage="k=v")
    connection.invoke("fail", invocation_id="call-2")
    socket = engine.telemetry_socket()
    engine.wait(lambda: len(spans(socket)) == 4)
    by_name = {span["name"]: span for span in spans(socket)}
    outermost, own, call = by_name["execute outer"], by_name["pricing"], by_name["call inner"]

    assert {span.name for span in application.get_finished_spans()} == by_name.keys()
    resource = plain(socket.telemetry(b"OTLP")[0]["resourceSpans"][0]["resource"]["attributes"])
    assert (resource["service.name"], resource["iii.otlp.kind"]) == ("their-shop", "standard")
    assert (outermost["parentSpanId"], own["parentSpanId"], call["parentSpanId"]) == (
        "b" * 16,
        outermost["spanId"],
        own["spanId"],
    )
    assert (outermost["kind"], call["kind"]) == (1, 3)
    assert plain(call["attributes"]) == {"iii.function.id": "inner", "k": "v"}
    assert [event["name"] for event in outermost["events"]] == ["iii.invocation.input", "iii.invocation.output"]
    assert answer["traceparent"] == f"00-{'a' * 32}-{outermost['spanId']}-01"
    assert by_name["execute fail"]["status"] == {"code": 2, "message": "boom"}


@pytest.mark.parametrize(
    ("theirs", "option", "name"),
    [("unknown_service:python", None, "orders"), ("their-shop", None, "their-shop"), ("their-shop", "shop", "shop")],
)
def test_08_17_1_spans_of_an_applications_provider_are_of_the_service_that_records_are_of(
    engine: FakeEngine, connect: Connect, monkeypatch: pytest.MonkeyPatch, theirs: str, option: str | None, name: str
) -> None:
    provider = TracerProvider(resource=Resource({"service.name": theirs, "team": "a"}), shutdown_on_exit=False)
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    worker = connect(worker_name="orders", otel={**FAST_OTEL, "service_name": option})
    worker.register_function("work", lambda data: iii.Logger().info("at work"))
    connection = engine.connection()
    connection.message("registerfunction")
    connection.invoke("work")
    socket = engine.telemetry_socket()
    engine.wait(lambda: spans(socket) and socket.telemetry(b"LOGS"))
    (of_spans,) = socket.telemetry(b"OTLP")[0]["resourceSpans"]
    (of_records,) = socket.telemetry(b"LOGS")[0]["resourceLogs"]
    resources = [plain(each["resource"]["attributes"]) for each in (of_spans, of_records)]
    assert [each["service.name"] for each in resources] == [name, name]
    assert resources[0]["team"] == "a"


def test_a_trace_that_its_caller_does_not_record_goes_on_unrecorded(engine: FakeEngine, connect: Connect) -> None:
    worker = connect(otel=FAST_OTEL)
    engine.answers["inner"] = None
    worker.register_function("outer", lambda data: worker.trigger({"function_id": "inner"}))
    worker.register_function("last", lambda data: None)
    connection = engine.connection()
    connection.message("registerfunction", id="last")
    unwanted = f"00-{'a' * 32}-{'b' * 16}-00"
    answer = connection.invoke("outer", traceparent=unwanted)
    assert answer["traceparent"] == unwanted
    assert connection.message("invokefunction", function_id="inner")["traceparent"] == unwanted
    connection.invoke("last", invocation_id="2")
    socket = engine.telemetry_socket()
    engine.wait(lambda: spans(socket))
    assert [span["name"] for span in spans(socket)] == ["execute last"]


def test_roots_are_sampled_as_the_environment_says(
    engine: FakeEngine, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0")
    worker = connect(otel=FAST_OTEL)
    worker.register_function("work", lambda data: None)
    connection = engine.connection()
    connection.message("registerfunction")
    connection.invoke("work", invocation_id="1")
    connection.invoke("work", invocation_id="2", traceparent=TRACEPARENT)
    socket = engine.telemetry_socket()
    engine.wait(lambda: spans(socket))
    assert [span["traceId"] for span in spans(socket)] == ["a" * 32]


def test_a_span_of_the_caller_is_continued_with_its_baggage(engine: FakeEngine, connect: Connect) -> None:
    worker = connect(otel=FAST_OTEL)
    engine.answers["f"] = None
    token = context.attach(baggage.set_baggage("tenant", "a"))
    try:
        worker.trigger({"function_id": "f"})
    finally:
        context.detach(token)
    call = engine.connection().message("invokefunction", function_id="f")
    assert call["baggage"] == "tenant=a"
    assert call["traceparent"]


def test_what_is_not_sent_yet_is_sent_at_shutdown(engine: FakeEngine, connect: Connect) -> None:
    late = {"enabled": True, "spans_flush_interval_ms": 60_000, "logs_flush_interval_ms": 60_000, "logs_batch_size": 99}
    worker = connect(otel=late)
    engine.answers["f"] = None
    socket = engine.telemetry_socket()
    worker.trigger({"function_id": "f"})
    iii.Logger().info("parting words")
    worker.shutdown()
    engine.wait(lambda: socket.closed)
    assert [span["name"] for span in spans(socket)] == ["call f"]
    assert [record["body"]["stringValue"] for record in records(socket)] == ["parting words"]


@pytest.fixture
def web() -> Iterator[str]:
    """A web server that answers `/ok`, remembers the headers it got in its answer, and knows nothing else."""

    class Site(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = self.path.startswith("/ok")
            body = self.headers.get("traceparent", "none").encode()
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def fetch(request: str | urllib.request.Request) -> str:
    with urllib.request.urlopen(request) as response:
        text: str = response.read().decode()
        return text


def test_requests_of_urllib_are_spans_that_carry_the_trace_on(
    engine: FakeEngine, connect: Connect, web: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_FETCH_IGNORE_URLS", "metrics, /ok/ignored")
    original = urllib.request.OpenerDirector.open
    worker = connect(otel=FAST_OTEL)
    connect(otel=FAST_OTEL)  # does not trace each request once more

    @worker.function("fetches")
    def fetches(data: Any) -> list[str]:
        answers = [fetch(f"{web}/ok?q=1"), fetch(f"{web}/ok/ignored"), fetch("data:,plain")]
        post = urllib.request.Request(f"{web}/ok", b"12345", {"Content-Type": "text/plain"})
        for url in (f"{web}/missing", "http://127.0.0.1:1/"):
            try:
                fetch(url)
            except urllib.error.URLError as error:
                answers.append(type(error).__name__)
        return [*answers, fetch(post)]

    connection = engine.connection(1)
    connection.message("registerfunction")
    answers = connection.invoke("fetches", traceparent=TRACEPARENT)["result"]
    # of the two that are open, that of the first worker, which the engine may have got last
    socket = engine.wait(lambda: next((each for each in engine.telemetry_sockets if len(spans(each)) == 5), None))
    get, missing, refused, post, handler = spans(socket)

    assert answers == [
        f"00-{'a' * 32}-{get['spanId']}-01",
        "none",
        "plain",
        "HTTPError",
        "URLError",
        f"00-{'a' * 32}-{post['spanId']}-01",
    ]
    assert {span["parentSpanId"] for span in (get, missing, refused, post)} == {handler["spanId"]}
    assert (get["name"], get["kind"], get["status"]["code"]) == ("GET /ok", 3, 0)
    seen = plain(get["attributes"])
    assert (seen["url.full"], seen["url.query"], seen["http.response.status_code"]) == (f"{web}/ok?q=1", "q=1", 200)
    assert plain(post["attributes"])["http.request.body.size"] == 5
    assert plain(missing["attributes"])["error.type"] == "404"
    assert plain(refused["attributes"])["error.type"] == "URLError"
    assert missing["status"]["code"] == refused["status"]["code"] == 2

    worker.shutdown()
    assert urllib.request.OpenerDirector.open is original
    connect(otel=FAST_OTEL | {"fetch_instrumentation_enabled": False})
    assert urllib.request.OpenerDirector.open is original


# -- log records --------------------------------------------------------------------------------------------------


def test_08_check_61_log_records_carry_data_and_the_trace(engine: FakeEngine, connect: Connect) -> None:
    worker = connect(otel=FAST_OTEL)
    logger = iii.Logger(service_name="fn")

    @worker.function("work")
    def work(data: Any) -> None:
        logger.warn("m", {"k": 1, "deep": [1.5, None, True], "big": 2**70})

    connection = engine.connection()
    connection.message("registerfunction")
    connection.invoke("work", traceparent=TRACEPARENT)
    iii.Logger(trace_id="c" * 32, span_id="d" * 16).error("outside")
    socket = engine.telemetry_socket()
    engine.wait(lambda: len(records(socket)) == 2)
    inside, outside = records(socket)

    assert (inside["severityNumber"], inside["severityText"]) == (13, "WARN")
    assert inside["body"] == {"stringValue": "m"}
    attributes = {each["key"]: each["value"] for each in inside["attributes"]}
    assert attributes["service.name"] == {"stringValue": "fn"}
    data = {each["key"]: each["value"] for each in attributes["log.data"]["kvlistValue"]["values"]}
    assert data["k"] == {"intValue": 1}
    assert data["deep"] == {"arrayValue": {"values": [{"doubleValue": 1.5}, {}, {"boolValue": True}]}}
    assert data["big"] == {"stringValue": str(2**70)}
    assert inside["traceId"] == "a" * 32
    assert len(inside["spanId"]) == 16
    assert (outside["traceId"], outside["spanId"]) == ("c" * 32, "d" * 16)
    assert outside["severityNumber"] == 17


def test_08_check_61_without_telemetry_records_go_to_logging(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "iii.logger")
    logger = iii.Logger(service_name="fn")
    logger.warn("m", {"k": 1})
    logger.debug("d")
    (warning, debug) = caplog.records
    assert (warning.levelname, warning.name, warning.getMessage()) == ("WARNING", "iii.logger", "[fn] m")
    assert warning.data == {"k": 1}  # type: ignore[attr-defined]
    assert debug.levelname == "DEBUG"


def test_logs_can_be_left_to_logging(engine: FakeEngine, connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    connect(otel=FAST_OTEL | {"logs_enabled": False})
    iii.Logger().error("stays here")
    assert "stays here" in caplog.text


def test_08_check_61_records_of_logging_are_sent_as_well(engine: FakeEngine, connect: Connect) -> None:
    worker = connect(otel=FAST_OTEL)
    logger = logging.getLogger("shop.orders")
    handler = iii.LogHandler(logging.INFO)
    logger.addHandler(handler)

    @worker.function("work")
    def work(data: Any) -> None:
        logger.debug("not this one")
        logger.warning("stock of %s is low", "tea", extra={"left": 3})
        try:
            raise ValueError("boom")
        except ValueError:
            logger.exception("no tea")

    try:
        connection = engine.connection()
        connection.message("registerfunction")
        connection.invoke("work", traceparent=TRACEPARENT)
        socket = engine.telemetry_socket()
        engine.wait(lambda: len(records(socket)) == 2)
    finally:
        logger.removeHandler(handler)
    low, failed = records(socket)
    assert (low["severityText"], low["severityNumber"], low["body"]) == (
        "WARN",
        13,
        {"stringValue": "stock of tea is low"},
    )
    assert low["traceId"] == "a" * 32
    attributes = plain(low["attributes"])
    assert (attributes["logger.name"], attributes["left"], attributes["code.function.name"]) == (
        "shop.orders",
        3,
        "work",
    )
    assert failed["severityText"] == "ERROR"
    attributes = plain(failed["attributes"])
    assert (attributes["exception.type"], attributes["exception.message"]) == ("ValueError", "boom")


def test_records_of_the_sdk_itself_are_not_sent(engine: FakeEngine, connect: Connect) -> None:
    connect(otel=FAST_OTEL)
    handler = iii.LogHandler()
    for name in ("iii.sdk", "iii.sdk.executor", "mine"):
        record = logging.LogRecord(name, logging.CRITICAL, "", 1, name, (), None)
        handler.emit(record)
    socket = engine.telemetry_socket()
    engine.wait(lambda: records(socket))
    assert [(each["body"]["stringValue"], each["severityNumber"]) for each in records(socket)] == [("mine", 21)]


# -- metrics of the program ---------------------------------------------------------------------------------------


def test_08_19_instruments_of_the_program_are_reported(engine: FakeEngine, connect: Connect) -> None:
    worker = connect(otel=FAST_OTEL | {"metrics_export_interval_ms": 60_000})
    worker.meter.create_counter("orders", "1", "Orders taken").add(3, {"shop": "a"})
    worker.meter.create_histogram("price", "EUR").record(2.5)
    worker.meter.create_up_down_counter("open").add(-1)
    worker.meter.create_observable_gauge("stock", [lambda options: [Observation(7.5)]])
    assert worker.meter is worker.meter
    socket = engine.telemetry_socket()
    worker.shutdown()
    engine.wait(lambda: socket.closed)
    (document,) = socket.telemetry(b"MTRC")
    (resource,) = document["resourceMetrics"]
    assert plain(resource["resource"]["attributes"])["service.name"] == "shop"
    (scope,) = resource["scopeMetrics"]
    metrics = {metric["name"]: metric for metric in scope["metrics"]}
    (taken,) = metrics["orders"]["sum"]["dataPoints"]
    assert (taken["asInt"], plain(taken["attributes"])) == ("3", {"shop": "a"})
    assert metrics["orders"]["sum"]["isMonotonic"]
    assert not metrics["open"]["sum"]["isMonotonic"]
    (price,) = metrics["price"]["histogram"]["dataPoints"]
    assert (price["count"], price["sum"], price["min"]) == ("1", 2.5, 2.5)
    assert len(price["bucketCounts"]) == len(price["explicitBounds"]) + 1
    (stock,) = metrics["stock"]["gauge"]["dataPoints"]
    assert stock["asDouble"] == 7.5


def test_instruments_do_nothing_where_telemetry_is_off(engine: FakeEngine, connect: Connect) -> None:
    for options in ({"enabled": False}, FAST_OTEL | {"metrics_enabled": False}):
        connect(otel=options).meter.create_counter("orders").add(1)
    assert not engine.connection().telemetry(b"MTRC")


def test_a_meter_without_opentelemetry_names_what_to_install(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = connect(otel=FAST_OTEL)
    monkeypatch.setitem(sys.modules, "iii.sdk.meter", None)
    with pytest.raises(ImportError, match=r"worker.meter needs OpenTelemetry.*pip install '\.\[otel\]'"):
        _ = worker.meter
