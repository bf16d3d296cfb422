"""`iii init`: what it makes passes its own tests and runs, and nothing is ever overwritten (24 §6)."""

import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.cli.running import Iii
from tests.processes import LineProcess, environment, free_port

FILES = [
    "README.md", "app.py", "test_app.py", "pyproject.toml", "config.yaml", "Dockerfile", ".dockerignore", ".gitignore",
]  # fmt: skip
WAIT_S = 60


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("work")
    done = ran(folder, "init", "my-shop")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Made my-shop in my-shop: README.md, ")
    assert "  cd my-shop\n" in done.stdout
    return folder / "my-shop"


def ran(folder: Path, *arguments: str, **extra: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "iii.cli", *arguments],
        cwd=folder, env=environment(extra), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=WAIT_S,
    )  # fmt: skip


class Running:
    """Its engine and its worker."""

    def __init__(self, project: Path) -> None:
        self.http = free_port()
        port = free_port()
        self.url = f"ws://127.0.0.1:{port}"
        self.folder = project
        ports = {"III_PORT": str(port), "HTTP_PORT": str(self.http), "CONSOLE_PORT": str(free_port())}
        self.engine = LineProcess([sys.executable, "-m", "iii.cli"], env=ports, cwd=project, stderr=subprocess.STDOUT)
        self.engine.wait_for_line("workers_connect_to")
        self.worker = LineProcess(
            [sys.executable, "app.py"], env={"III_URL": self.url}, cwd=project, stderr=subprocess.STDOUT
        )
        self.engine.wait_for_line("my-shop-")

    def request(self, method: str, body: bytes | None = None) -> object:
        """A note over HTTP."""
        headers = {"Content-Type": "application/json"} if body else {}
        wanted = urllib.request.Request(f"http://127.0.0.1:{self.http}/notes/1", body, headers, method=method)
        with urllib.request.urlopen(wanted, timeout=WAIT_S) as answer:
            return json.load(answer)


@pytest.fixture(scope="module")
def running(project: Path) -> Iterator[Running]:
    running = Running(project)
    yield running
    assert running.worker.terminate() == 0
    assert running.engine.terminate() == 0


def test_24_6_its_tests_pass_and_its_configuration_has_no_mistake(project: Path) -> None:
    assert sorted(path.name for path in project.iterdir()) == sorted(FILES)
    assert "PROJECT" not in "".join((project / name).read_text() for name in FILES)
    tested = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=project, env=environment(), capture_output=True, text=True, timeout=WAIT_S,
    )  # fmt: skip
    assert "3 passed" in tested.stdout, tested.stdout
    checked = ran(project, "config", "check")
    assert (checked.returncode, "warning" in checked.stdout) == (0, False), checked.stdout


def test_24_6_engine_and_worker_run_as_the_readme_says(running: Running) -> None:
    commands = re.findall(r"^\$ (.*?)(?: {2,}#.*)?$", (running.folder / "README.md").read_text(), re.MULTILINE)
    assert commands[:3] == ["pytest", "iii", "iii dev app.py"]
    (greeting,) = (command.split()[1:] for command in commands if command.startswith("iii trigger"))
    deadline_s = "30000"  # the worker may still register
    greeted = ran(running.folder, *greeting, III_URL=running.url)
    while "function_not_found" in greeted.stderr:
        greeted = ran(running.folder, *greeting, "--timeout-ms", deadline_s, III_URL=running.url)
    assert (greeted.stdout, greeted.stderr) == ('"Hello, Ada!"\n', "")
    (body,) = (command.partition("-d '")[2].removesuffix("'") for command in commands if "-X PUT" in command)
    running.request("PUT", body.encode())
    while (note := running.request("GET")) != {"text": "three short words", "words": 3}:
        assert note == {"text": "three short words", "words": None}


@pytest.mark.parametrize("name", FILES)
def test_24_6_a_name_that_is_taken_stops_it_before_anything_is_made(iii: Iii, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "taken"
    folder.mkdir()
    (folder / name).symlink_to("nowhere")
    done = iii("init", str(folder))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"Error: {folder / name} exists already; nothing was made\n"
    assert [path.name for path in folder.iterdir()] == [name]


def test_24_6_what_cannot_be_written_leaves_nothing_behind(iii: Iii, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = iii("init", str(tmp_path / "file" / "shop"))
    assert done.returncode == 1
    assert done.stderr == f"Error: cannot make {tmp_path / 'file' / 'shop'}: Not a directory; nothing was made\n"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["My Shop"], "DIR: 'My Shop' is not a name of lower-case letters, digits, '-' and '_' that begins with a letter; "
         "did you mean --name my-shop?"),
        (["x", "--name", "engine"], "--name: 'engine' is reserved for the engine; choose one with --name"),
        (["x", "--name", ""], "--name: '' is not a name of lower-case"),
        (["x", "--name", "a" * 51], "exceeds the limit of 50 characters"),
        (["x", "--name", "a\n"], "--name: 'a\\n' is not a name"),
        ([""], "DIR: expected the name of a folder, got nothing"),
        (["a", "b"], "unexpected argument 'b'"),
    ],
)  # fmt: skip
def test_24_6_a_name_that_is_not_allowed_is_wrong_usage(
    iii: Iii, tmp_path: Path, arguments: list[str], text: str
) -> None:
    done = iii("init", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert text in done.stderr
    assert not (tmp_path / arguments[0]).is_dir() or not any(
        path.name in FILES for path in (tmp_path / arguments[0]).iterdir()
    )


def test_24_6_json_says_what_was_made(iii: Iii, tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "folder"
    done = iii("init", os.fspath(folder), "--name", "orders", "--json")
    assert json.loads(done.stdout) == {"name": "orders", "folder": str(folder), "files": FILES}
    assert 'iii.App("orders")' in (folder / "app.py").read_text()
