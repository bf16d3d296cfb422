"""`iii logs` against a running engine (issue 15; 06 §10.4)."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest

import iii as sdk
from tests.integration.cli.running import Iii, RunningEngine
from tests.processes import environment


@pytest.fixture
def worker(engine: RunningEngine) -> Iterator[sdk.Worker]:
    worker = sdk.register_worker(engine.url(), sdk.InitOptions(worker_name="orders", otel={"enabled": False}))
    worker.trigger({"function_id": "engine::logs::clear"})
    yield worker
    worker.shutdown()


def say(worker: sdk.Worker, message: str, level: str = "info", **members: Any) -> None:
    payload = {"message": message, "service_name": "orders", **members}
    worker.trigger({"function_id": f"engine::log::{level}", "payload": payload})


class Following:
    """`iii logs -f` as a process."""

    def __init__(self, engine: RunningEngine, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "iii.cli", "logs", "-f", "--url", engine.url(), *arguments],
            env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def lines(self, until: str) -> list[str]:
        """Those up to one that contains this."""
        return self._read(self.process.stdout, until)

    def complaints(self, until: str) -> list[str]:
        """As `lines`, of those about the connection."""
        return self._read(self.process.stderr, until)

    @staticmethod
    def _read(stream: IO[str] | None, until: str) -> list[str]:
        assert stream is not None
        read = []
        for line in stream:
            read.append(line.rstrip("\n"))
            if until in line:
                return read
        raise AssertionError(f"no {until!r} in {read!r}, but the end")

    def interrupt(self) -> int:
        self.process.send_signal(2)
        return self.process.wait(60)


@pytest.fixture
def follow() -> Iterator[Any]:
    started: list[Following] = []

    def start(*arguments: str, engine: RunningEngine) -> Following:
        started.append(Following(engine, *arguments))
        return started[-1]

    yield start
    for each in started:
        each.process.kill()
        each.process.communicate()


def test_records_are_printed_oldest_first(iii: Iii, engine: RunningEngine, worker: sdk.Worker) -> None:
    for level in ("info", "warn", "error"):
        say(worker, f"a {level}", level, data={"order": 7}, trace_id="ab" * 16)
    done = iii("logs", "--worker", "ORDERS", "--url", engine.url())
    lines = [line.partition("] ")[2] for line in done.stdout.splitlines()]
    trace = f'trace_id="{"ab" * 16}"'
    assert lines == [f"[{level.upper()}] orders a {level} (order=7, {trace})" for level in ("info", "warn", "error")]
    of_one_trace = iii("logs", "--trace", "ab" * 16, "--url", engine.url()).stdout
    assert "[INFO] orders a info (order=7)\n" in of_one_trace
    assert done.returncode == 0

    def bodies(*arguments: str) -> list[str]:
        printed = iii("logs", "--json", "--url", engine.url(), *arguments).stdout
        return [json.loads(line)["body"] for line in printed.splitlines()]

    assert bodies("--level", "warn", "--trace", "AB" * 16) == ["a warn", "a error"]
    assert bodies("--limit", "1", "--worker", "orders") == ["a error"]
    assert bodies("--trace", "cd" * 16) == []


def test_no_records_are_said_to_be_none(iii: Iii, engine: RunningEngine, worker: sdk.Worker) -> None:
    say(worker, "one")
    for arguments, text in (
        (["--worker", "orders", "--level", "fatal"], "No log records match; 'iii logs' shows all.\n"),
        (["--worker", "orders", "--limit", "0"], "1 log record kept; --limit 0 shows none of them\n"),
    ):
        done = iii("logs", *arguments, "--url", engine.url())
        assert (done.returncode, done.stdout, done.stderr) == (0, "", text)
    worker.trigger({"function_id": "engine::logs::clear"})
    assert iii("logs", "--url", engine.url()).stderr in ("No log records are kept.\n", "")


def test_records_of_an_age(iii: Iii, engine: RunningEngine, worker: sdk.Worker) -> None:
    say(worker, "a moment ago")
    told = iii("logs", "--since", "1h", "--worker", "orders", "--url", engine.url())
    assert "a moment ago" in told.stdout
    nothing = iii("logs", "--since", "1ms", "--worker", "orders", "--url", engine.url())  # to start it takes longer
    assert (nothing.returncode, nothing.stdout) == (0, "")
    assert nothing.stderr == "No log records match; 'iii logs' shows all.\n"
    wrong = iii("logs", "--since", "yesterday", "--url", engine.url())
    assert wrong.returncode == 2
    assert wrong.stderr.startswith(
        "error: --since: expected a duration such as 250ms, 90s, 10m, 2h or 1d, got 'yesterday'"
    )


def test_the_place_in_the_source_is_for_programs(iii: Iii, engine: RunningEngine, worker: sdk.Worker) -> None:
    say(worker, "placed", data={"code.file.path": "/srv/shop.py", "code.line.number": 11, "order": 7})
    printed = iii("logs", "--worker", "orders", "--url", engine.url()).stdout
    assert printed.endswith("[INFO] orders placed (order=7)\n")
    assert "/srv/shop.py" in iii("logs", "--worker", "orders", "--json", "--url", engine.url()).stdout


def test_following_prints_each_record_once_until_ctrl_c(follow: Any, engine: RunningEngine, worker: sdk.Worker) -> None:
    say(worker, "before")
    following = follow("--worker", "orders", engine=engine)
    lines = following.lines("before")
    for number in range(50):
        say(worker, f"number {number:02}")
    say(worker, "last")
    lines += following.lines("last")
    assert [line.rpartition("orders ")[2] for line in lines] == [
        "before",
        *(f"number {n:02}" for n in range(50)),
        "last",
    ]
    assert following.interrupt() == 130
    assert following.process.stderr is not None
    assert following.process.stderr.read() == ""


def test_a_record_cannot_forge_a_line_or_steer_a_terminal(iii: Iii, engine: RunningEngine, worker: sdk.Worker) -> None:
    say(worker, "one\nline \u202e", data={"key\n": "\x9b31m"})
    assert len(iii("logs", "--worker", "orders", "--url", engine.url()).stdout.splitlines()) == 1
    printed = iii("logs", "--worker", "orders", "--json", "--url", engine.url()).stdout
    assert "\u202e" not in printed
    assert "\x9b" not in printed
    assert json.loads(printed)["body"] == "one\nline \u202e"


def test_following_goes_on_after_a_restart_of_the_engine(tmp_path: Path, follow: Any) -> None:
    def started(port: int) -> RunningEngine:
        (tmp_path / "config.yaml").write_text(f"workers: [{{name: iii-worker-manager, config: {{port: {port}}}}}]")
        engines.append(RunningEngine(tmp_path))
        engines[-1].url()
        return engines[-1]

    def log(engine: RunningEngine, message: str) -> None:
        worker = sdk.register_worker(engine.url(), sdk.InitOptions(otel={"enabled": False}))
        say(worker, message)
        worker.shutdown()

    engines: list[RunningEngine] = []
    try:
        first = started(0)
        log(first, "before")
        following = follow("--worker", "orders", "--timeout-ms", "1000", engine=first)
        lines = following.lines("before")
        log(first, "between")
        lines += following.lines("between")  # it is connected for good
        assert first.stop() == 0
        second = started(int(first.url().rpartition(":")[2]))
        log(second, "after")
        lines += following.lines("after")
        assert [line.rpartition("orders ")[2] for line in lines] == ["before", "between", "after"]
        told = following.complaints("Connected to the engine")  # which may be known after the first answer
        assert following.interrupt() == 130
        assert "Connection to the engine lost" in told[0]
        assert all("Cannot connect to the engine" in line for line in told[1:-1])
    finally:
        for engine in engines:
            engine.process.kill()
            engine.process.wait()


def test_no_engine_and_wrong_usage(iii: Iii) -> None:
    nobody = iii("logs", "--port", "1")
    assert (nobody.returncode, nobody.stderr[:24]) == (1, "Error: cannot connect to")
    for wrong in (("--level", "loud"), ("--limit", "-1"), ("--nonsense",), ("extra",)):
        done = iii("logs", *wrong)
        assert done.returncode == 2
        assert wrong[0] in done.stderr
