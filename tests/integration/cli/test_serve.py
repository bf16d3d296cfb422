"""`iii` runs the engine: file created, host given, signals, log (07 §4.1, §8.4, C2, L1)."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.cli.running import Iii, RunningEngine
from tests.processes import environment, free_port

Start = Callable[..., RunningEngine]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts `iii` in an empty directory; whatever still runs afterwards is killed."""
    running: list[RunningEngine] = []

    def start(*arguments: str, **extra: str) -> RunningEngine:
        running.append(RunningEngine(tmp_path, *arguments, **extra))
        return running[-1]

    yield start
    for engine in running:
        engine.process.kill()
        engine.process.wait()


def test_07_check_42_a_missing_file_is_created_and_the_engine_boots(start: Start, tmp_path: Path) -> None:
    pid = os.getpid()
    host = f"127.{pid % 250 + 2}.{pid // 250 % 250}.9"  # loopback of our own: the port of the created file is fixed
    engine = start("--host", host)
    assert engine.url() == f"ws://{host}:49134"
    assert engine.log[0].startswith("Created config.yaml, which lists the modules that run.")
    assert "name: iii-worker-manager" in (tmp_path / "config.yaml").read_text()
    assert start("--use-default-config", "--host", f"{host}1").url() == f"ws://{host}1:49134"


def test_07_s4_1_the_misspelt_name_of_a_file_starts_no_other_engine(start: Start, tmp_path: Path) -> None:
    """newcomer: an engine with the created file would listen elsewhere, and keep elsewhere what it is given."""
    (tmp_path / "staging.yaml").write_text("workers: []")
    engine = start("-c", "stagin.yaml")
    assert engine.process.wait(60) == 1
    engine.wait_for(
        "^Error: Config file not found: 'stagin.yaml', did you mean 'staging.yaml'\\? To create it: touch stagin.yaml\n$"
    )
    assert not (tmp_path / "stagin.yaml").exists()


def test_07_s8_4_signals_end_it_with_0(start: Start, tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text("port: 0\nworkers: [{name: iii-worker-manager, config: {port: 0}}]")
    for number in (signal.SIGINT, signal.SIGTERM):
        engine = start("-c", "my.yaml")
        engine.url()
        engine.process.send_signal(number)
        assert engine.process.wait(60) == 0
        assert "Traceback" not in "".join(engine.log)


def test_warnings_of_the_configuration_are_logged(start: Start, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("port: 4\nworkers: [{name: iii-worker-manager, config: {port: 0}}]")
    engine = start()
    engine.wait_for(r"\[WARN\] configuration\.questionable Configuration is probably not what was meant")
    engine.wait_for(r' warning: "config\.yaml: port: 4 is ignored')


def test_06_s11_json_log_from_the_block(start: Start, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(
        "workers:\n- {name: iii-worker-manager, config: {port: 0}}\n- {name: iii-observability, config: {format: json}}"
    )
    engine = start()
    engine.url()
    assert engine.stop() == 0
    assert {json.loads(line)["level"] for line in engine.log} == {"INFO"}


def test_L1_host_on_the_command_line_wins(start: Start, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("workers: [{name: iii-worker-manager, config: {port: 0, host: 203.0.113.7}}]")
    assert start("--host", "127.0.0.1").url().startswith("ws://127.0.0.1:")
    assert start(III_HOST="127.0.0.1").url().startswith("ws://127.0.0.1:")


def test_a_broken_stderr_does_not_stop_the_engine(tmp_path: Path, iii: Iii) -> None:
    port = free_port()
    (tmp_path / "config.yaml").write_text(f"workers: [{{name: iii-worker-manager, config: {{port: {port}}}}}]")
    read_end, write_end = os.pipe()
    os.close(read_end)
    with subprocess.Popen(
        [sys.executable, "-m", "iii.cli"], cwd=tmp_path, env=environment(), stdin=subprocess.DEVNULL, stderr=write_end
    ) as process:
        os.close(write_end)
        deadline = time.monotonic() + 60
        while iii("worker", "list", "--port", str(port)).returncode != 0:
            assert process.poll() is None
            assert time.monotonic() < deadline
        assert iii("trigger", "engine::log::error", "message=nobody reads this", "--port", str(port)).returncode == 0
        assert iii("worker", "list", "--port", str(port)).returncode == 0
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
