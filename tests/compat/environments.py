"""Where published clients are installed: one folder per client and version, made on demand, shared by all test runs.

An environment is complete when it has its stamp; whoever makes it holds the lock file of that folder meanwhile. What
the stamp says is compared with what is wanted, so a changed pin makes the folder anew.
"""

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
CONSTRAINTS = HERE / "constraints.txt"
INSTALL_S = 300.0


class EnvironmentFailed(Exception):
    """A published client cannot be installed; the text is the installer's last words."""


@dataclass(frozen=True)
class Client:
    """A published client: the language's word in the worker listing, and the version in its package registry."""

    language: str
    version: str

    def __str__(self) -> str:
        return f"{self.language}-{self.version}"

    @property
    def generation(self) -> tuple[int, int]:
        """Major and minor version, to compare."""
        major, minor = self.version.split(".")[:2]
        return int(major), int(minor)


def _clients(language: str, versions: str) -> tuple[Client, ...]:
    return tuple(Client(language, version) for version in versions.split())


PYTHON = _clients("python", "0.9.0 0.10.0 0.11.6 0.13.0 0.16.1 0.19.7 0.20.0 0.22.1 0.23.0 0.24.6 0.25.0")
NODE = _clients("node", "0.9.0 0.11.6 0.22.1")


def missing_tool(client: Client) -> str | None:
    """The name of the program that this client needs and this machine lacks."""
    tools = ("node", "npm") if client.language == "node" else ()
    return next((tool for tool in tools if shutil.which(tool) is None), None)


def folder_of(client: Client) -> Path:
    """Where it lives; `III_COMPAT_CACHE` names another place for all of them."""
    root = os.environ.get("III_COMPAT_CACHE") or Path.home() / ".cache" / "iii-compat"
    return Path(root) / str(client)


def command(client: Client) -> list[str]:
    """Its driver program, to be started. Raises EnvironmentFailed if the client cannot be installed."""
    folder = install(client)
    if client.language == "python":
        return [str(folder / "bin" / "python"), "-u", str(HERE / "driver.py")]
    return ["node", str(HERE / "driver.cjs"), str(folder)]


def install(client: Client) -> Path:
    """Its folder, complete; made now if need be. Raises EnvironmentFailed."""
    folder = folder_of(client)
    stamp = folder / "complete"
    wanted = _recipe(client)
    if _text(stamp) == wanted:
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _locked(folder.with_name(f"{folder.name}.lock")):
        if _text(stamp) != wanted:
            shutil.rmtree(folder, ignore_errors=True)
            (_install_python if client.language == "python" else _install_node)(client, folder)
            stamp.write_text(wanted)
    return folder


def install_all(clients: Sequence[Client]) -> None:
    """All of them, two at a time. Raises EnvironmentFailed of the first that failed."""
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(install, clients))


def _requirement(client: Client) -> str:
    """As pip or npm wants it."""
    if client.language == "node":
        return f"iii-sdk@{client.version}"
    extra = "[otel]" if client.generation < (0, 11) else ""  # later ones always have telemetry
    return f"iii-sdk{extra}=={client.version}"


def _recipe(client: Client) -> str:
    """What an installation depends on."""
    constraints = f"{sys.version}\n{CONSTRAINTS.read_text()}" if client.language == "python" else ""
    return f"{_requirement(client)}\n{constraints}"


def _install_python(client: Client, folder: Path) -> None:
    venv.create(folder, with_pip=False)
    python = str(folder / "bin" / "python")
    pip = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check", "install", "--quiet"]
    _run([*pip, "--constraint", str(CONSTRAINTS), _requirement(client)], folder)


def _install_node(client: Client, folder: Path) -> None:
    folder.mkdir()
    (folder / "package.json").write_text('{"private": true}\n')
    npm = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error", "--save-exact"]
    _run([*npm, _requirement(client)], folder)


def _run(arguments: Sequence[str], folder: Path) -> None:
    try:
        done = subprocess.run(
            arguments, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=INSTALL_S
        )
    except subprocess.TimeoutExpired:
        raise EnvironmentFailed(f"{folder.name}: {arguments[0]} took longer than {INSTALL_S} s") from None
    if done.returncode != 0:
        raise EnvironmentFailed(f"{folder.name}: {' '.join(arguments)}\n{done.stdout[-2000:]}{done.stderr[-4000:]}")


def _text(path: Path) -> str | None:
    try:
        return path.read_text()
    except FileNotFoundError:
        return None


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Only one process at a time is in here; the OS frees the lock when the process dies."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    install_all([client for client in (*PYTHON, *NODE) if missing_tool(client) is None])
