"""The wheel: installed into empty environments, run in another folder (newcomer M18, M19)."""

import email
import re
import subprocess
import sys
import textwrap
import venv
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import pytest

from iii.protocol.versions import PACKAGE_VERSION
from tests.processes import EngineProcess, LineProcess, environment, free_port

ROOT = Path(__file__).parents[3]
INSTALL_S = 120.0
SDK = ("msgspec", "picows")
NEEDED_LINE = (
    "Error: the engine and the command line need further packages (aiohttp, granian, psutil, rich, yaml): "
    "in a checkout of its repository, pip install '.[engine]'\n"
)


def ran(*command: str | Path, folder: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command, cwd=folder, env=environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=INSTALL_S
    )  # fmt: skip


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip: list[str | Path] = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
    ]
    done = ran(*pip, folder, ROOT, folder=folder)
    assert done.returncode == 0, done.stderr
    (made,) = folder.glob("*.whl")
    return made


def locked(wanted: tuple[str, ...]) -> Iterator[str]:
    """What the lock file says of these packages and of what they need, with hashes."""
    blocks = dict(
        re.findall(
            r"^([a-z0-9_.-]+)==(.*?)(?=^[a-z0-9_.-]+==|\Z)", (ROOT / "requirements.lock").read_text(), re.M | re.S
        )
    )
    needed = set(wanted)
    while True:
        more = {
            name
            for name, block in blocks.items()
            for other in needed
            if re.search(rf"# .*\b(via )?{other}$", block, re.M)
        }
        if more <= needed:
            break
        needed |= more
    yield from (f"{name}=={blocks[name]}" for name in sorted(needed))


@pytest.fixture(scope="module")
def bare(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the SDK alone; its folder of programs."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder / "env", with_pip=True)
    programs = folder / "env" / "bin"
    (folder / "sdk.lock").write_text("".join(locked(SDK)))
    pip: list[str | Path] = [
        programs / "python",
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
    ]
    wanted: tuple[list[str | Path], ...] = (["--require-hashes", "-r", folder / "sdk.lock"], [wheel])
    for what in wanted:
        done = ran(*pip, *what, folder=folder)
        assert done.returncode == 0, done.stderr
    return programs


def test_newcomer_M19_a_worker_needs_two_packages(bare: Path, tmp_path: Path) -> None:
    assert ran(bare / "python", "-m", "pip", "check", folder=tmp_path).stdout == "No broken requirements found.\n"
    told = ran(bare / "python", "-m", "pip", "show", "iii-py", folder=tmp_path).stdout
    assert re.search("^Requires: (.*)$", told, re.M)[1] == "msgspec, picows"  # type: ignore[index]
    program = """
        import asyncio, iii
        app = iii.App("bare", options=iii.InitOptions(connect_timeout_ms=20_000))

        @app.cron("@daily", timezone="Europe/Berlin")
        def tick(event: dict[str, str]) -> None: ...

        @app.function("bare::double")
        async def double(number: int) -> int:
            return 2 * number

        async def main() -> None:
            async with app.connect():
                print(await app.trigger_async({"function_id": "bare::double", "payload": 21}))
                while not (found := (await app.list_workers_async())[0]).latest_metrics:
                    await asyncio.sleep(0.05)
                print(found.latest_metrics.memory_rss > 1_000_000, iii.__version__)

        asyncio.run(main())
    """
    (tmp_path / "bare.py").write_text(textwrap.dedent(program))
    with EngineProcess(tmp_path / "engine") as engine:
        done = subprocess.run(
            [bare / "python", "-W", "error", "bare.py"],
            cwd=tmp_path, env=environment({"III_URL": engine.url}), capture_output=True, text=True, timeout=60,
        )  # fmt: skip
    warned = [line for line in done.stderr.splitlines() if "Trigger waits" not in line]  # this engine has no cron
    assert (done.stdout, warned) == (f"42\nTrue {PACKAGE_VERSION}\n", [])


def test_the_metadata_links_to_the_published_clients(wheel: Path) -> None:
    with ZipFile(wheel) as packed:
        (name,) = (each for each in packed.namelist() if each.endswith("METADATA"))
        told = email.message_from_bytes(packed.read(name))
    assert told.get_all("Project-URL") == [
        "Published Python client, https://pypi.org/project/iii-sdk/",
        "Published Node client, https://www.npmjs.com/package/iii-sdk",
    ]
    assert told["License-Expression"] == "Apache-2.0"


@pytest.mark.parametrize("command", [["iii"], ["iii", "worker", "list"], ["python", "-m", "iii"]], ids="-".join)
def test_newcomer_M19_without_the_extra_one_line_says_what_to_install(
    bare: Path, tmp_path: Path, command: list[str]
) -> None:
    done = ran(bare / command[0], *command[1:], folder=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", NEEDED_LINE)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", [["iii"], ["python", "-m", "iii"]], ids="-".join)
def test_newcomer_M18_the_version_needs_nothing(bare: Path, tmp_path: Path, command: list[str]) -> None:
    assert ran(bare / command[0], *command[1:], "--version", folder=tmp_path).stdout == f"{PACKAGE_VERSION}\n"


def test_newcomer_M18_the_engine_of_the_wheel_runs_in_another_folder(wheel: Path, tmp_path: Path) -> None:
    """Its libraries are those of this environment, which the extra `engine` would fetch."""
    venv.create(tmp_path / "env", with_pip=False)
    python = tmp_path / "env" / "bin" / "python"
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", wheel]
    done = ran(*pip, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    (packages,) = (tmp_path / "env" / "lib").glob("python3*/site-packages")
    here = next(path for path in sys.path if path.endswith("site-packages"))
    (packages / "libraries.pth").write_text(f"{here}\n")
    where = ran(python, "-c", "import iii; print(iii.__file__)", folder=tmp_path)
    assert where.stdout.startswith(str(packages)), where

    port = free_port()
    (tmp_path / "iii.yaml").write_text(f"workers: [{{name: iii-worker-manager, config: {{port: {port}}}}}]")
    engine = LineProcess(
        [str(tmp_path / "env" / "bin" / "iii"), "-c", "iii.yaml"], cwd=tmp_path, stderr=subprocess.STDOUT
    )
    try:
        engine.wait_for_line("workers_connect_to")
        url = f"ws://127.0.0.1:{port}"
        listed = ran(python, "-m", "iii", "worker", "list", "--url", url, folder=tmp_path)
        assert (listed.returncode, listed.stderr) == (0, "")
        assert engine.terminate() == 0
    finally:
        engine.kill()
