"""`iii top` against a running engine (19 §5)."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator

import pytest

import iii as sdk
from tests.integration.cli.running import Iii, RunningEngine, running_engine
from tests.integration.cli.terminal import read_until
from tests.processes import environment


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEngine]:
    with running_engine(tmp_path_factory.mktemp("engine"), "- {name: iii-queue}") as running:
        yield running


@pytest.fixture(scope="module", autouse=True)
def worker(engine: RunningEngine) -> Iterator[sdk.Worker]:
    worker = sdk.register_worker(engine.url(), sdk.InitOptions(worker_name="shop", otel={"enabled": False}))
    worker.register_function("shop::buy", lambda payload: payload)
    for _ in range(7):
        worker.trigger({"function_id": "shop::buy", "payload": {}})
    yield worker
    worker.shutdown()


def test_19_5_one_look_is_printed_for_a_pipe(iii: Iii, engine: RunningEngine) -> None:
    done = iii("top", "--interval", "200ms", "--url", engine.url())
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.split() for line in done.stdout.splitlines()]
    assert lines[0][:3] == [engine.url(), "1", "worker,"]
    assert ["shop::buy", "0.0", "0", "-", "-", "-", "7"] in lines
    assert ["shop", "available", "1", "0"] in [line[:4] for line in lines]
    assert "SILENT" in done.stdout
    assert ["default", "0", "0", "0", "0"] in lines
    assert not any(line[0].startswith("engine::") for line in lines if line)
    assert "engine::workers::register" in iii("top", "--all", "--interval", "200ms", "--url", engine.url()).stdout


def test_19_5_a_function_whose_worker_is_gone_is_still_there_while_it_is_called(
    iii: Iii, engine: RunningEngine
) -> None:
    seller = sdk.register_worker(engine.url(), sdk.InitOptions(worker_name="seller", otel={"enabled": False}))
    seller.register_function("shop::sell", lambda payload: payload)
    seller.trigger({"function_id": "shop::sell", "payload": {}})
    seller.shutdown()
    assert iii("trigger", "shop::sell", "--url", engine.url()).returncode == 1
    shown = iii("top", "--interval", "200ms", "--url", engine.url()).stdout
    assert "shop::sell (no worker)" in shown
    found = json.loads(iii("top", "--json", "--interval", "200ms", "--url", engine.url()).stdout)["functions"]
    row = next(row for row in found if row["function_id"] == "shop::sell")
    assert (row["calls"], row["errors"], row["missing"]) == (2, 1, True)


def test_19_5_json_has_all_rows(iii: Iii, engine: RunningEngine) -> None:
    found = json.loads(iii("top", "--json", "--interval", "200ms", "--limit", "1", "--url", engine.url()).stdout)
    function = next(row for row in found["functions"] if row["function_id"] == "shop::buy")
    assert (function["calls"], function["p99"], function["missing"]) == (7, None, False)
    assert [row["name"] for row in found["workers"]] == ["shop"]
    assert found["queues"]["default"]["depth"] == 0


def test_19_5_on_a_terminal_it_goes_on_until_ctrl_c_and_gives_the_terminal_back(
    engine: RunningEngine, worker: sdk.Worker
) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "iii.cli", "top", "--interval", "200ms", "--url", engine.url()]
    with subprocess.Popen(
        command, env=environment(), stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    ) as process:
        os.close(theirs)
        shown = read_until(ours, "shop::buy")
        worker.trigger({"function_id": "shop::buy", "payload": {}})
        shown += read_until(ours, "≤")  # a call that ended within one interval
        process.send_signal(2)
        shown += read_until(ours, "\x1b[?1049l")
        assert process.wait(60) == 130
    os.close(ours)
    assert shown.startswith("\x1b[?1049h")
    assert "Traceback" not in shown


def test_wrong_usage_and_no_engine(iii: Iii) -> None:
    for wrong, text in (
        (["--sort", "speed"], "--sort: expected one of rate, calls, error-rate, errors, running, p99, name, got 'speed'"),
        (["--interval", "1ms"], "--interval: expected 200ms to 1h, got 0.001s"), (["--interval", "soon"], "expected a duration"),
        (["--limit", "0"], "--limit"), (["extra"], "extra"),
    ):  # fmt: skip
        done = iii("top", *wrong)
        assert done.returncode == 2
        assert text in done.stderr
    nobody = iii("top", "--once", "--port", "1")
    assert (nobody.returncode, nobody.stderr[:24]) == (1, "Error: cannot connect to")
