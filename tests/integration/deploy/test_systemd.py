"""deploy/iii.service: systemd takes it, and the engine works within its limits (24 §3)."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from iii.server.process import STOP_S
from tests.integration.deploy.namespaces import needs_namespaces
from tests.processes import LineProcess, environment, free_port

ROOT = Path(__file__).parents[3]
UNIT = ROOT / "deploy" / "iii.service"
PROGRAM = "/opt/iii/.venv/bin/iii"
EXPOSURE = 15  # tenths: systemd's own network services have 10 to 40 of 100
FOR_ROOT_ALONE = {"fchown"}  # SQLite gives its files to the owner of the folder
needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed (Debian: systemd)"
)


def analyzed(*words: str | Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["systemd-analyze", *words], capture_output=True, text=True, timeout=60)


def settings(name: str) -> list[str]:
    return re.findall(f"^{name}=(.*)$", UNIT.read_text(), re.MULTILINE)


@needs_systemd
def test_24_3_systemd_understands_every_line(tmp_path: Path) -> None:
    here = tmp_path / UNIT.name
    text = UNIT.read_text()
    assert PROGRAM in text
    here.write_text(text.replace(PROGRAM, str(Path(sys.executable).with_name("iii"))))
    checked = analyzed("verify", "--man=no", here)
    assert (checked.returncode, checked.stderr) == (0, "")


@needs_systemd
def test_24_3_the_unit_gives_the_engine_few_rights() -> None:
    judged = analyzed("security", "--offline=true", f"--threshold={EXPOSURE}", "--no-pager", UNIT)
    assert judged.returncode == 0, judged.stdout[-2000:]


def test_24_3_the_times_of_the_unit_are_longer_than_those_of_the_engine() -> None:
    assert float(settings("TimeoutStopSec")[0]) >= STOP_S + 5
    assert settings("Type") == ["notify"]
    assert settings("KillSignal") == []  # SIGTERM
    assert settings("ExecReload")[-1] == "/bin/kill -HUP $MAINPID"


class Traced(NamedTuple):
    """What the engine asked of the kernel."""

    calls: set[str]
    lines: list[str]


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Traced:
    """An engine with the configuration of deploy/ starts, works and stops, with /proc as the unit leaves it."""
    folder = tmp_path_factory.mktemp("traced")
    workers, http, streams = free_port(), free_port(), free_port()
    config = (ROOT / "deploy" / "config.yaml").read_text()
    for old, new in ((49134, workers), (3111, http), (3112, streams), (3113, 0)):
        config = config.replace(f"port: {old}", f"port: {new}")
    (folder / "config.yaml").write_text(config)
    iii = [sys.executable, "-m", "iii.cli"]
    engine = ["strace", "-f", "-qq", "-o", "calls.txt", *iii, "-c", "config.yaml"]
    script = 'mount -t proc -o subset=pid,hidepid=invisible proc /proc && exec "$@"'
    process = LineProcess(
        ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-ec", script, "sh", *engine],
        cwd=folder, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        process.wait_for_line("workers_connect_to")
        url = ("--url", f"ws://127.0.0.1:{workers}")
        for words in (["state::set", "scope=s", "key=k", "value=1"], ["iii::durable::publish", "topic=t", "data=1"]):
            done = subprocess.run([*iii, "trigger", *words, *url], env=environment(), capture_output=True, timeout=60)
            assert done.returncode == 0, done.stderr
        (inside,) = (
            each
            for each in psutil.Process(process.pid).children(recursive=True)
            if each.cmdline()[:1] == [sys.executable]
        )
        inside.terminate()
        assert process.wait() == 0
    finally:
        process.kill()
    lines = [
        line.partition(" ")[2].lstrip() for line in (folder / "calls.txt").read_text(errors="replace").splitlines()
    ]
    called = {found[1] for line in lines if (found := re.match(r"([a-z_0-9]+)\(", line))}
    return Traced(called, lines)


def system_calls(group: str) -> set[str]:
    """Of systemd's group, with those of the groups in it."""
    listed = re.findall(r"^ +(@?[a-z_0-9-]+)$", analyzed("syscall-filter", "--no-pager", group).stdout, re.MULTILINE)
    nested = [system_calls(each) for each in listed if each.startswith("@")]
    return set().union(*nested) | {each for each in listed if not each.startswith("@")}


@needs_systemd
@needs_namespaces
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_24_3_the_engine_needs_no_system_call_that_the_unit_forbids(traced: Traced) -> None:
    allowed: set[str] = set()
    for line in settings("SystemCallFilter"):
        groups = [system_calls(group) for group in line.removeprefix("~").split()]
        allowed = allowed.difference(*groups) if line.startswith("~") else allowed.union(*groups)
    assert len(allowed) > 100
    assert {"mount", "chown"}.isdisjoint(allowed)
    assert traced.calls - allowed - FOR_ROOT_ALONE == set()
    assert len(traced.calls) > 30


@needs_namespaces
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_24_3_no_memory_is_both_written_and_executed_and_sockets_are_of_the_named_families(traced: Traced) -> None:
    assert "MemoryDenyWriteExecute=yes" in UNIT.read_text()
    mapped = [
        line for line in traced.lines if re.match(r"mmap\(.*PROT_WRITE\|PROT_EXEC|(pkey_)?mprotect\(.*PROT_EXEC", line)
    ]
    assert mapped == []
    families = {found[1] for line in traced.lines if (found := re.match(r"socket\((AF_[A-Z0-9]+)", line))}
    assert families <= set(settings("RestrictAddressFamilies")[0].split())
