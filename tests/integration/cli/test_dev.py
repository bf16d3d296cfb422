"""`iii dev`: an app that runs again whenever its source has changed."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from iii.installation import how_to_install
from tests.integration.cli.running import Iii, RunningEngine
from tests.processes import LineProcess

APP = """
import iii
from answer import ANSWER

app = iii.App("orders")

@app.on_start
def start() -> None:
    print("answers", ANSWER, flush=True)

@app.on_stop
def stop() -> None:
    print("stopped", flush=True)

@app.function("answer")
def answer(data: object) -> str:
    return ANSWER

if __name__ == "__main__":
    raise SystemExit("dev runs the app by itself")
"""


@pytest.fixture
def dev(tmp_path: Path, engine: RunningEngine) -> Iterator[LineProcess]:
    (tmp_path / "orders.py").write_text(APP)
    (tmp_path / "answer.py").write_text("ANSWER = 'one'\n")
    command = [sys.executable, "-m", "iii", "dev", "orders.py", "--url", engine.url()]
    environment = {"OTEL_ENABLED": "off", "PYTHONDONTWRITEBYTECODE": ""}  # whoever runs the tests may have set it
    process = LineProcess(command, cwd=tmp_path, env=environment, stderr=subprocess.STDOUT)
    yield process
    process.terminate()


def said(dev: LineProcess) -> list[str]:
    """Without what the SDK tells of the connection."""
    return [line for line in dev.lines() if "[INFO] iii.sdk " not in line]


def test_a_change_restarts_it_in_order_and_an_error_waits_for_the_next(dev: LineProcess, tmp_path: Path) -> None:
    """Also one that keeps the size, within the same second, in which a compiled file would count as that of the new source."""
    dev.wait_for_line("App started")  # what has not started is not stopped
    (tmp_path / "notes.txt").write_text("no Python")
    (tmp_path / "answer.py").write_text("ANSWER = 'two'\n")
    dev.wait_for_line("answers two")
    lines = said(dev)
    assert lines[-3:] == ["iii dev: answer.py changed; restarting", "stopped", "answers two"]
    assert not any("notes.txt" in line for line in lines)

    (tmp_path / "answer.py").write_text("ANSWER = \n")
    dev.wait_for_line("SyntaxError")
    dev.wait_for_line("iii dev: the app ended with code 1; waiting for a change")
    (tmp_path / "answer.py").write_text("ANSWER = 'three'\n")
    dev.wait_for_line("answers three")


def test_what_has_not_changed_is_not_compiled_again(dev: LineProcess, tmp_path: Path) -> None:
    """Each restart would compile all libraries that came uncompiled: several seconds."""
    dev.wait_for_line("answers one")
    (compiled,) = (tmp_path / "__pycache__").glob("answer.*.pyc")
    assert b"one" in compiled.read_bytes()

    before, saved = (tmp_path / "answer.py").stat(), tmp_path / "saved.txt"
    saved.write_text("ANSWER = 'two'\n")
    os.utime(saved, ns=(before.st_atime_ns, before.st_mtime_ns))
    saved.replace(tmp_path / "answer.py")  # as if it were of the same moment
    dev.wait_for_line("answers two")
    assert b"two" in compiled.read_bytes()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_both_in_order(dev: LineProcess, number: signal.Signals) -> None:
    dev.wait_for_line("App started")  # what has not started is not stopped
    os.kill(dev.pid, number)
    assert dev.wait() == 0
    assert re.search(r"answers one(?s:.*)stopped\Z", "\n".join(said(dev)))


def test_killed_it_leaves_no_app_behind(dev: LineProcess) -> None:
    dev.wait_for_line("answers one")
    (app,) = psutil.Process(dev.pid).children()
    os.kill(dev.pid, signal.SIGKILL)
    app.wait(60)


def test_what_cannot_run_is_one_line(iii: Iii, tmp_path: Path) -> None:
    done = iii("dev", "missing.py")
    assert (done.returncode, done.stderr) == (1, "Error: no file 'missing.py'; expected FILE.py or FILE.py:NAME\n")
    (tmp_path / "app.py").write_text("")
    done = iii("dev", "app.py", "--watch", "lib")
    assert (done.returncode, done.stderr) == (1, "Error: --watch: no folder 'lib'\n")
    assert iii("dev").returncode == 2


def test_without_its_library_it_says_what_to_install(iii: Iii, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("")
    (tmp_path / "watchfiles.py").write_text("raise ImportError")
    done = iii("dev", "app.py", PYTHONPATH=str(tmp_path))
    expected = f"Error: 'iii dev' needs the library watchfiles: {how_to_install('dev')}\n"
    assert (done.returncode, done.stderr) == (1, expected)
