"""The folder of one store: who has it, whether it can be used, and whether its files are still those that were opened."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import shutil
import sqlite3
import sys
from pathlib import Path

from iii.protocol.log_event import LogEvent
from iii.protocol.start_failure import StartFailure
from iii.storage.sync import sync_path
from iii.storage.wal import NOTHING, Mark, Wal, mark_of

EMPTY = LogEvent(
    __name__, "store.empty", logging.WARNING, "Store is empty (0 bytes); a new one begins",
    means="`store.db` has no content and no log beside it: something emptied it, or an earlier start was cut short.",
    do="Restore a backup if there were data.",
)  # fmt: skip
LOG_MISSING = LogEvent(
    __name__, "store.log_missing", logging.ERROR, "Log of a store is missing; acknowledged writes in it may be lost",
    means="`store.db-wal` was removed while it had pages. They are lost unless another program moved them to `store.db`, or a "
    "backup was restored.",
    do="Restore a backup if writes are missing; never remove one of the files of a store.",
)  # fmt: skip

_MARK_AT = 32  # in the lock file; before it is the process id
_LAST_FRAME_AT = 16  # in the WAL index (`mxFrame`, sqlite.org/walformat.html)
_OTHERS = ("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_BUSY", "SQLITE_NOMEM")


STORE = "store.db"  # unless a store has another name


class StoreFolder:
    """Taken by one process at a time.

    Args:
        name: of the database in it.

    Attributes:
        path: of the folder.
        database, wal, wal_index, lock_file: its files.
    """

    def __init__(self, path: Path, name: str = STORE) -> None:
        self.path = path
        self.database = path / name
        self.wal = path / f"{name}-wal"
        self.wal_index = path / f"{name}-shm"
        self.lock_file = path / "lock"
        self._lock: int | None = None
        self._opened: list[tuple[Path, tuple[int, int]]] = []

    def make(self) -> None:
        """With the names of all new folders on disk. Raises OSError."""
        folders = (self.path, *self.path.parents)
        missing = [folder for folder in folders if not folder.exists()]
        if len(missing) < len(folders) and not (nearest := folders[len(missing)]).is_dir():
            raise NotADirectoryError(errno.ENOTDIR, f"{nearest} is a file, not a folder")
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)  # only its owner reads it
        for folder in missing:
            sync_path(folder.parent)

    def take(self, *, to_look: bool = False) -> None:
        """Raises OSError, and StartFailure if another process has it. To look at it nothing is written."""
        if to_look and not self.lock_file.exists():
            return
        self._lock = os.open(self.lock_file, os.O_CLOEXEC | (os.O_RDONLY if to_look else os.O_RDWR | os.O_CREAT), 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(self._lock, _MARK_AT, 0).decode(errors="replace").strip()
            remedy = "stop it first" if to_look else "stop that process, or give this engine another `file_path`"
            raise StartFailure(
                f"the store {self.path} is in use by another process (pid {owner or 'unknown'}): {remedy}"
            ) from None
        if not to_look:
            os.pwrite(self._lock, str(os.getpid()).encode().ljust(_MARK_AT), 0)

    def release(self) -> None:
        """Another process may have it."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def protect(self) -> None:
        """Nobody but its owner reads a new file, nor its log, which gets the same rights. Raises OSError."""
        if not self.database.exists():
            os.close(os.open(self.database, os.O_CLOEXEC | os.O_CREAT | os.O_WRONLY, 0o600))

    # -- how far the log is on disk -------------------------------------------------------------------------------

    def mark(self, index: bytes) -> None:
        """The log is on disk as far as these first bytes of the WAL index say.

        Not synced itself: after a power cut it may be older, which only finds less damage.
        """
        assert self._lock is not None
        try:  # of each batch: `suppress` would take as long as the rest
            os.pwrite(self._lock, mark_of(index), _MARK_AT)
        except Exception:
            pass  # for the same reason

    def marked(self) -> Mark | None:
        """How far the log was on disk; None: nothing is known."""
        return None if self._lock is None else Mark.read(os.pread(self._lock, len(NOTHING), _MARK_AT))

    def forget_mark(self) -> None:
        """From now on the log may be moved into the file and removed."""
        assert self._lock is not None
        with contextlib.suppress(Exception):  # then a start warns of a log that is missing
            os.pwrite(self._lock, NOTHING, _MARK_AT)
            os.fdatasync(self._lock)

    # -- judging --------------------------------------------------------------------------------------------------

    def judge(self, versions: int) -> None:
        """Whether it can be used, without changing it. What a killed engine left in the log counts.

        Raises OSError, sqlite3.Error, and StartFailure if it is damaged, or newer than `versions`.
        """
        version, damage = self.look()
        if damage is not None:
            raise self._damaged(damage)
        if version > versions:
            raise StartFailure(
                f"the store {self.database} was written by a newer iii: its version is {version}, this iii supports "
                f"versions up to {versions}; start the newer iii"
            )

    def look(self) -> tuple[int, str | None]:
        """Its version, and why it is damaged. Raises OSError, and sqlite3.Error if SQLite cannot open it."""
        file_bytes = self.database.stat().st_size if self.database.exists() else None
        try:
            wal = Wal(self.wal)
        except FileNotFoundError:
            wal = None
        try:
            if file_bytes:
                return self._look(file_bytes, wal)
            # SQLite would begin a new file, and overwrite the log of the old one
            if wal is not None and not wal.empty:
                return (
                    0,
                    f"{self.database.name} is {'missing' if file_bytes is None else 'empty'}, but its write-ahead log is not",
                )
            if file_bytes is not None:
                EMPTY(store=str(self.database))
            return 0, None
        finally:
            if wal is not None:
                wal.close()

    def _look(self, file_bytes: int, wal: Wal | None) -> tuple[int, str | None]:
        looking = looking_at(self.database, log=wal is not None)
        try:
            looking.execute("SELECT count(*) FROM sqlite_master").fetchone()
            version, pages, page_bytes = (
                looking.execute(f"PRAGMA {name}").fetchone()[0] for name in ("user_version", "page_count", "page_size")
            )
            taken = frames_taken(self.wal_index) if wal is not None else 0
        finally:
            looking.close()
        if not pages:
            return 0, "not an SQLite file"
        mark = self.marked()
        if wal is not None and not wal.empty:
            return version, wal.damage(taken, mark)
        if mark is not None and mark.frames:
            LOG_MISSING(store=str(self.database), pages=mark.frames)
        short = file_bytes < pages * page_bytes
        return version, f"{self.database.name} has {file_bytes} of {pages * page_bytes} bytes" if short else None

    def refused(self, error: sqlite3.Error) -> StartFailure:
        """Why the engine cannot start with this store."""
        if getattr(error, "sqlite_errorname", "").startswith(_OTHERS):
            return StartFailure(f"cannot use the store {self.database}: {error}")
        return self._damaged(str(error))

    def _damaged(self, why: str) -> StartFailure:
        kept = f"; {self.wal.name}.damaged is a copy of its write-ahead log" if self._copy_log() else ""
        return StartFailure(
            f"the store {self.database} is damaged ({why}). Nothing was changed{kept}. Restore a backup, or move the "
            f"store away to start with an empty one; {self.database.name}, {self.wal.name} and {self.wal_index.name} belong together. "
            f"`iii store check {self.path}` lists the damage, `iii store salvage {self.path} NEW` copies what can be read"
        )

    def _copy_log(self) -> bool:
        """Once: whoever opens the file with other tools overwrites the log."""
        copy = self.wal.with_name(f"{self.wal.name}.damaged")
        try:
            if copy.exists() or not self.wal.exists() or not self.wal.stat().st_size:
                return copy.exists()
            shutil.copyfile(self.wal, copy)
        except OSError:
            copy.unlink(missing_ok=True)
            return False
        return True

    # -- identity -------------------------------------------------------------------------------------------------

    def opened(self, wal: int) -> None:
        """Its files are open now: these are the ones. Raises OSError."""
        assert self._lock is not None
        self._opened = [
            (
                self.database,
                _identity(os.stat(self.database)),
            ),  # SQLite holds it open, so that no other gets its number
            (self.wal, _identity(os.fstat(wal))),
            (self.lock_file, _identity(os.fstat(self._lock))),
        ]

    def missing(self) -> str | None:
        """Which of its files is not the one that was opened: removed, replaced, or below another mount. Raises nothing."""
        for path, identity in self._opened:
            try:
                if _identity(os.stat(path)) != identity:
                    return f"{path.name} was replaced"
            except Exception as error:
                return f"{path.name}: {getattr(error, 'strerror', None) or error}"
        return None


def looking_at(database: Path, log: bool) -> sqlite3.Connection:
    """A connection that changes neither the file nor its log.

    Args:
        log: there is one. Without one SQLite would make it, unless it is promised that nothing changes.
    """
    how = "mode=ro" if log else "immutable=1"
    return sqlite3.connect(f"{database.absolute().as_uri()}?{how}", uri=True, check_same_thread=False)


def frames_taken(wal_index: Path) -> int:
    """Frames of the log that SQLite takes, while a connection is open."""
    with open(wal_index, "rb") as index:
        return int.from_bytes(index.read(_LAST_FRAME_AT + 4)[_LAST_FRAME_AT:], sys.byteorder)


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
