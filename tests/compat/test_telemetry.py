"""Spans and log records of published clients arrive whole, whatever their generation calls things (06 checks 6, 7, 9 and 9a)."""

from typing import Any

import pytest

from tests.compat.drivers import CallFailed, Driver, eventually
from tests.compat.environments import Client
from tests.compat.fleet import OURS, parameters, require
from tests.compat.raw_worker import RawWorker
from tests.processes import EngineProcess

pytestmark = [pytest.mark.published, pytest.mark.timeout(600)]

CLIENTS = tuple(
    Client(*name.split())
    for name in (
        "python 0.9.0", "python 0.10.0", "python 0.11.6", "python 0.22.1", "python 0.25.0", "node 0.9.0", "node 0.11.6",
        "node 0.22.1",
    )
)  # fmt: skip
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
FLUSHED_S = 60.0  # clients before 0.19.7 send their spans every 5 s


def name_of(client: Client, function_id: str) -> str:
    if client.generation >= (0, 19):
        return f"execute {function_id}"
    return "call wrapped" if client.language == "python" else f"call {function_id}"


def spans_of(watcher: Driver, **request: Any) -> list[dict[str, Any]]:
    answer = watcher.call("engine::traces::list", {"search_all_spans": True, "include_internal": True, **request})
    found: list[dict[str, Any]] = answer["spans"]
    return found


def of_worker(spans: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """Those of this name that the engine has not made itself."""
    return [span for span in spans if span["name"] == name and span["service_name"] != "iii"]


@pytest.mark.parametrize("client", parameters(*CLIENTS))
def test_06_checks_6_and_7_and_9_spans_arrive_with_their_parent(client: Client, own_engine: EngineProcess) -> None:
    require(client)
    with Driver(client, telemetry_url=own_engine.url) as worker, Driver(OURS) as watcher:
        watcher.connect(own_engine.url, "watcher")
        worker.connect(own_engine.url, "traced", otel={"enabled": True})
        worker.register("traced::echo", "echo", sync=True)
        worker.discover("functions")
        with RawWorker(own_engine.url) as caller:
            caller.send(
                "invokefunction", function_id="traced::echo", data={"a": 1, "password": "x"},
                traceparent=f"00-{TRACE}-{PARENT}-01",
            )  # fmt: skip
            worker.handled("traced::echo", a=1)

        def arrived() -> Any:
            return of_worker(spans_of(watcher, trace_id=TRACE), name_of(client, "traced::echo"))

        (span,) = eventually(arrived, FLUSHED_S)
        own = [each for each in spans_of(watcher, trace_id=TRACE) if each["service_name"] == "iii"]
        if client.generation >= (0, 19):
            assert own == []
            assert span["parent_span_id"] == PARENT
        else:  # a client that old names no function, or no more than it: the engine does
            (call,) = own
            assert (call["name"], call["parent_span_id"]) == ("call traced::echo", PARENT)
            assert dict(call["attributes"])["function_id"] == "traced::echo"
            assert span["parent_span_id"] == call["span_id"]
        assert span["service_name"].startswith("iii-")
        assert span["status"] == "ok"
        assert span["kind"] == ("internal" if client.generation >= (0, 19) else "server")
        if client.generation >= (0, 12):
            payloads = {event["name"]: dict(event["attributes"])["iii.payload.json"] for event in span["events"]}
            assert "[REDACTED]" in payloads["iii.invocation.input"]
            assert set(payloads) == {"iii.invocation.input", "iii.invocation.output"}
        ingest = watcher.call("engine::health::check")["components"]["ingest"]
        assert ingest["details"]["dropped_items"] == ingest["details"]["dropped_frames"] == 0


@pytest.mark.parametrize("client", parameters(*CLIENTS))
def test_06_check_9a_the_span_of_a_failure_has_the_real_exception_first(
    client: Client, own_engine: EngineProcess
) -> None:
    require(client)
    with Driver(client, telemetry_url=own_engine.url) as worker, Driver(OURS) as watcher:
        watcher.connect(own_engine.url, "watcher")
        worker.connect(own_engine.url, "traced", otel={"enabled": True})
        worker.register("traced::fail", "fail", sync=True)
        worker.discover("functions")
        with pytest.raises(CallFailed, match="boom"):
            watcher.call("traced::fail", {"text": "boom"})

        def failed() -> Any:
            return of_worker(spans_of(watcher, status="error"), name_of(client, "traced::fail"))

        (span,) = eventually(failed, FLUSHED_S)
        first = next(dict(event["attributes"]) for event in span["events"] if event["name"] == "exception")
        assert first["exception.message"] == "boom"
        assert first["exception.type"] == ("ValueError" if client.language == "python" else "Error")


@pytest.mark.parametrize("client", parameters(*CLIENTS))
def test_06_check_9_log_records_arrive_with_a_level_and_their_data(client: Client, own_engine: EngineProcess) -> None:
    """06 §10.1: Node sends numbers of severities alone."""
    require(client)
    with Driver(client, telemetry_url=own_engine.url) as worker, Driver(OURS) as watcher:
        watcher.connect(own_engine.url, "watcher")
        worker.connect(own_engine.url, "logging", otel={"enabled": True})
        worker.register("logging::echo", "echo", sync=True)
        worker.discover("functions")
        worker.ask("log", message="hello from far", data={"x": 1, "password": "y"})

        def arrived() -> Any:
            logs = watcher.call("engine::logs::list", {"severity_text": "info"})["logs"]
            return [log for log in logs if log["body"] == "hello from far"]

        (log,) = eventually(arrived, FLUSHED_S)
        assert (log["severity_text"], log["severity_number"]) == ("INFO", 9)
        data = log["attributes"].get("log.data", log["attributes"])
        assert data["x"] == 1
        assert data["password"] == "[REDACTED]"
        assert log["service_name"].startswith("iii-")
