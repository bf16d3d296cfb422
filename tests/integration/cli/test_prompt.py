"""On a terminal people are asked before a configuration file is created (07 §4.1)."""

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

from tests.integration.cli.terminal import read_until
from tests.processes import environment


def test_07_s4_1_no_creates_nothing_and_starts_nothing(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "iii.cli"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment(), stdin=theirs, stderr=theirs, stdout=theirs
    ) as process:
        os.close(theirs)
        asked = read_until(ours, "[Y/n] ")
        os.write(ours, b"n\n")
        assert process.wait(60) == 1
        told = read_until(ours, "not started")
    os.close(ours)
    assert f"No config.yaml found in {tmp_path}. Create it and start the engine? [Y/n] " in asked
    assert "Nothing created, engine not started." in told
    assert list(tmp_path.iterdir()) == []


def test_07_s8_4_ctrl_c_at_the_question_ends_the_command(tmp_path: Path) -> None:
    """With 130, as any command: an engine that was started and stopped has 0."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "iii.cli"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment(), stdin=theirs, stderr=theirs, stdout=theirs
    ) as process:
        os.close(theirs)
        read_until(ours, "[Y/n] ")
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    os.close(ours)
    assert list(tmp_path.iterdir()) == []


def test_07_s4_1_enter_creates_the_file_and_starts(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    (tmp_path / "sub").mkdir()
    host = f"127.{os.getpid() % 250 + 2}.{os.getpid() // 250 % 250}.7"
    command = [sys.executable, "-m", "iii.cli", "-c", "sub/my.yaml", "--host", host]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment(), stdin=theirs, stderr=theirs, stdout=theirs
    ) as process:
        os.close(theirs)
        assert f"No my.yaml found in {tmp_path}/sub. Create it" in read_until(ours, "[Y/n] ")
        os.write(ours, b"\n")
        told = read_until(ours, f"ws://{host}:49134")
        process.terminate()
        assert process.wait(60) == 0
    os.close(ours)
    assert "Created sub/my.yaml, which lists" in told
    assert "\x1b[34m[INFO]\x1b[0m" in told, "colours on a terminal"
