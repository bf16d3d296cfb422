"""Tools of other makers that tests run, each kept in a folder between runs."""

import fcntl
import os
import shutil
import subprocess
import venv
from collections.abc import Sequence
from pathlib import Path

import pytest

_NPM = ("npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error", "--save-exact")
_NODE = ("openapi-typescript@7.13.0", "typescript@5")


def node_tools() -> Path:
    """The folder with `tsc` and `openapi-typescript`; without npm the test is skipped."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    return installed("node-openapi-7.13.0", [*_NPM, *_NODE]) / "node_modules" / ".bin"


def installed(name: str, *steps: Sequence[str]) -> Path:
    """A folder of tools, kept between runs."""
    root = Path(os.environ.get("III_COMPAT_CACHE") or Path.home() / ".cache" / "iii-compat")
    root.mkdir(parents=True, exist_ok=True)
    folder = root / name
    with (root / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            if name.startswith("python"):
                venv.create(folder, with_pip=False)
            else:
                (folder / "package.json").write_text('{"private": true}\n')
            for step in steps:
                run(*step, cwd=folder)
            (folder / "complete").touch()
    return folder


def run(*arguments: str, cwd: Path) -> str:
    done = subprocess.run(arguments, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, f"{arguments}\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
    return done.stdout + done.stderr
