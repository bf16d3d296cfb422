"""deploy/Dockerfile: its steps are executed, and what they make runs as a container does (24 §2)."""

import os
import re
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from iii.server.process import STOP_S
from tests.integration.deploy.container import Container
from tests.integration.deploy.dockerfile import Image, built, steps
from tests.integration.deploy.namespaces import needs_namespaces
from tests.processes import EngineProcess, environment, free_port

ROOT = Path(__file__).parents[3]
DOCKERFILE = ROOT / "deploy" / "Dockerfile"
USER = 10001
CONFIG = """\
workers:
  - {name: iii-worker-manager, config: {port: PORT}}
  - {name: iii-state, config: {adapter: {name: kv, config: {store_method: file_based, file_path: data}}}}
"""


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    """In memory, which is much quicker to fill and to empty."""
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="iii-image-") as folder:
        yield built(DOCKERFILE, ROOT, Path(folder))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    os.chown(folder, USER, USER)
    return folder


@needs_namespaces
def test_24_2_the_engine_is_process_1_without_rights_home_or_files_to_write(image: Image, data: Path) -> None:
    port = free_port()
    (data / "config.yaml").write_text(CONFIG.replace("PORT", str(port)))
    container = Container(image, data, environment={"III_URL": f"ws://127.0.0.1:{port}"})
    try:
        container.wait_for_line("workers_connect_to")
        first = container.first
        assert first.uids().real == first.uids().saved == USER
        assert first.gids().real == USER
        assert "HOME" not in first.environ()
        status = Path(f"/proc/{first.pid}/status").read_text()
        assert re.search(r"^NSpid:.*\t1$", status, re.MULTILINE)
        assert re.search(r"^Cap(?:Prm|Eff):\t0+$", status, re.MULTILINE)
        assert container.executed(["touch", "/opt/iii/x"]).returncode != 0

        health = container.executed(image.command("HEALTHCHECK"))
        assert (health.returncode, health.stdout.splitlines()[0].partition(":")[0]) == (0, "healthy"), health
        pairs = ["scope=s", "key=k", "value=7"]
        assert container.executed(["iii", "trigger", "state::set", *pairs]).returncode == 0

        started = time.monotonic()
        assert container.stop() == 0
        assert time.monotonic() - started < STOP_S
    finally:
        container.kill()
    assert list(data.rglob("store.db"))
    assert {path.stat().st_uid for path in data.rglob("*") if path.name != "config.yaml"} == {USER}
    warned = [line for line in container.lines() if "[WARN]" in line or "[ERROR]" in line]
    assert [re.search("worker_port.open", line) is not None for line in warned] == [
        True
    ]  # its port is that of a network


@needs_namespaces
def test_24_2_a_folder_that_the_user_cannot_write_is_one_line(image: Image, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    container = Container(image, tmp_path)
    assert container.wait() == 1
    (line,) = container.lines()
    assert line.startswith("Error: ")
    assert "config.yaml" in line


def test_24_2_the_locks_of_the_image_are_parts_of_the_lock() -> None:
    whole = pins(ROOT / "requirements.lock")
    engine, build = (pins(ROOT / "deploy" / name) for name in ("requirements.lock", "build.lock"))
    hint = "run `make image-lock`"
    assert engine.items() <= whole.items(), hint
    assert {name: pin for name, pin in build.items() if name != "uv"}.items() <= whole.items(), hint
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = ("engine", "otel", "otlp", "rabbitmq", "redis")
    wanted = [*project["dependencies"], *(each for extra in extras for each in project["optional-dependencies"][extra])]
    assert {re.split("[^A-Za-z0-9-]", each)[0].lower() for each in wanted} <= engine.keys(), hint
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    assert {each.partition(">")[0] for each in groups["build"]} <= build.keys(), hint


def pins(lock: Path) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9_.-]+)==([^ \\]+)", lock.read_text(), re.MULTILINE))


def test_24_2_the_image_opens_the_ports_and_stops_by_the_signal_that_the_engine_knows() -> None:
    declared = {step.instruction: step.rest for step in steps(DOCKERFILE.read_text())}
    assert declared["EXPOSE"].split() == ["49134", "3111", "3112"]
    assert declared["STOPSIGNAL"] == "SIGTERM"
    assert all(part.isdecimal() for part in declared["USER"].split(":"))
    ignored = (DOCKERFILE.parent / "Dockerfile.dockerignore").read_text().splitlines()
    kept = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    copied = [step.rest.split()[:-1] for step in steps(DOCKERFILE.read_text()) if step.instruction == "COPY"]
    sources = {source.rstrip("/") for words in copied for source in words if not source.startswith(("--", "/"))}
    assert {re.sub(r"[a-z]+\.lock", "*.lock", source) for source in sources} == kept


@needs_namespaces
def test_24_6_the_worker_of_iii_init_runs_in_an_image_of_its_own(image: Image, tmp_path: Path) -> None:
    project = tmp_path / "shop"
    made = [sys.executable, "-m", "iii.cli", "init", str(project)]
    subprocess.run(made, env=environment(), check=True, capture_output=True, timeout=60)
    (tmp_path / "engine").mkdir()
    (tmp_path / "data").mkdir()
    with (
        EngineProcess(tmp_path / "engine", config=CONFIG.replace("PORT", "{port}")) as engine,
        tempfile.TemporaryDirectory(dir="/dev/shm", prefix="iii-image-") as folder,
    ):
        worker = built(project / "Dockerfile", project, Path(folder), base=image)
        assert worker.declared["HEALTHCHECK"] == "NONE"
        container = Container(worker, tmp_path / "data", environment={"III_URL": engine.url})
        try:
            asked = [sys.executable, "-m", "iii.cli", "trigger", "shop::hello", "name=Ada", "--url", engine.url]
            give_up_at = time.monotonic() + 60
            while (
                answered := subprocess.run(asked, env=environment(), capture_output=True, text=True, timeout=60)
            ).returncode:
                assert time.monotonic() < give_up_at, answered.stderr
            assert answered.stdout == '"Hello, Ada!"\n'
            assert container.stop() == 0
        finally:
            container.kill()
