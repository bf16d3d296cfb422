"""`iii store backup` and `restore`, while an engine runs and after."""

import shutil
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


@pytest.mark.parametrize("place", ["data/state/copy", "data/copy", "data/a/b"])
def test_a_backup_inside_of_what_it_copies_is_refused(iii: Iii, tmp_path: Path, place: str) -> None:
    (tmp_path / "data" / "state").mkdir(parents=True)
    (tmp_path / "data" / "state" / "store.db").write_bytes(b"")
    refused = iii("store", "backup", "data", place)
    if place == "data/a/b":  # data/a/b/state is not looked at
        assert "inside" not in refused.stderr
    else:
        assert (refused.returncode, "name a folder outside" in refused.stderr) == (1, True)
        assert not (tmp_path / place).exists()


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


def test_a_restore_the_wrong_way_round_is_refused_and_what_it_moves_aside_is_no_store(iii: Iii, tmp_path: Path) -> None:
    data, backup, again = tmp_path / "e" / "data", tmp_path / "backup", tmp_path / "again"
    with EngineProcess(tmp_path / "e", config=CONFIG) as engine:
        engine.stop()
    assert iii("store", "backup", str(data), str(backup)).returncode == 0
    assert iii("store", "restore", str(backup), str(data)).returncode == 0  # the engine has not run since
    refused = iii("store", "restore", str(data), str(backup))
    assert (refused.returncode, refused.stdout) == (1, "")
    assert f"The backup comes first: iii store restore {backup} {data}." in refused.stderr
    assert sorted(folder.name for folder in backup.iterdir()) == ["queue", "state"]
    moved = next(data.glob("state.before-*"))
    (data / "queue.restoring").mkdir()
    (data / "queue.restoring" / "store.db").write_bytes((backup / "queue" / "store.db").read_bytes())
    done = iii("store", "backup", str(data), str(again))
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == [
        f"{again}/queue/store.db", f"{again}/state/store.db",
    ]  # fmt: skip
    assert len(iii("store", "check", str(data)).stdout.splitlines()) == 2
    undone = iii("store", "restore", str(moved), str(data / "state"))
    assert (undone.returncode, undone.stderr) == (0, "")


def test_a_folder_that_was_copied_by_hand_can_be_restored(iii: Iii, tmp_path: Path) -> None:
    data, copy = tmp_path / "e" / "data", tmp_path / "copy"
    with EngineProcess(tmp_path / "e", config=CONFIG) as engine:
        engine.stop()
    shutil.copytree(data, copy)
    done = iii("store", "restore", str(copy), str(data))
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["backup", "nowhere", "new"], 1, "no store in nowhere: expected a folder with the file store.db"),
        (["restore", "nowhere", "new"], 1, "no store in nowhere"),
        (["backup", "data"], 2, "wrong number of arguments; usage: iii store backup PATH NEW"),
        (["save"], 2, "unknown command 'iii store save', did you mean 'salvage'?"),
    ],
)
def test_wrong_usage(iii: Iii, arguments: list[str], code: int, text: str) -> None:
    done = iii("store", *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert text in done.stderr
