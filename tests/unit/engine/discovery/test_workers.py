"""`engine::workers::list` and `engine::workers::info` (02 §4, §5.4, §5.5, checks 22–37; W1, W2, W4, W11, W13)."""

from typing import Any

import pytest

from iii.protocol.limits import IDLE_RELEASE_S, METRICS_FRESH_S
from iii.testing import FakeClock, MemoryEngine, MemoryWorker
from tests.unit.engine.discovery.sample_module import SampleModule

WORKER_ROW = [
    "id", "name", "description", "version", "namespace", "runtime", "os", "status", "activity", "function_count",
    "functions", "connected_at_ms", "active_invocations", "isolation", "ip_address", "pid", "internal",
    "latest_metrics", "telemetry",
]  # fmt: skip


def listed(worker: MemoryWorker, /, **request: Any) -> list[dict[str, Any]]:
    return list(worker.result_of("engine::workers::list", request)["workers"])


def row_of(caller: MemoryWorker, worker: MemoryWorker) -> dict[str, Any]:
    (row,) = [row for row in listed(caller) if row["id"] == worker.id]
    return row


def info(worker: MemoryWorker, /, **request: Any) -> Any:
    return worker.result_of("engine::workers::info", request)


def error_of(worker: MemoryWorker, /, **request: Any) -> tuple[str, str]:
    error = worker.call("engine::workers::info", request)["error"]
    return error["code"], error["message"]


# -- info -------------------------------------------------------------------------------------------------------------


def test_02_check_22_info_of_a_module(engine: MemoryEngine) -> None:
    caller = engine.connect(functions=["a::b"])
    caller.bind("t", "cron", "state::get")
    caller.bind("other", "cron", "a::b")

    detail = info(caller, name="iii-sample")

    assert detail["worker"]["internal"] is False
    assert detail["worker"]["description"] == SampleModule.description
    assert [row["function_id"] for row in detail["functions"]] == [
        "engine::queue::list_topics", "iii::queue::redrive", "state::get",
    ]  # fmt: skip
    assert [(row["id"], row["worker_name"]) for row in detail["trigger_types"]] == [
        ("cron", "iii-sample"), ("http", "iii-sample"),
    ]  # fmt: skip
    assert [row["id"] for row in detail["registered_triggers"]] == ["t"]
    assert info(caller, name="iii-engine-functions")["worker"]["internal"] is True
    assert error_of(caller, name="nope") == ("NOT_FOUND", "Worker 'nope' is not connected.")


def test_02_check_23_same_name_in_two_namespaces(engine: MemoryEngine) -> None:
    for namespace in ("orders", "analytics"):
        engine.connect(name="state", namespace=namespace, functions=["f"]).provide(f"{namespace}:changed")
    caller = engine.connect()

    assert error_of(caller, name="state") == (
        "NOT_FOUND",
        "Worker 'state' is ambiguous: it is connected in namespace(s): analytics, orders. "
        "Pass `namespace` to disambiguate.",
    )
    assert error_of(caller, name="state", namespace="other") == (
        "NOT_FOUND",
        "Worker 'state' is not connected in the requested namespace; "
        "it is connected in namespace(s): analytics, orders.",
    )
    detail = info(caller, name="state", namespace="orders")
    assert [row["id"] for row in detail["trigger_types"]] == ["orders:changed"]
    assert detail["functions"] == [{"function_id": "f", "namespace": "orders", "worker_name": "state"}]

    engine.connect(name="state")
    assert info(caller, name="state")["worker"]["namespace"] == "default"


def test_info_by_name_in_the_only_namespace_that_has_it(engine: MemoryEngine) -> None:
    engine.connect(name="lonely", namespace="orders", pid=7)

    detail = info(engine.connect(), name="lonely")

    assert detail["worker"]["pid"] == 7
    assert "latest_metrics" not in detail["worker"]


def test_info_by_id_finds_unnamed_workers(engine: MemoryEngine) -> None:
    worker = engine.connect(functions=["a::b"])

    assert info(worker, id=worker.id)["worker"]["name"] is None
    assert info(worker, worker_id=worker.id)["worker"]["id"] == worker.id
    assert info(worker, id="iii-sample")["worker"]["runtime"] == "engine"
    assert error_of(worker, id="nope") == ("NOT_FOUND", "Worker 'nope' is not connected.")


def test_info_without_a_name_is_a_deserialization_error(engine: MemoryEngine) -> None:
    assert error_of(engine.connect()) == (
        "deserialization_error", "Failed to deserialize input for engine::workers::info: missing field `name`",
    )  # fmt: skip


# -- rows -------------------------------------------------------------------------------------------------------------


def test_02_check_24_a_go_worker_with_metadata(engine: MemoryEngine, clock: FakeClock) -> None:
    worker = engine.connect(runtime="go", name="n1", version="1", os="x", pid=5)

    row = row_of(worker, worker)

    assert row == {
        "id": worker.id, "name": "n1", "description": None, "version": "1", "namespace": "default", "runtime": "go",
        "os": "x", "status": "connected", "activity": "available", "function_count": 0, "functions": [],
        "connected_at_ms": clock.time_ms(), "active_invocations": 0, "isolation": None, "ip_address": "127.0.0.1",
        "pid": 5, "internal": False, "latest_metrics": None, "telemetry": None,
    }  # fmt: skip
    assert info(worker, name="n1")["worker"]["status"] == "connected"


@pytest.mark.parametrize("version", ["0.9.0", "0.10.0", "0.25.0"])
def test_W13_every_row_has_every_key_in_order(engine: MemoryEngine, clock: FakeClock, version: str) -> None:
    caller = engine.connect(version=version, functions=["b::two", "a::one"], pid=1)

    result = caller.result_of("engine::workers::list", {"runtime": "python"})

    assert list(result) == ["workers", "timestamp"]
    assert result["timestamp"] == clock.time_ms()
    (row,) = result["workers"]
    assert list(row) == WORKER_ROW
    assert row["functions"] == ["a::one", "b::two"]
    assert row["function_count"] == 2


def test_02_check_25_a_second_announcement(engine: MemoryEngine) -> None:
    caller = engine.connect()
    worker = engine.connect(announce=False)
    worker.announce(name="n1", version="1", os="x", pid=5, description="d", telemetry={"language": "de"})
    row = row_of(caller, worker)
    assert row["runtime"] == "unknown"
    assert row["telemetry"] == {"language": "de", "project_name": None, "framework": None}

    worker.announce(name="n2")

    row = row_of(caller, worker)
    assert (row["name"], row["os"], row["pid"], row["description"]) == ("n2", "x", 5, "d")
    assert (row["version"], row["runtime"], row["telemetry"]) == (None, "unknown", None)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("ok\u001b[31m text\u007f", "ok[31m text"),
        ("a\u202eb\u2066c", "abc"),
        ("x" * 400, "x" * 280),
        ("\u0000\u0007", None),
    ],
    ids=["escape sequence", "bidi override", "length", "nothing left"],
)
def test_02_check_26_names_are_cleaned(engine: MemoryEngine, given: str, shown: str | None) -> None:
    worker = engine.connect(name=given)

    assert row_of(worker, worker)["name"] == shown


def test_02_check_27_a_blank_namespace_is_refused(engine: MemoryEngine) -> None:
    worker = engine.connect(announce=False)

    answer = worker.announce(call=True, name="w", namespace="  ")

    assert answer is not None
    assert answer["error"]["code"] == "INVALID_NAMESPACE"
    assert "w" not in [row["name"] for row in listed(engine.connect())]


def test_02_check_28_a_browser_is_listed_without_pid_and_version(engine: MemoryEngine) -> None:
    browser = engine.connect(runtime="browser", version=None, name="tab")

    row = row_of(browser, browser)

    assert row["version"] is None
    assert "pid" not in row


def test_02_check_29_telemetry_sockets_are_no_workers(engine: MemoryEngine) -> None:
    caller = engine.connect()
    silent = engine.connect(announce=False)
    telemetry = engine.connect(announce=False)
    telemetry.session.receive_binary(b"OTLP{}")
    telemetry.session.receive_binary(b"MTRC{}")

    assert [row["id"] for row in listed(caller, runtime="python")] == [caller.id]
    assert listed(caller, worker_id=silent.id) == listed(caller, worker_id=telemetry.id) == []


@pytest.mark.parametrize("version", ["0.10.0", "0.25.0"])
def test_02_check_30_a_worker_that_runs_a_call_is_busy(engine: MemoryEngine, version: str) -> None:
    caller = engine.connect(version=version)
    worker = engine.connect(functions=["a::slow"])
    caller.start_call("a::slow")

    row = row_of(caller, worker)
    assert (row["active_invocations"], row["activity"], row["status"]) == (1, "busy", "busy")
    mine = row_of(caller, caller)
    assert (mine["active_invocations"], mine["activity"], mine["status"]) == (0, "available", "available")

    worker.answer(worker.invocations()[0], 1)
    assert row_of(caller, worker)["status"] == "available"


def test_W1_connected_until_the_first_announcement(engine: MemoryEngine, clock: FakeClock) -> None:
    caller = engine.connect()
    worker = engine.connect(announce=False, functions=["a::b"])

    row = row_of(caller, worker)

    assert (row["status"], row["runtime"], row["name"]) == ("connected", None, None)
    clock.advance(IDLE_RELEASE_S)
    assert row_of(caller, worker)["functions"] == ["a::b"]


def test_W2_a_call_whose_caller_left_no_longer_counts(engine: MemoryEngine) -> None:
    caller = engine.connect()
    worker = engine.connect(functions=["a::slow"])
    leaver = engine.connect()
    leaver.start_call("a::slow")
    leaver.drop()

    assert row_of(caller, worker)["active_invocations"] == 0


def test_02_check_31_rows_are_sorted_by_name_or_id(engine: MemoryEngine) -> None:
    caller = engine.connect(name="m")
    for name in ("z", None, "a", None):
        engine.connect(name=name)

    rows = listed(caller)

    assert [row["name"] or row["id"] for row in rows] == sorted(row["name"] or row["id"] for row in rows)


def test_02_check_32_filters(engine: MemoryEngine) -> None:
    caller = engine.connect(name="Queue-worker", runtime="node", functions=["a::slow"])
    other = engine.connect(name="other")
    other.start_call("a::slow")

    assert {row["id"] for row in listed(caller, runtime="engine")} == {"iii-engine-functions", "iii-sample"}
    assert [row["id"] for row in listed(caller, status="connected")] == [caller.id, other.id]
    assert [row["id"] for row in listed(caller, status="busy")] == [caller.id]
    assert [row["id"] for row in listed(caller, status="available")] == [
        "iii-engine-functions", "iii-sample", other.id,
    ]  # fmt: skip
    assert [row["name"] for row in listed(caller, search="queue")] == ["Queue-worker"]
    assert [row["name"] for row in listed(caller, search="SAMPLE")] == ["iii-sample"]
    assert listed(caller, worker_id="unknown") == []
    assert [row["id"] for row in listed(caller, worker_id=other.id, runtime="python")] == [other.id]


def test_W4_runtime_rows_are_hidden_from_legacy_callers(engine: MemoryEngine) -> None:
    legacy = engine.connect(version="0.10.0")
    modules = ["iii-engine-functions", "iii-sample"]

    def module_rows(**request: Any) -> list[str]:
        return [row["id"] for row in listed(legacy, **request) if row["runtime"] == "engine"]

    assert module_rows() == []
    assert module_rows(include_internal=True) == modules
    assert module_rows(runtime="engine") == modules
    assert module_rows(dialect="modern") == modules
    assert module_rows(search="iii") == modules
    assert module_rows(worker_id="iii-sample") == ["iii-sample"]


def test_W11_runtime_rows_have_the_canonical_name_and_numbered_ids(engine: MemoryEngine, clock: FakeClock) -> None:
    engine.core.add_module(SampleModule(engine.core, "iii-sample#1"))

    rows = listed(engine.connect(), search="sample")

    assert [(row["id"], row["name"]) for row in rows] == [("iii-sample", "iii-sample"), ("iii-sample#1", "iii-sample")]
    assert rows[1] == {
        "id": "iii-sample#1", "name": "iii-sample", "description": SampleModule.description, "version": "0.1.0",
        "namespace": "default", "runtime": "engine", "os": None, "status": "available", "function_count": 3,
        "functions": ["engine::queue::list_topics", "iii::queue::redrive", "state::get"],
        "connected_at_ms": clock.time_ms(), "active_invocations": 0, "isolation": "in-process", "ip_address": None,
        "internal": False, "latest_metrics": None, "telemetry": None,
    }  # fmt: skip


def test_02_check_33_latest_metrics_are_shown_while_fresh(engine: MemoryEngine, clock: FakeClock) -> None:
    worker = engine.connect(name="w", runtime="node")
    worker.session.gauges.record("iii.worker.cpu.percent", 42, 1_795_438_347_737, clock.now())
    expected = {"cpu_percent": 42.0, "timestamp_ms": 1_795_438_347_737, "runtime": "node"}

    assert info(worker, name="w")["worker"]["latest_metrics"] == expected
    assert row_of(worker, worker)["latest_metrics"] == expected

    clock.advance(METRICS_FRESH_S + 1)
    assert "latest_metrics" not in info(worker, name="w")["worker"]
    assert row_of(worker, worker)["latest_metrics"] is None


def test_02_check_34_registering_twice_counts_once(engine: MemoryEngine) -> None:
    worker = engine.connect(functions=["a::b", "a::b"])

    assert row_of(worker, worker)["function_count"] == 1


def test_02_check_35_a_bad_pid_does_not_lose_the_rest(engine: MemoryEngine) -> None:
    worker = engine.connect(name="w", os="x", pid="abc")

    row = row_of(worker, worker)

    assert (row["name"], row["os"]) == ("w", "x")
    assert "pid" not in row


def test_02_check_36_features_are_accepted(engine: MemoryEngine) -> None:
    worker = engine.connect(name="w", features=["observe.v1", "local-dispatch.v1", "large-messages.v1"])

    assert row_of(worker, worker)["name"] == "w"


def test_02_check_37_a_raw_client_is_callable_within_100_ms(engine: MemoryEngine, clock: FakeClock) -> None:
    raw = engine.connect(announce=False, functions=["a::b"])
    clock.advance(0.1)

    engine.connect().start_call("a::b")

    assert len(raw.invocations()) == 1


def test_02_check_38_functions_end_up_only_in_the_announced_namespace(engine: MemoryEngine) -> None:
    worker = engine.connect(namespace="orders", functions=["a::b"])

    rows = worker.result_of("engine::functions::list", {"prefix": "a::"})["functions"]

    assert [row["namespace"] for row in rows] == ["orders"]
    assert row_of(worker, worker)["functions"] == ["a::b"]
