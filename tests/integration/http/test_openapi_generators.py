"""`/openapi.json` as the generators of others read it (http S3, newcomer M10)."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from tests.integration.http.described_routes import describe
from tests.integration.http.site import DEADLINE_S, Open
from tests.processes import EngineProcess, environment, free_port
from tests.tools import installed, node_tools, run

pytestmark = [pytest.mark.published, pytest.mark.node, pytest.mark.timeout(300)]

_PYTHON = ("openapi-python-client==0.29.1", "openapi-spec-validator==0.9.0")
Check: TypeAlias = Callable[[Path, list[str], Path], None]  # document, ids of its operations, folder for what is made

EXAMPLES = Path(__file__).parents[3] / "examples"
CONFIG = """\
workers:
  - {name: iii-worker-manager, config: {host: 127.0.0.1, port: {port}}}
  - {name: iii-http, config: {host: 127.0.0.1, port: HTTP, openapi: true}}
  - {name: iii-stream, config: {host: 127.0.0.1, port: 0}}
  - {name: iii-queue}
  - {name: iii-cron}
  - {name: iii-state}
"""


def check_python_client(document: Path, operations: list[str], folder: Path) -> None:
    """openapi-python-client makes every endpoint, and what it makes compiles."""
    python = [
        sys.executable, "-m", "pip", "--python", "bin/python", "--disable-pip-version-check", "install", "--quiet",
    ]  # fmt: skip
    tools = installed("python-openapi-0.29.1", [*python, *_PYTHON]) / "bin"
    run(str(tools / "openapi-spec-validator"), str(document), cwd=folder)
    said = run(
        str(tools / "openapi-python-client"), "generate", "--path", str(document), "--meta", "none",
        "--output-path", str(folder / "made"), cwd=folder,
    )  # fmt: skip
    assert "WARNING" not in said, said
    assert "Unable" not in said, said
    made = {each.stem for each in (folder / "made" / "api").glob("*/*.py")} - {"__init__"}
    assert {each.replace("_", "") for each in made} == {each.lower().replace("_", "") for each in operations}
    run(str(tools / "python"), "-m", "compileall", "-q", str(folder / "made"), cwd=folder)


def check_typescript(document: Path, operations: list[str], folder: Path) -> None:
    """openapi-typescript makes every operation, and tsc takes it strictly."""
    tools = node_tools()
    run(str(tools / "openapi-typescript"), str(document), "--output", str(folder / "made.ts"), cwd=folder)
    run(str(tools / "tsc"), "--noEmit", "--strict", "made.ts", cwd=folder)
    made = (folder / "made.ts").read_text()
    for each in operations:
        assert f"    {each}: {{" in made


def operations_of(document: Any) -> list[str]:
    return [each["operationId"] for item in document["paths"].values() for each in item.values()]


@pytest.mark.parametrize("check", [check_python_client, check_typescript])
async def test_http_S3_generators_take_a_worker_with_everything(open_site: Open, tmp_path: Path, check: Check) -> None:
    site = await open_site(openapi=True)
    describe(site.worker)
    await site.settled()
    _, found = await site.get("/openapi.json")
    path = tmp_path / "openapi.json"
    path.write_text(json.dumps(found))
    check(path, operations_of(found), tmp_path)


@pytest.fixture(params=sorted(each.name for each in EXAMPLES.glob("*.py")))
def example(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, list[str]]:
    """The document of one program of examples/ while it runs, and its operations."""
    program = EXAMPLES / request.param
    if program.name == "demo.py":  # starts an engine of its own; this is its worker
        program = tmp_path / "worker.py"
        program.write_text(runpy.run_path(str(EXAMPLES / "demo.py"))["WORKER"])
    port = free_port()
    with EngineProcess(tmp_path, config=CONFIG.replace("HTTP", str(port))) as engine:
        worker = subprocess.Popen(
            [sys.executable, str(program), engine.url],
            env=environment({"III_URL": engine.url}),
            stdout=subprocess.DEVNULL,
        )
        try:
            found = described(port, program.read_text().count("@worker.http("), worker)
        finally:
            worker.kill()
            worker.wait()
    path = tmp_path / "openapi.json"
    path.write_text(json.dumps(found))
    return path, operations_of(found)


def described(port: int, operations: int, worker: subprocess.Popen[bytes]) -> Any:
    """The document, once it has as many operations as the program has routes."""
    deadline = time.monotonic() + DEADLINE_S
    while True:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/openapi.json", timeout=DEADLINE_S) as answer:
            found = json.load(answer)
        if len(operations_of(found)) == operations:
            return found
        assert worker.poll() is None
        assert time.monotonic() < deadline, found
        time.sleep(0.02)


def test_http_S3_kind_10_generators_take_every_example(example: tuple[Path, list[str]], tmp_path: Path) -> None:
    check_python_client(*example, tmp_path)
    check_typescript(*example, tmp_path)
