"""Runs the `iii` command as people do: in a directory, as a process."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Iii = Callable[..., "subprocess.CompletedProcess[str]"]


def environment(**extra: str) -> dict[str, str]:
    """The environment of this process without its III_ variables."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("III_")}
    return kept | extra


@pytest.fixture
def iii(tmp_path: Path) -> Iii:
    """Runs `iii ARGUMENTS…` to its end in an empty directory."""

    def iii(*arguments: str, stdin: str = "", **extra: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "iii.cli", *arguments],
            cwd=tmp_path,
            env=environment(**extra),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=30,
        )

    return iii
