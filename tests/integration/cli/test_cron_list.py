"""`iii cron list` against a running engine (issue 6)."""

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


def test_wrong_usage(iii: Iii) -> None:
    assert "Lists the schedules" in iii("cron").stdout
    done = iii("cron", "next")
    assert (done.returncode, done.stdout) == (2, "")
    assert "unknown command 'next' (expected list)" in done.stderr
    done = iii("cron", "list", "--port", "1", "--timeout-ms", "2000")
    assert (done.returncode, done.stdout) == (1, "")
