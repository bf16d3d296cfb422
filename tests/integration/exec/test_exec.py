"""Commands beside a real engine: real processes, real files (07 §6.1)."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import psutil
import pytest
import yaml

from tests.processes import EngineProcess

WAIT_S = 60.0


def until(condition: Callable[[], object], what: Callable[[], str]) -> None:
    give_up_at = time.monotonic() + WAIT_S
    while not condition():
        if time.monotonic() > give_up_at:
            raise AssertionError(what())
        time.sleep(0.02)


def engine(folder: Path, *blocks: dict[str, object]) -> EngineProcess:
    workers = [{"name": "iii-exec", "config": block} for block in blocks]
    workers.append({"name": "iii-worker-manager", "config": {"host": "127.0.0.1", "port": 1}})
    text = yaml.safe_dump({"workers": workers}).replace("port: 1\n", "port: {port}\n")
    return EngineProcess(folder, config=text)


def alive(pid: int) -> bool:
    try:
        status: str = psutil.Process(pid).status()
    except psutil.NoSuchProcess:  # perhaps only just now
        return False
    return status != psutil.STATUS_ZOMBIE


def pids(file: Path) -> list[int]:
    return [int(line) for line in file.read_text().split()] if file.exists() else []


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return tmp_path / "run"


def test_07_check_56_the_steps_run_in_order_and_a_failure_ends_them(run: Path) -> None:
    with engine(
        run, {"exec": ["exit 3", "touch x"]}, {"exec": ["touch a", "test -e a && touch b", "sleep 60"]}
    ) as process:
        until(lambda: "exec.step_failed" in process.log() and (run / "b").exists(), process.tail)
        assert "code: 3" in process.log()
        assert process.running
        assert not (run / "x").exists()


def test_07_check_56_a_stop_ends_the_last_command_its_children_and_who_ignores_sigterm(run: Path) -> None:
    polite = "sleep 600 & echo $! >> children; echo $$ >> children; wait"
    deaf = "trap '' TERM; echo $$ >> deaf; while :; do sleep 1; done"
    with engine(run, {"exec": ["true", polite]}, {"exec": [deaf]}) as process:
        until(lambda: len(pids(run / "children")) == 2 and pids(run / "deaf"), process.tail)
        assert process.stop() == 0
        until(lambda: not any(map(alive, pids(run / "children") + pids(run / "deaf"))), process.tail)
        assert process.log().count("exec.killed") == 1


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="the system shows no environments")
@pytest.mark.parametrize("killed", [False, True], ids=["stopped", "killed"])
def test_07_6_1_what_has_left_the_group_ends_too(run: Path, killed: bool) -> None:
    daemon = "(setsid sh -c 'echo $$ >> all; exec sleep 600' &) ; echo $$ >> all; exec sleep 600"
    polite = "setsid sh -c 'trap \"touch said; exit\" TERM; echo $$ >> all; while :; do sleep 0.1; done' & echo $$ >> all; wait"
    with engine(run, {"exec": [daemon]}, {"exec": [polite]}) as process:
        until(lambda: len(pids(run / "all")) == 4, process.tail)
        if killed:
            process.kill()
        else:
            assert process.stop() == 0
            assert (run / "said").exists(), "it was asked first"
        until(lambda: not any(map(alive, pids(run / "all"))), lambda: str(pids(run / "all")))


def test_07_6_1_nothing_outlives_an_engine_that_is_killed(run: Path) -> None:
    deaf = "trap '' TERM; echo $$ >> all; while :; do sleep 1; done"
    with engine(run, {"exec": ["sleep 600 & echo $! >> all; echo $$ >> all; wait"]}, {"exec": [deaf]}) as process:
        until(lambda: len(pids(run / "all")) == 3, process.tail)
        process.kill()
        until(lambda: not any(map(alive, pids(run / "all"))), lambda: str(pids(run / "all")))


def test_07_check_57_a_saved_file_runs_the_commands_again(run: Path) -> None:
    (run / "src" / "deep").mkdir(parents=True)
    file = run / "src" / "deep" / "a.ts"
    file.write_text("1")

    def replaced() -> None:
        (run / "new").write_text("2")
        os.replace(run / "new", file)

    def in_place() -> None:
        with file.open("r+") as opened:
            opened.write("2")

    ways = (in_place, replaced, file.unlink, lambda: (run / "src" / "b.ts").write_text("2"))
    block: dict[str, object] = {"exec": ["echo step >> steps", "echo $$ >> last; sleep 600"], "watch": ["src/**/*.ts"]}
    with engine(run, block) as process:
        watched(run, process)
        for way in ways:
            count = len(pids(run / "last"))
            (run / "src" / "a.js").write_text("2")
            (run / "a.ts").write_text("outside")
            way()
            until(partial(began_again, run, count), process.tail)
            assert quiet(process)
            assert sum(map(alive, pids(run / "last"))) == 1
            assert len((run / "steps").read_text().split()) == len(pids(run / "last")) == count + 1
        assert process.log().count("a.js") == 0


def began_again(run: Path, count: int) -> bool:
    return len(pids(run / "last")) > count


def watched(run: Path, process: EngineProcess) -> None:
    """Until a save is noticed: files are watched from some moment after the start."""
    saves = 0

    def noticed() -> bool:
        nonlocal saves
        saves += 1
        (run / "src" / f"probe{saves}.ts").write_text("")
        return "exec.changed" in process.log()

    until(noticed, process.tail)
    until(lambda: quiet(process), process.tail)


def quiet(process: EngineProcess) -> bool:
    """No restart for longer than changes are collected."""
    before = process.log().count("exec.changed")
    time.sleep(1.0)
    return process.log().count("exec.changed") == before


def test_07_6_1_a_command_that_fails_runs_again_after_a_pause(run: Path) -> None:
    again = "echo x >> runs; (sleep 600 & echo $! >> left); exit 7"
    with engine(
        run, {"exec": [again], "restart": "on-failure"}, {"exec": ["touch once"], "restart": "on-failure"}
    ) as process:
        until(lambda: (run / "runs").exists() and (run / "runs").read_text().count("x") >= 3, process.tail)
        until(lambda: sum(map(alive, pids(run / "left"))) <= 1, process.tail)
        assert process.log().count("Starting process: touch once") == 1
        assert process.stop() == 0
        until(lambda: not any(map(alive, pids(run / "left"))), lambda: str(pids(run / "left")))


def test_07_6_1_lines_of_a_command_have_its_name_in_log_and_store(run: Path) -> None:
    noisy = "printf '\\033[31mred\\033[0m line\\n'; echo error >&2; yes | head -c 100000; sleep 600"
    with engine(run, {"exec": [noisy], "env": {"WHO": "me"}}, {"exec": ["echo hello $HOME $III_URL."]}) as process:
        wanted = ("exec.output_cut", "hello", "… red line\n", "… error\n")  # of several pipes, in no order
        until(lambda: all(each in process.log() for each in wanted), process.tail)
        log = process.log()
        assert log.count("… y\n") < 10_000, "1,000 a second, of 50,000"
        logs = [sys.executable, "-m", "iii.cli", "logs", "--url", process.url, "--worker", "echo hello $HOME $III_URL."]
        shown = subprocess.run(logs, capture_output=True, text=True, timeout=WAIT_S, check=True).stdout
        assert f"hello {os.environ['HOME']} ." in shown
        assert "red line" not in shown


def test_07_6_1_a_folder_that_is_missing_stops_the_start(run: Path) -> None:
    process = engine(run, {"exec": ["true"], "cwd": "nowhere"})
    process.start(wait=False)
    assert process.wait() == 1
    assert "cwd: no folder 'nowhere'" in process.log()
