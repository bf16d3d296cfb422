"""Log records of an engine that runs: its own lines, those of workers, and functions that get them (06 §10)."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import iii
from tests.compat.drivers import eventually
from tests.integration.cli.running import RunningEngine, running_engine
from tests.processes import environment

CONFIG = "- {name: iii-observability, config: {level: debug}}"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[RunningEngine]:
    with running_engine(tmp_path, CONFIG) as running:
        yield running


@pytest.fixture
def worker(engine: RunningEngine) -> Iterator[iii.Worker]:
    worker = iii.register_worker(engine.url(), iii.InitOptions(worker_name="w", otel={"enabled": False}))
    yield worker
    worker.shutdown()


def listed(worker: iii.Worker, **asked: Any) -> list[dict[str, Any]]:
    logs: list[dict[str, Any]] = worker.trigger({"function_id": "engine::logs::list", "payload": asked})["logs"]
    return logs


def test_06_10_2_the_lines_of_the_engine_are_listed(worker: iii.Worker) -> None:
    lines = {
        log["attributes"].get("event"): log for log in listed(worker) if log["instrumentation_scope_name"] == "tracing"
    }
    ready = lines["engine.ready"]
    assert (ready["body"], ready["severity_text"], ready["service_name"]) == ("Engine ready", "INFO", "iii")
    attributes = ready["attributes"]
    assert (attributes["target"], attributes["log_level"]) == ("iii.server.process", "debug")
    assert attributes["file"].endswith("process.py")
    assert isinstance(attributes["line"], int)


def test_06_check_65a_what_the_command_line_logs_is_listed_once(engine: RunningEngine) -> None:
    def command(*arguments: str) -> str:
        called = [sys.executable, "-m", "iii.cli", "trigger", *arguments, "--url", engine.url()]
        return subprocess.run(called, env=environment(), capture_output=True, text=True, timeout=60, check=True).stdout

    command("engine::log::info", "--json", '{"message":"hello from the CLI"}')
    logs = json.loads(command("engine::logs::list"))["logs"]
    assert [log["body"] for log in logs].count("hello from the CLI") == 1


def test_06_checks_65b_and_65c_the_tour_of_the_command_line(engine: RunningEngine, worker: iii.Worker) -> None:
    def command(function_id: str, payload: str = "{}") -> Any:
        called = [sys.executable, "-m", "iii.cli", "trigger", function_id, "--json", payload, "--url", engine.url()]
        done = subprocess.run(called, env=environment(), capture_output=True, text=True, timeout=60, check=True)
        return json.loads(done.stdout)

    async def toured(data: Any) -> Any:
        return data

    traced = iii.register_worker(engine.url(), iii.InitOptions(worker_name="traced"))
    try:
        traced.register_function("tour::f", toured)
        traced.list_functions()  # behind the registration: another worker calls it
        assert worker.trigger({"function_id": "tour::f", "payload": 1}) == 1
        eventually(lambda: command("engine::traces::list")["total"] >= 1)
    finally:
        traced.shutdown()
    span = command("engine::traces::list")["spans"][-1]
    assert command("engine::traces::tree", json.dumps({"trace_id": span["trace_id"]}))["roots"]
    assert command("engine::health::check")["status"] == "healthy"
    assert command("engine::logs::clear")["success"] is True
    assert command("engine::traces::clear")["success"] is True
    assert command("engine::traces::list")["total"] == 0


def test_06_check_52a_a_record_for_a_trigger_at_level_debug_is_one_delivery(
    engine: RunningEngine, worker: iii.Worker
) -> None:
    got: list[str] = []

    async def on_log(record: dict[str, Any]) -> None:
        got.append(record["body"])
        await worker.trigger_async({"function_id": "engine::log::info", "payload": {"message": "handled"}})

    worker.register_function("on::log", on_log)
    worker.register_trigger({"type": "log", "function_id": "on::log", "config": {}})
    worker.trigger({"function_id": "engine::log::info", "payload": {"message": "the one"}})
    eventually(lambda: "the one" in got)
    written = len(engine.log)
    for number in range(20):  # each would be one more delivery and one more line, and so on
        worker.trigger({"function_id": "engine::log::info", "payload": {"message": f"more {number}"}})
    eventually(lambda: "more 19" in got)
    eventually(lambda: sum(log["body"] == "handled" for log in listed(worker)) >= 21)
    assert [body for body in got if body == "handled"] == []
    assert got.count("the one") == 1
    assert len(engine.log) - written < 200
