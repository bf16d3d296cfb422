"""`/openapi.json` as the generators of others read it (http S3, newcomer M10)."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.integration.http.conftest import Open
from tests.integration.http.described_routes import describe

pytestmark = [pytest.mark.published, pytest.mark.node, pytest.mark.timeout(300)]

_PYTHON = ("openapi-python-client==0.29.1", "openapi-spec-validator==0.9.0")
_NODE = ("openapi-typescript@7.13.0", "typescript@5")


def installed(name: str, *steps: list[str]) -> Path:
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


@pytest.fixture
async def document(open_site: Open, tmp_path: Path) -> tuple[Path, list[str]]:
    """The file, and the ids of its operations."""
    site = await open_site(openapi=True)
    describe(site.worker)
    await site.settled()
    _, found = await site.get("/openapi.json")
    path = tmp_path / "openapi.json"
    path.write_text(json.dumps(found))
    return path, [each["operationId"] for item in found["paths"].values() for each in item.values()]


async def test_http_S3_openapi_python_client_makes_every_endpoint(
    document: tuple[Path, list[str]], tmp_path: Path
) -> None:
    path, wanted = document
    python = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        "bin/python",
        "--disable-pip-version-check",
        "install",
        "--quiet",
    ]
    tools = installed("python-openapi-0.29.1", [*python, *_PYTHON]) / "bin"
    run(str(tools / "openapi-spec-validator"), str(path), cwd=tmp_path)
    said = run(
        str(tools / "openapi-python-client"), "generate", "--path", str(path), "--meta", "none",
        "--output-path", str(tmp_path / "made"), cwd=tmp_path,
    )  # fmt: skip
    assert "WARNING" not in said, said
    assert "Unable" not in said, said
    made = {each.stem for each in (tmp_path / "made" / "api").glob("*/*.py")} - {"__init__"}
    assert {each.replace("_", "") for each in made} == {each.lower().replace("_", "") for each in wanted}
    run(str(tools / "python"), "-m", "compileall", "-q", str(tmp_path / "made"), cwd=tmp_path)


async def test_http_S3_openapi_typescript_makes_types_that_compile(
    document: tuple[Path, list[str]], tmp_path: Path
) -> None:
    path, wanted = document
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    npm = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error", "--save-exact"]
    tools = installed("node-openapi-7.13.0", [*npm, *_NODE]) / "node_modules" / ".bin"
    run(str(tools / "openapi-typescript"), str(path), "--output", str(tmp_path / "made.ts"), cwd=tmp_path)
    run(str(tools / "tsc"), "--noEmit", "--strict", "made.ts", cwd=tmp_path)
    made = (tmp_path / "made.ts").read_text()
    for each in wanted:
        assert f"    {each}: {{" in made
