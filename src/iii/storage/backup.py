"""Whole copies of a store, also of one that an engine is using, and their return to its place."""

from __future__ import annotations

import os
import re
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from iii.protocol.start_failure import StartFailure
from iii.storage.folder import StoreFolder, looking_at
from iii.storage.sync import sync_path

_PARTIAL = ".partial"  # the name's end until it is whole and on disk
_RESTORING = ".restoring"
_ASIDE = re.compile(rf"\.before-\d{{8}}-\d{{6}}(-\d+)?$|{re.escape(_RESTORING)}$")


class NoBackup(Exception):
    """A copy could not be made; the text says why."""


def back_up(source: StoreFolder, new: Path) -> int:
    """Copy one moment of a store into a new folder; its bytes.

    Whoever writes to it meanwhile goes on; its write-ahead log grows until the copy is made. A copy that is cut short
    leaves nothing that could be taken for one.

    Raises:
        NoBackup: the store cannot be read.
        OSError: the copy cannot be written.
    """
    new.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial, copy = new / f"{source.database.name}{_PARTIAL}", new / source.database.name
    partial.unlink(missing_ok=True)
    try:
        with closing(looking_at(source.database, log=source.wal.exists())) as reading:
            descriptor = os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
            os.close(descriptor)
            with closing(sqlite3.connect(partial, isolation_level=None)) as writing:
                reading.backup(writing, pages=-1)  # in one piece: one moment, however much is written
                found = writing.execute("PRAGMA quick_check(1)").fetchone()[0]
                writing.execute("PRAGMA journal_mode = DELETE")  # one file; the engine's start makes a log again
    except sqlite3.Error as error:
        partial.unlink(missing_ok=True)
        raise NoBackup(f"{source.database} cannot be copied: {error}") from None
    if found != "ok":
        partial.unlink(missing_ok=True)
        raise NoBackup(f"{source.database} is damaged: {found}")
    sync_path(partial)
    os.rename(partial, copy)
    sync_path(new)
    sync_path(new.parent)
    return copy.stat().st_size


def restore(backup: StoreFolder, place: Path) -> Path | None:
    """Put a copy in the place of a store that no engine uses; where the store is now that was there.

    Raises:
        StartFailure: an engine has the store, or the backup is damaged.
        NoBackup, OSError.
    """
    present = StoreFolder(place, backup.database.name)
    present.take(to_look=True)
    try:
        incoming = place.with_name(f"{place.name}{_RESTORING}")
        back_up(backup, incoming)
        StoreFolder(incoming).lock_file.touch(0o600)  # a store's own folder from now on, and no backup
        moved = _free_name(place) if place.exists() else None
        if moved is not None:
            os.rename(place, moved)
        os.rename(incoming, place)
        sync_path(place.parent)
        return moved
    finally:
        present.release()


def is_aside(folder: Path) -> bool:
    """Whether a restore moved it away, or was cut short before it was moved in: one of a folder's stores no more, or not yet."""
    return _ASIDE.search(folder.name) is not None


def is_swapped(backup: StoreFolder, place: StoreFolder) -> bool:
    """Whether what is to be put back is the store that an engine uses, and what it would replace is the backup.

    A copy that other tools made of a stopped engine's folder has its lock file too: that alone says nothing.
    """
    return backup.lock_file.exists() and place.database.exists() and not place.lock_file.exists()


def _free_name(place: Path) -> Path:
    at = time.strftime("%Y%m%d-%H%M%S")
    names = (place.with_name(f"{place.name}.before-{at}{suffix}") for suffix in ("", *(f"-{n}" for n in range(2, 100))))
    name = next((name for name in names if not name.exists()), None)
    if name is None:
        raise StartFailure(f"too many stores beside {place} were moved away in this second")
    return name
