"""Runs the `iii` command as people do: in a directory, as a process."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.cli.running import Iii, RunningEngine
from tests.processes import environment


@pytest.fixture
def iii(tmp_path: Path) -> Iii:
    """Runs `iii ARGUMENTS…` to its end in an empty directory."""

    def iii(*arguments: str, stdin: str = "", **extra: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "iii.cli", *arguments],
            cwd=tmp_path,
            env=environment(extra),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
        )

    return iii


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEngine]:
    """An engine on a port of the system's choice, for the tests of one file."""
    folder = tmp_path_factory.mktemp("engine")
    (folder / "config.yaml").write_text("workers: [{name: iii-worker-manager, config: {port: 0}}, {name: iii-pubsub}]")
    running = RunningEngine(folder)
    try:
        running.url()
        yield running
        assert running.stop() == 0
        assert "Traceback" not in "".join(running.log)
    finally:
        running.process.kill()
        running.process.wait()
