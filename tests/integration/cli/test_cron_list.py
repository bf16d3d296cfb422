"""`iii cron` against a running engine (issue 6)."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

import iii as sdk
from tests.integration.cli.running import Iii, RunningEngine, running_engine


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEngine]:
    with running_engine(tmp_path_factory.mktemp("engine"), "- {name: iii-cron}") as running:
        yield running


def test_schedules_with_their_next_times(iii: Iii, engine: RunningEngine) -> None:
    assert iii("cron", "list", "--url", engine.url()).stdout == "No schedules.\n"
    worker = sdk.register_worker(engine.url(), sdk.InitOptions(worker_name="clock", otel={"enabled": False}))
    try:
        worker.cron("0 0 0 30 2 *", function_id="never")(lambda event: None)
        worker.cron("0 9 * * mon-fri", timezone="Europe/Berlin", function_id="report")(lambda event: None)
        worker.cron("@hourly", function_id="tidy")(lambda event: None)
        assert worker.list_workers()
        rows = json.loads(iii("cron", "list", "--json", "--url", engine.url()).stdout)
        assert [row["function"] for row in rows] == ["tidy", "report", "never"]
        assert [len(row["next"]) for row in rows] == [3, 3, 0]
        first = datetime.fromisoformat(rows[0]["next"][0])  # with its zone
        assert 0 < (first - datetime.now(UTC)).total_seconds() <= 3600
        table = iii("cron", "list", III_URL=engine.url()).stdout.splitlines()
        assert table[0].split() == ["NEXT", "(UTC)", "EXPRESSION", "TIMEZONE", "FUNCTION"]
        assert table[3].split() == ["-", "0", "0", "0", "30", "2", "*", "UTC", "never"]
    finally:
        worker.shutdown()


def test_the_function_of_a_schedule_runs_when_it_is_asked_to(iii: Iii, engine: RunningEngine) -> None:
    worker = sdk.register_worker(engine.url(), sdk.InitOptions(worker_name="clock2", otel={"enabled": False}))
    try:
        worker.cron("@yearly", function_id="new::year")(lambda event: {"got": sorted(event), "by": event["trigger"]})
        assert worker.list_workers()
        fired = json.loads(iii("cron", "fire", "new::year", "--url", engine.url()).stdout)
        assert fired["by"] == "cron"
        assert {"trigger", "job_id", "scheduled_time", "actual_time"} <= set(fired["got"])
        done = iii("cron", "fire", "new::yaer", "--url", engine.url())
        assert (done.returncode, done.stdout) == (1, "")
        assert "function_not_found" in done.stderr
        assert "did you mean 'new::year'?" in done.stderr
    finally:
        worker.shutdown()


def test_the_next_times_of_an_expression_need_no_engine(iii: Iii) -> None:
    done = iii("cron", "next", "0 9 * * mon", "--timezone", "Asia/Tokyo", "--count", "2", III_URL="ws://127.0.0.1:1")
    times = done.stdout.splitlines()
    assert done.returncode == 0
    assert [line.split()[0] + line.split()[2] + line.split()[3] for line in times] == ["Mon09:00:00JST"] * 2
    [first] = json.loads(iii("cron", "next", "0 0 1 1 *", "--count", "1", "--json").stdout)
    assert first.endswith("-01-01T00:00:00Z")
    assert iii("cron", "next", "0 0 30 2 *").stdout == "Never.\n"


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["next", "* * *"], 1, "Error: '* * *': 3 fields"),
        (["next", "@daily", "--timezone", "Mars/Olympus"], 1, "unknown time zone 'Mars/Olympus'; name one like"),
        (["next", "@daily", "--count", "0"], 2, "expected a number from 1 to 1000, got '0'"),
        (["next"], 2, "wrong number of arguments; usage: iii cron next EXPRESSION"),
        (["run"], 2, "unknown command 'iii cron run' (expected list, next or fire)"),
        (["list", "--port", "1", "--timeout-ms", "2000"], 1, "Is the engine running"),
    ],
)
def test_wrong_usage(iii: Iii, arguments: list[str], code: int, text: str) -> None:
    done = iii("cron", *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert text in done.stderr


def test_without_arguments_there_is_help(iii: Iii) -> None:
    assert "fire FUNCTION" in iii("cron").stdout
