"""A running process notices its configuration file, and SIGHUP (07 checks 44 and 48, 18 §3.1)."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.machine import scaled
from tests.processes import EngineProcess

CONFIG = """\
workers:
  - {name: iii-worker-manager, config: {host: 127.0.0.1, port: {port}}}
  - {name: iii-state, config: {max_value_bytes: 7}}
"""


def wait_for(engine: EngineProcess, text: str, times: int = 1, deadline_s: float = 60.0) -> None:
    limit = time.monotonic() + scaled(deadline_s)
    while engine.log().count(text) < times:
        assert time.monotonic() < limit, engine.tail()
        assert engine.running, engine.tail()
        time.sleep(0.02)


def replaced(path: Path, text: str) -> None:
    """As editors do it."""
    new = path.with_suffix(".new")
    new.write_text(text)
    os.replace(new, path)


def in_place(path: Path, text: str) -> None:
    path.write_text(text)


@pytest.mark.parametrize("write", [replaced, in_place])
def test_07_check_44_a_written_file_is_read_once(write: Callable[[Path, str], None], tmp_path: Path) -> None:
    with EngineProcess(tmp_path, config=CONFIG) as engine:
        text = engine.config_path.read_text()
        (tmp_path / "beside.yaml").write_text("x")
        write(engine.config_path, text.replace("bytes: 7", "bytes: 9"))
        wait_for(engine, "reload.done")
        os.utime(engine.config_path)
        wait_for(engine, "reload.unchanged")
        engine.send_signal(signal.SIGHUP)
        wait_for(engine, "reload.unchanged", 2)
        assert engine.log().count("reload.") == 3


def test_07_check_48_P18_emptying_and_removing_the_file_keep_what_runs(tmp_path: Path) -> None:
    with EngineProcess(tmp_path, config=CONFIG) as engine:
        text = engine.config_path.read_text()
        engine.config_path.write_text("")
        wait_for(engine, "the file is empty")
        engine.config_path.unlink()
        wait_for(engine, "reload.rejected", 2)
        engine.config_path.write_text(text.replace("bytes: 7", "bytes: 9"))
        wait_for(engine, "reload.done")


def test_07_check_48_L11_strict_reloads_end_the_engine(tmp_path: Path) -> None:
    engine = EngineProcess(tmp_path, config=CONFIG, arguments=["--reload-strict"])
    with engine:
        engine.config_path.write_text("workers: [")
        assert engine.wait() == 1
        assert "Error: reload: parse failed: " in engine.log()
