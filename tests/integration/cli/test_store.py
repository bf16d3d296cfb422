"""`iii store backup` and `restore`, while an engine runs and after."""

from pathlib import Path

import pytest

from tests.integration.cli.running import Iii
from tests.processes import EngineProcess

CONFIG = """\
workers:
  - {name: iii-worker-manager, config: {host: 127.0.0.1, port: {port}}}
  - {name: iii-state, config: {adapter: {name: kv, config: {store_method: file_based, file_path: data}}}}
  - {name: iii-queue, config: {adapter: {name: builtin, config: {store_method: file_based, file_path: data}}}}
"""


def test_backup_and_restore(iii: Iii, tmp_path: Path) -> None:
    data, backup = str(tmp_path / "e" / "data"), str(tmp_path / "backup")
    with EngineProcess(tmp_path / "e", config=CONFIG) as engine:
        assert iii("state", "set", "s", "k", "1", "--url", engine.url).returncode == 0
        done = iii("store", "backup", data, backup)
        assert (done.returncode, done.stderr) == (0, "")
        assert [line.partition(":")[0] for line in done.stdout.splitlines()] == [
            f"{backup}/queue/store.db", f"{backup}/state/store.db",
        ]  # fmt: skip
        assert iii("state", "set", "s", "k", "2", "--url", engine.url).returncode == 0
        refused = iii("store", "restore", backup, data)
        assert refused.returncode == 1
        assert f"in use by another process (pid {engine.pid}): stop it first" in refused.stderr
        again = iii("store", "backup", data, backup)
        assert (again.returncode, again.stderr) == (
            1,
            f"Error: {backup} exists and is not an empty folder; name a new folder\n",
        )
        engine.stop()
        restored = iii("store", "restore", backup, data)
        assert (restored.returncode, restored.stderr) == (0, "")
        assert (
            f"{data}/state: restored from {backup}/state; what was there is now {data}/state.before-" in restored.stdout
        )
        engine.start()
        assert iii("state", "get", "s", "k", "--url", engine.url).stdout == "1\n"


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["backup", "nowhere", "new"], 1, "no store in nowhere: expected a folder with the file store.db"),
        (["restore", "nowhere", "new"], 1, "no store in nowhere"),
        (["backup", "data"], 2, "wrong number of arguments; usage: iii store backup PATH NEW"),
        (["save"], 2, "unknown command 'save' (expected backup, restore, check or salvage)"),
    ],
)
def test_wrong_usage(iii: Iii, arguments: list[str], code: int, text: str) -> None:
    done = iii("store", *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert text in done.stderr
