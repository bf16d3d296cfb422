"""`iii store …`: back up an embedded store, put it back, look for damage, and save what can be read (P16)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from iii.cli.parser import USAGE_ERROR, Parser, fail

if TYPE_CHECKING:
    from iii.storage.folder import StoreFolder
    from iii.storage.references import Reference
    from iii.storage.salvage import CopiedTable

PROGRAM = "iii store"
_DESCRIPTION = """\
Backs up embedded stores (state, streams, queues, spans), checks them for damage, and copies what can be read of damaged ones.

  backup PATH NEW        copy the stores as they are at this moment into the folder NEW; the engine may run
  restore BACKUP PATH    put a backup in the place of the stores, which are moved aside; stop the engine first
  check PATH             report damage; stop the engine first
  salvage PATH NEW       copy every row that can be read into a store in the folder NEW, and report what was lost; stop the
                         engine first

PATH is the folder of a store, its database, or a folder with several (`file_path` in the configuration)."""
_EXAMPLES = f"""\
examples:
  {PROGRAM} backup data backups/$(date +%F)
  {PROGRAM} restore backups/2026-11-29 data
  {PROGRAM} check data
  {PROGRAM} salvage data/queue data/queue-saved

exit codes: 0 done, no damage, no loss, 1 damage, loss, or the store cannot be opened, 2 wrong usage
docs: docs/how-to/backup.md, docs/how-to/repair-a-store.md"""
_NAMES = ("store.db", "traces.sqlite3")
_DEPTH = 2  # folders below PATH in which stores are looked for
_USAGE = {"backup": "PATH NEW", "restore": "BACKUP PATH", "check": "PATH", "salvage": "PATH NEW"}


def build_parser() -> Parser:
    """All options and arguments of the command."""
    parser = Parser(
        PROGRAM,
        _DESCRIPTION,
        f"{PROGRAM} backup PATH NEW | restore BACKUP PATH | check PATH | salvage PATH NEW",
        _EXAMPLES,
    )
    parser.add_argument("words", nargs="*", help="subcommand and its arguments")
    return parser


def run(arguments: list[str]) -> int:
    """`iii store …`"""
    parser = build_parser()
    words = parser.parse(arguments).words
    match words:
        case ["backup", path, new]:
            return _copy(Path(path), Path(new), restoring=False)
        case ["restore", backup, path]:
            return _copy(Path(backup), Path(path), restoring=True)
        case ["check", path]:
            return _each(Path(path), None)
        case ["salvage", path, new]:
            return _each(Path(path), Path(new))
        case []:
            parser.print_help()
            return USAGE_ERROR
        case words:
            parser.refuse_words(words, _USAGE)


def _each(path: Path, new: Path | None) -> int:
    from iii.protocol.start_failure import StartFailure
    from iii.storage.folder import StoreFolder

    stores = _stores(path)
    if refusal := _refusal(path, stores, new):
        return fail(refusal)
    worst = 0
    for store in stores:
        files = StoreFolder(store.parent, store.name)
        try:
            files.take(to_look=True)
            worst |= _check(files) if new is None else _salvage(files, _target(path, store, new))
        except (StartFailure, OSError) as error:
            worst |= fail(str(error))
        finally:
            files.release()
    return worst


def _copy(path: Path, place: Path, *, restoring: bool) -> int:
    from iii.protocol.start_failure import StartFailure
    from iii.storage.backup import NoBackup, back_up, restore
    from iii.storage.folder import StoreFolder

    stores = _stores(path)
    if refusal := _refusal(path, stores, None if restoring else place):
        return fail(refusal)
    if restoring and (refusal := _swapped(stores, path, place)):
        return fail(refusal)
    failed = 0
    for store in stores:
        folder, target = store.parent, _target(path, store, place)
        try:
            if restoring:
                moved = restore(StoreFolder(folder, store.name), target)
                print(f"{target}: restored from {folder}{f'; what was there is now {moved}' if moved else ''}")
            else:
                print(f"{target / store.name}: {back_up(StoreFolder(folder, store.name), target)} bytes, from {folder}")
        except (NoBackup, StartFailure) as error:
            failed = fail(str(error))
        except OSError as error:
            failed = fail(f"{target} cannot be written: {error.strerror or error}")
    return failed


def _refusal(path: Path, stores: list[Path], new: Path | None) -> str | None:
    """Why nothing is done: there is no store, or the new folder is in use."""
    if not stores:
        return f"no store in {path}: expected a folder with the file {' or '.join(_NAMES)}"
    if new is not None and new.exists() and (not new.is_dir() or any(new.iterdir())):
        return f"{new} exists and is not an empty folder; name a new folder"
    if new is not None:
        return next((told for store in stores if (told := _mixed_up(path, store, new, stores))), None)
    return None


def _mixed_up(path: Path, store: Path, new: Path, stores: list[Path]) -> str | None:
    """Why a copy would be taken for part of what it is of: it lies in a store, or is found as one below `path` next time."""
    target = _target(path, store, new).resolve()
    around = next((each.parent for each in stores if each.parent.resolve() in (target, *target.parents)), None)
    if around is not None:
        return f"{new} is inside the store {around}; name a folder outside"
    whole = path.resolve() if path.is_dir() else None
    if whole is not None and whole in target.parents and len(target.relative_to(whole).parts) <= _DEPTH:
        return f"{new} is inside {path}: the copies would count as stores of it; name a folder outside"
    return None


def _swapped(stores: list[Path], path: Path, place: Path) -> str | None:
    """Why nothing is restored: the backup was named last."""
    from iii.storage.backup import is_swapped
    from iii.storage.folder import StoreFolder

    for store in stores:
        target = _target(path, store, place)
        if is_swapped(StoreFolder(store.parent, store.name), StoreFolder(target, store.name)):
            return (
                f"{store.parent} is the store of an engine, and {target} is a backup (it has no `lock` file); nothing was changed. "
                f"The backup comes first: {PROGRAM} restore {place} {path}. To restore a copy that other tools made, remove its `lock` file"
            )
    return None


def _stores(path: Path) -> list[Path]:
    """Databases, of which only the log may be there; of a whole folder without those that a restore moved aside."""
    from iii.storage.backup import is_aside

    def of(folder: Path) -> list[Path]:
        return [folder / name for name in _NAMES if (folder / name).is_file() or (folder / f"{name}-wal").is_file()]

    if path.name in _NAMES:
        return [store for store in of(path.parent) if store == path]
    if not path.is_dir():
        return []
    below = (
        folder
        for depth in ("*/" * levels for levels in range(1, _DEPTH + 1))
        for folder in path.glob(depth)
        if not any(is_aside(part) for part in (folder, folder.parent) if part != path)
    )
    return of(path) or sorted(store for folder in below for store in of(folder))


def _target(path: Path, store: Path, new: Path) -> Path:
    """Where below `new` a store is copied to that was found below `path`."""
    return new if path in (store, store.parent) else new / store.parent.relative_to(path)


def _check(files: StoreFolder) -> int:
    from iii.storage.salvage import check

    found = check(files, _references())
    if not found:
        print(f"{files.database}: no damage found")
        return 0
    for damage in found:
        print(f"{files.database}: damaged: {damage}")
    print(f"`{PROGRAM} salvage {files.path} NEW` copies what can be read")
    return 1


def _salvage(files: StoreFolder, new: Path) -> int:
    import sqlite3

    from iii.cli.output import print_table
    from iii.storage.salvage import NotSalvageable, salvage

    try:
        done = salvage(files, new, _references())
    except NotSalvageable as error:
        return fail(f"{files.database}: nothing can be salvaged: {error}; restore a backup")
    except sqlite3.Error as error:
        return fail(f"{new / files.database.name} cannot be written: {error}")
    print(f"{new / files.database.name}, from {files.database}:")
    print_table(
        ["TABLE", "ROWS", "LOST"],
        [[table.name, str(table.rows), "; ".join(_lost(table))] for table in done.tables],
    )
    for name, lost in done.adopted.items():
        rows = ", ".join(f"{count} rows of {table}" for table, count in lost.counts.items())
        print(f"{rows}: the name of their {_KEPT_UNDER[lost.parent]} is lost; they are copied to {name}.")
    if done.lost_pages:
        print(
            f"{done.lost_pages} pages of the write-ahead log are damaged: their rows are missing, or have an older value."
        )
    print(f"To use the new store: move {files.path} away and {new} in its place.")
    return 0 if done.whole else 1


def _references() -> tuple[Reference, ...]:
    """Of all kinds of stores."""
    from iii.modules.queue.jobs import schema
    from iii.storage import sqlite_items

    return (*sqlite_items.REFERENCES, *schema.REFERENCES)


_KEPT_UNDER = {"groups": "scope or group", "queues": "queue or topic"}


def _lost(table: CopiedTable) -> list[str]:
    lost = []
    for begin, end in table.gaps:
        if end < begin and end == -1:
            lost.append(f"rows after row {begin}")
        else:
            lost.append(f"row {begin}" if begin == end else f"rows {begin} to {end}")
    if table.refused:
        lost.append(f"{table.refused} rows with invalid content")
    return lost
