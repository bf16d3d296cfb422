"""`iii health` and `iii metrics` against a running engine (issue 15)."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.cli.running import Iii, RunningEngine, running_engine


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEngine]:
    with running_engine(tmp_path_factory.mktemp("engine"), "- {name: iii-state}") as running:
        yield running


def test_health_for_people_and_for_scripts(iii: Iii, engine: RunningEngine) -> None:
    done = iii("health", "--url", engine.url())
    first, *parts = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    assert first.startswith("healthy: iii ")
    assert "  metrics: healthy (stored_metrics 0, points_not_shown 0)" in parts
    assert json.loads(iii("health", "--json", "--url", engine.url()).stdout)["status"] == "healthy"


def test_health_says_why_traces_are_not_on_disk(iii: Iii, tmp_path: Path) -> None:
    (tmp_path / "traces").touch()
    modules = "- {name: iii-observability, config: {trace_storage: {directory: traces}}}"
    with running_engine(tmp_path, modules) as engine:
        engine.wait_for("traces.archive_degraded")
        done = iii("health", "--url", engine.url())
    first, *parts = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (1, "")
    assert first.startswith("degraded: iii ")
    assert "  otel: healthy (enabled true, service_name iii, exporter memory)" in parts
    (storage,) = (part for part in parts if "trace storage" in part)
    assert storage.startswith("  trace storage: degraded (")
    assert storage.endswith("traces is a file, not a folder)")


def test_health_shows_traces_on_disk(iii: Iii, tmp_path: Path) -> None:
    modules = "- {name: iii-observability, config: {trace_storage: {directory: traces}}}"
    with running_engine(tmp_path, modules) as engine:
        done = iii("health", "--url", engine.url())
    assert (done.returncode, done.stderr) == (0, "")
    assert "\n  trace storage: healthy (completeness " in done.stdout


def test_an_engine_that_is_not_reached_is_not_well(iii: Iii) -> None:
    for command in ("health", "metrics"):
        done = iii(command, "--port", "1")
        assert done.returncode == 1
        assert done.stderr.startswith("Error: ")


def test_metrics_as_tables_and_as_json(iii: Iii, engine: RunningEngine) -> None:
    for _ in range(3):
        assert iii("trigger", "nobody::has", "--url", engine.url()).returncode == 1
    done = iii("metrics", "--url", engine.url())
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.split() for line in done.stdout.splitlines()]
    assert lines[0][1:3] == ["calls:", str(int(lines[0][0]) - 3)]
    assert lines[0][-2:] == ["3", "failed"]
    assert lines[1][:3] == ["0", "workers", "now;"]
    assert ["FUNCTION", "CALLS", "ERRORS"] in lines
    assert "engine::workers::register" in [line[0] for line in lines if line]
    assert ["nobody::has", "3", "3"] in lines
    assert iii("trigger", "engine::functions::info", "--url", engine.url()).returncode == 1
    failed = next(
        line for line in iii("metrics", "--url", engine.url()).stdout.splitlines() if "functions::info" in line
    )
    assert failed.split() == ["engine::functions::info", "1", "1"]
    nothing = iii("metrics", "--search", "zzz", "--url", engine.url()).stdout
    assert nothing.endswith("\n\nNo functions or metrics have 'zzz' in their names.\n")
    found = json.loads(iii("metrics", "--json", "--search", "WORKERS::REG", "--url", engine.url()).stdout)
    assert list(found["engine_metrics"]["invocations"]["by_function"]) == ["engine::workers::register"]
