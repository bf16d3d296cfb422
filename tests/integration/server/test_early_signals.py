"""Signals at any moment of a start and of a stop (07 §8.4, 18 §3.1)."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from iii.net.system_signals import early_signals
from iii.server import process
from tests.machine import scaled
from tests.processes import environment

# Some of the functions that an engine calls send signals when they are called for the first time, before they do anything
ENGINE = """
import os, pkgutil, signal, sys
from iii.cli import main

def sending(place, *numbers):
    holder, _, name = place.rpartition(".")
    holder = pkgutil.resolve_name(holder)
    before = getattr(holder, name)

    def sends(*arguments, **options):
        setattr(holder, name, before)
        for number in numbers:
            os.kill(os.getpid(), getattr(signal, number))
        return before(*arguments, **options)

    setattr(holder, name, sends)

for each in sys.argv[1:]:
    sending(*each.split(","))
sys.exit(main(["-c", "iii.yaml"]))
"""
STEPS = [
    "iii.cli.serve.build_parser",
    "iii.server.config_file.load",
    "iii.server.process.run",
    "iii.server.log.configure",
    "iii.server.process.raise_limit",
    "iii.server.process._loop_factory",
    "iii.server.process.Supervision",
    "iii.server.process.EngineServer.start",
    "iii.server.process.shortage",
    "iii.server.process._calm_collector",
]
READY = STEPS[-1:]  # the engine has said that it is
ENDS = "iii.server.supervision.Supervision.reload_ended"  # SIGTERM comes when the reload is over
CLOSED = "selectors.EpollSelector.close"  # by an event loop of asyncio that is closed already
STOPS = "iii.server.process.EngineServer.stop"


def run(tmp_path: Path, *sent: str, port: int = 0, loop: str = "uvloop") -> tuple[int, str]:
    """The exit code and the log."""
    (tmp_path / "iii.yaml").write_text(
        f"workers: [{{name: iii-worker-manager, config: {{host: 127.0.0.1, port: {port}}}}}]"
    )
    done = subprocess.run(
        [sys.executable, "-c", ENGINE, *sent],
        cwd=tmp_path,
        env=environment({"III_LOOP": loop}),
        capture_output=True,
        text=True,
        timeout=scaled(60),
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("step", "number"), [*((step, "SIGTERM") for step in STEPS), *((step, "SIGINT") for step in STEPS[::4])]
)
def test_07_8_4_a_signal_in_the_midst_of_a_start_ends_it_in_order(tmp_path: Path, step: str, number: str) -> None:
    code, log = run(tmp_path, f"{step},{number}")
    assert code == 0, log
    assert "Traceback" not in log
    assert log == "" or log.rstrip().endswith("Engine stopped")
    assert ("engine.ready" in log) == (step in READY)
    assert log.count("engine.stopping") == log.count("engine.stopped")


@pytest.mark.parametrize("step", STEPS[::3])
def test_18_L11_SIGHUP_in_the_midst_of_a_start_counts_once_the_engine_runs(tmp_path: Path, step: str) -> None:
    code, log = run(tmp_path, f"{step},SIGHUP", f"{ENDS},SIGTERM")
    assert code == 0, log
    assert log.count("reload.unchanged") == 1


def test_18_L11_SIGHUP_while_its_handlers_change_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    def came_early(number: int) -> bool:
        signal.raise_signal(signal.SIGHUP)
        return False

    monkeypatch.setattr(process, "came_early", came_early)
    reloads = list[None]()
    with early_signals():
        process.EngineSignals().reload_by(lambda: reloads.append(None))
    assert reloads


def test_18_L11_SIGHUP_in_the_midst_of_a_stop_changes_nothing(tmp_path: Path) -> None:
    code, log = run(tmp_path, "iii.server.process._calm_collector,SIGTERM", f"{STOPS},SIGHUP,SIGHUP")
    assert code == 0, log
    assert "reload." not in log
    assert log.rstrip().endswith("Engine stopped")


def test_07_8_4_a_second_signal_ends_a_start_at_once(tmp_path: Path) -> None:
    code, log = run(tmp_path, "iii.server.process.raise_limit,SIGTERM,SIGTERM")
    assert code == -signal.SIGTERM, log


@pytest.mark.parametrize("number", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_07_8_4_a_signal_after_a_start_that_failed_hides_not_why(tmp_path: Path, number: str) -> None:
    """The loop is closed, and the handlers are still those of the engine."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, log = run(tmp_path, f"{CLOSED},{number}", port=taken.getsockname()[1], loop="asyncio")
    assert code == 1, log
    assert "is already in use" in log
    assert "Traceback" not in log
