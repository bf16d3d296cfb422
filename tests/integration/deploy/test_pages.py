"""What the pages on operation tell people to run: backup and restore, tokens, upgrade, the timer (24 §7)."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.integration.deploy.dockerfile import Image
from tests.integration.deploy.namespaces import needs_namespaces
from tests.integration.deploy.test_systemd import analyzed, needs_systemd
from tests.processes import EngineProcess, environment

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
PAGES = ROOT / "docs" / "how-to"
CONFIG = """\
workers:
  - {name: iii-worker-manager, config: {port: {port}}}
  - {name: iii-state, config: {adapter: {name: kv, config: {store_method: file_based, file_path: data}}}}
"""


def ran(folder: Path, *words: str, env: dict[str, str] | None = None, text: str = "") -> str:
    """What it printed; it must succeed. `iii` is that of this environment."""
    programs = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    done = subprocess.run(
        words, cwd=folder, env={**environment(env), "PATH": programs}, input=text, capture_output=True, text=True, timeout=120
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_24_7_a_backup_is_made_while_the_engine_runs_and_restored_with_its_entries(tmp_path: Path) -> None:
    pair = ("scope=s", "key=k")
    with EngineProcess(tmp_path, config=CONFIG) as engine:
        where = {"III_URL": engine.url}
        ran(tmp_path, "iii", "trigger", "state::set", *pair, "value=kept", env=where)
        (tmp_path / "config").mkdir(exist_ok=True)
        (tmp_path / "config" / "mailer.yaml").write_text("id: mailer\nvalue: 1\n")
        old = tmp_path / "backups" / "2020-01-01T000000Z"
        other = tmp_path / "backups" / "by-hand"
        for folder in (old, other):
            folder.mkdir(parents=True)
            subprocess.run(["touch", "-d", "2020-01-01", str(folder)], check=True)
        ran(tmp_path, str(DEPLOY / "backup.sh"), "backups")
        ran(tmp_path, "iii", "trigger", "state::set", *pair, "value=later", env=where)
        engine.stop()
        assert (old.exists(), other.exists()) == (False, True)
        (copy,) = (folder for folder in (tmp_path / "backups").iterdir() if folder != other)
        assert (copy / "config" / "mailer.yaml").read_text() == "id: mailer\nvalue: 1\n"
        assert "restored from" in ran(tmp_path, "iii", "store", "restore", str(copy), "data")
        ran(tmp_path, "iii", "store", "check", "data")
        engine.start()
        assert ran(tmp_path, "iii", "trigger", "state::get", *pair, env=where) == '"kept"\n'


def test_24_7_a_backup_that_fails_keeps_the_old_ones(tmp_path: Path) -> None:
    old = tmp_path / "backups" / "2020-01-01T000000Z"
    old.mkdir(parents=True)
    subprocess.run(["touch", "-d", "2020-01-01", str(old)], check=True)
    with pytest.raises(AssertionError):
        ran(tmp_path, str(DEPLOY / "backup.sh"), "backups")
    assert old.exists()


@needs_systemd
@needs_namespaces
def test_24_7_the_steps_of_the_systemd_page_install_a_unit_that_is_right(tmp_path: Path) -> None:
    machine = Image(tmp_path / "machine")
    checkout = machine.files / "opt" / "iii"
    (checkout / ".venv").mkdir(parents=True)
    (checkout / ".venv" / "bin").symlink_to(Path(sys.executable).parent)
    for name in ("deploy", "docs"):
        (checkout / name).symlink_to(ROOT / name)
    page = (PAGES / "systemd.md").read_text()
    commands = re.findall(r"^ +# (.*)$", page.partition("## The unit")[0], re.MULTILINE)
    elsewhere = ("git ", "make ", "systemctl ", "journalctl ")  # the checkout is there, and systemd does not run here
    steps = [command for command in commands if not command.startswith(elsewhere)]
    assert len(steps) == len(commands) - 6 == 5
    checks = [
        "systemd-analyze verify --man=no /etc/systemd/system/iii.service",
        "stat -c '%a %U:%G' /etc/iii/config.yaml",
        "getent passwd iii",
    ]
    script = machine.inside(["sh", "-ec", " && ".join([*steps, *checks])], {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
    done = subprocess.run(machine.mounted(script), capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    checked, rights, user = done.stdout.splitlines()
    assert "no mistakes found" in checked
    assert rights == "640 root:iii"
    assert user.endswith(":/var/lib/iii:/usr/sbin/nologin")


@needs_systemd
def test_24_7_the_timer_and_what_it_starts_are_right(tmp_path: Path) -> None:
    for name in ("iii-backup.service", "iii-backup.timer"):
        text = (DEPLOY / name).read_text().replace("/opt/iii/deploy/backup.sh", str(DEPLOY / "backup.sh"))
        (tmp_path / name).write_text(text)
    checked = analyzed("verify", "--man=no", tmp_path / "iii-backup.timer", tmp_path / "iii-backup.service")
    assert (checked.returncode, checked.stderr) == (0, "")
    assert analyzed("calendar", "03:30").returncode == 0


def test_24_7_a_token_of_the_security_page_lets_its_bearer_in(tmp_path: Path) -> None:
    shown = ran(tmp_path, "iii", "token", "create", "--output", "orders.token").split()[-1]
    assert ran(tmp_path, "iii", "token", "hash", text=(tmp_path / "orders.token").read_text()) == f"{shown}\n"
    rules = {"tokens": [{"name": "orders", "hash": shown, "allow": ["observer"]}]}
    port = "{port}"
    config = yaml.safe_dump({"workers": [{"name": "iii-worker-manager", "config": {"port": port, "rbac": rules}}]})
    with EngineProcess(tmp_path / "engine", config=config.replace(f"'{port}'", port)) as engine:
        env = {"III_URL": engine.url, "III_TOKEN_FILE": str(tmp_path / "orders.token")}
        assert ran(tmp_path, "iii", "health", env=env).startswith("healthy")
        without = subprocess.run(
            [sys.executable, "-m", "iii.cli", "health"],
            env=environment({"III_URL": engine.url}),
            capture_output=True,
            text=True,
        )
        assert without.returncode == 1


def test_24_7_upgrade_says_what_to_run(tmp_path: Path) -> None:
    assert "git" in ran(tmp_path, "iii", "update")


@pytest.mark.parametrize("page", ["backup", "containers", "kubernetes", "reverse-proxies", "systemd"])
def test_24_7_files_that_a_page_names_exist(page: str) -> None:
    text = (PAGES / f"{page}.md").read_text()
    named = set(re.findall(r"(?:/opt/iii/|\b)((?:deploy|examples)/[a-zA-Z0-9_./-]*[a-zA-Z0-9_])", text))
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []
