"""The Python blocks of the guides are whole programs, and run: what a page shows, a reader can paste.

A block that begins with an import begins a program; the blocks after it on the page continue that program.
"""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import EngineProcess, LineProcess

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted([*(DOCS / "how-to").glob("*.md"), *(DOCS / "tutorial").glob("*.md")])
BLOCK = re.compile(r"^ *```python\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
CONFIG = """\
workers:
  - name: iii-worker-manager
    config: {host: 127.0.0.1, port: {port}}
  - {name: iii-http, config: {port: 0}}
  - {name: iii-stream, config: {port: 0}}
  - {name: iii-state}
  - name: iii-queue
  - name: iii-pubsub
  - name: iii-cron
  - name: iii-http-functions
    config:
      security: {block_private_ips: false, url_allowlist: [api.example.com, billing.internal], env_allowlist: [CONVERT_TOKEN]}
"""
JOBS = "Enqueue("
END = "ran to its end"
SERVING = ", and serves"
EPILOGUE = f"""
if "worker" in globals() and worker.get_connection_state() == "connected":
    worker.list_workers()  # what the engine refused has been told before this is answered
    print("{END}{SERVING}", flush=True)
else:
    print("{END}", flush=True)
"""
WAITING = "        await stopping.wait()\n"  # a program that serves until SIGTERM on a loop of its own
RUN = "    app.run()\n"
CONNECTED = f"""
    import asyncio

    async def serve() -> None:
        async with app.connect():  # raises if the engine refuses something
            print("{END}{SERVING}", flush=True)
            await asyncio.Event().wait()

    asyncio.run(serve())
"""


def programs() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        found: list[str] = []
        for block in BLOCK.findall(page.read_text()):
            if block.startswith(("import ", "from ")):
                found.append(block)
            else:
                assert found, f"{page.name}: the first block begins with no import"
                found[-1] += "\n\n" + block
        yield from ((f"{page.stem}-{number}", program) for number, program in enumerate(found, 1))


PROGRAMS = dict(programs())


def new_engine(folder: Path) -> EngineProcess:
    return EngineProcess(folder, config=CONFIG, env={"CONVERT_TOKEN": "t"})


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    with new_engine(tmp_path_factory.mktemp("engine")) as engine:
        yield engine


def test_the_guides_with_python_are_all_here() -> None:
    pages = {name.rpartition("-")[0] for name in PROGRAMS}
    assert {
        "call-functions",
        "channels",
        "cron",
        "http",
        "publish",
        "queues",
        "state",
        "streams",
        "write-a-worker",
    } <= pages


@pytest.mark.parametrize("name", [name for name in PROGRAMS if JOBS not in PROGRAMS[name]])
def test_a_program_of_the_docs_runs_without_a_complaint(name: str, engine: EngineProcess, tmp_path: Path) -> None:
    runs_without_a_complaint(name, engine, tmp_path)


@pytest.mark.parametrize("name", [name for name in PROGRAMS if JOBS in PROGRAMS[name]])
def test_a_program_of_the_docs_with_jobs_runs_without_a_complaint(name: str, tmp_path: Path) -> None:
    """On an engine of its own: what of its jobs is due when it has ended is a complaint, a minute later."""
    with new_engine(tmp_path / "engine") as engine:
        runs_without_a_complaint(name, engine, tmp_path)


def runs_without_a_complaint(name: str, engine: EngineProcess, tmp_path: Path) -> None:
    program = PROGRAMS[name].replace(WAITING, f"        print('{END}{SERVING}', flush=True)\n{WAITING}")
    program = program.replace(RUN, CONNECTED) + EPILOGUE
    (tmp_path / "program.py").write_text(program)
    before = len(engine.log())
    with (tmp_path / "stderr").open("wb") as stderr:
        process = LineProcess(
            [sys.executable, "-u", str(tmp_path / "program.py")], env={"III_URL": engine.url}, stderr=stderr
        )
        try:
            serves = process.wait_for_line(END).endswith(SERVING)
            code = process.terminate() if serves else process.wait()
        finally:
            process.kill()
            told = (tmp_path / "stderr").read_text()
    only_calls = "@worker" not in program and "register_function" not in program  # SIGTERM may stop it in the middle
    assert (told, code) in ([("", 0), ("", 128 + signal.SIGTERM)] if only_calls else [("", 0)])
    complaints = [line for line in engine.log()[before:].splitlines() if "[WARN]" in line or "[ERROR]" in line]
    assert complaints == []


def test_ownership_a_second_copy_of_the_first_worker_takes_over(engine: EngineProcess) -> None:
    """docs/explanation/ownership.md: the program of the tutorial, started twice as it is."""
    command = [sys.executable, "-u", str(DOCS.parent / "examples" / "greeter.py")]
    first = LineProcess(command, env={"III_URL": engine.url})
    second = None
    try:
        first.wait_for_line("Hello, Ada!")
        second = LineProcess(
            command, env={"III_URL": engine.url}, stderr=subprocess.DEVNULL
        )  # it says that it stands by
        second.wait_for_line("Hello, Ada!")
        first.kill()
        trigger = [sys.executable, "-m", "iii.cli", "trigger", "greet::hello", "name=Grace", "--url", engine.url]
        called = subprocess.run(trigger, capture_output=True, text=True, timeout=60)
    finally:
        first.kill()
        if second is not None:
            second.kill()
    assert (called.stdout, called.stderr) == ('"Hello, Grace!"\n', "")
