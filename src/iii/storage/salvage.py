"""What can still be read of a damaged store, row by row, without changing it (P16)."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from itertools import count, islice
from pathlib import Path
from typing import IO, NamedTuple

from iii.protocol.json_text import is_json
from iii.storage.folder import StoreFolder, looking_at
from iii.storage.references import Orphans, Reference, orphans
from iii.storage.sync import sync_path
from iii.storage.wal import Frame, Mark, Wal

_PROBES = 100_000  # of one table: row ids that are tried one by one in what cannot be read
_LINES = 100  # of what a check tells
_LOWEST, _HIGHEST = -(2**63), 2**63 - 1
# What columns are declared with
_TYPES = {"INTEGER": int, "TEXT": str, "BLOB": bytes, "MSGPACK": bytes}


class NotSalvageable(Exception):
    """Nothing can be saved; the text says why."""


class CopiedTable(NamedTuple):
    """What was copied of one table.

    Attributes:
        rows: how many.
        gaps: first and last row id that could not be read; there may be fewer rows between them, or none. Of a table without
            row ids: how many rows were read, and -1.
        refused: rows that were read and make no sense: of another table, whose page lies here, or of a row that was read.
    """

    name: str
    rows: int
    gaps: list[tuple[int, int]]
    refused: int


class Salvaged(NamedTuple):
    """What became of a store.

    Attributes:
        lost_pages: of the log: what they held is missing, or as it was before.
        adopted: rows whose own name is lost, by the name that they got.
    """

    tables: list[CopiedTable]
    lost_pages: int
    adopted: dict[str, Orphans]

    @property
    def whole(self) -> bool:
        return not (self.lost_pages or self.adopted or any(table.gaps or table.refused for table in self.tables))


def check(files: StoreFolder, references: Sequence[Reference]) -> list[str]:
    """What is damaged. Raises OSError."""
    try:
        _, damage = files.look()
        if damage is not None:
            return [damage]
        if not files.database.exists() or not files.database.stat().st_size:
            return []
        looking = looking_at(files.database, log=files.wal.exists())
        try:
            found = [row[0] for row in looking.execute("PRAGMA integrity_check(100)")]
            if found == ["ok"]:
                found = list(islice(map(_described, orphans(looking, references)), _LINES)) + _values(looking)
            mark = files.marked()
            if mark is not None and mark.frames and Wal.is_empty(files.wal):
                found.append(f"its write-ahead log, with {mark.frames} acknowledged pages, is missing")
        finally:
            looking.close()
        return found
    except sqlite3.Error as error:
        return [str(error)]


def _values(looking: sqlite3.Connection) -> list[str]:
    """Tables with BLOBs that are not JSON. Raises sqlite3.Error."""
    found = []
    for (name,) in looking.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        blobs = [row[1] for row in looking.execute(f'PRAGMA table_info("{name}")') if row[2] == "BLOB"]
        if blobs:
            rows = looking.execute(f'SELECT {", ".join(blobs)} FROM "{name}"')
            bad = sum(not all(value is None or is_json(bytes(value)) for value in row) for row in rows)
            if bad:
                found.append(f"{bad} rows of {name} have values that are not JSON")
    return found


def _described(lost: Orphans) -> str:
    rows = ", ".join(f"{count} rows of {table}" for table, count in lost.counts.items())
    return f"{rows} refer to row {lost.id} of {lost.parent}, which is missing"


def salvage(files: StoreFolder, new: Path, references: Sequence[Reference]) -> Salvaged:
    """Copy every row that can be read into a store in the folder `new`.

    Rows whose scope, group or queue is lost come under a name of their own, `salvaged-<id>`.

    Raises OSError and sqlite3.Error if that cannot be written, and NotSalvageable.
    """
    new.mkdir(mode=0o700, parents=True, exist_ok=True)
    image, copy = new / "salvage.tmp", new / files.database.name
    try:
        lost_pages = _write_image(files, image)
        tables, adopted = _copy(image, copy, references)
    except BaseException:
        copy.unlink(missing_ok=True)
        raise
    finally:
        image.unlink(missing_ok=True)
    sync_path(new)
    return Salvaged(tables, lost_pages, adopted)


def _write_image(files: StoreFolder, image: Path) -> int:
    """The file with all pages of the log that are as they were written; how many are not."""
    if files.database.exists():
        shutil.copyfile(files.database, image)
    else:
        image.touch()
    with image.open("r+b") as file:
        lost = 0
        try:
            wal = Wal(files.wal)
        except FileNotFoundError:
            pass
        else:
            try:
                lost = _add_pages(file, wal, files.marked())
            finally:
                wal.close()
        file.seek(0)
        head = file.read(100)
        if head[:16] != b"SQLite format 3\0":
            raise NotSalvageable("its first page, which locates the tables, is damaged")
        file.seek(18)
        file.write(b"\1\1")  # it has no log
        page_bytes = int.from_bytes(head[16:18], "big")
        page_bytes = 65536 if page_bytes == 1 else page_bytes
        file.truncate(max(file.seek(0, os.SEEK_END), int.from_bytes(head[28:32], "big") * page_bytes))
    return lost


def _add_pages(file: IO[bytes], wal: Wal, mark: Mark | None) -> int:
    """The last good frame of each page, of transactions that were committed. How many pages have no good one."""
    good: dict[int, int] = {}
    unfinished: dict[int, int] = {}  # of a transaction whose end has not been seen
    bad: list[Frame] = []
    committed = mark.frames if mark is not None and mark.salts == wal.salts else 0
    last = 0
    for frame in wal.frames():
        bad += [Frame(number, 0, False) for number in range(last + 1, frame.number)]
        last = frame.number
        if not wal.agrees(frame.number):
            bad.append(frame)
            continue
        unfinished[frame.page] = frame.number
        if frame.commits:
            committed = max(committed, frame.number)
            good.update(unfinished)
            unfinished.clear()
    good.update((page, number) for page, number in unfinished.items() if number <= committed)
    for page, number in good.items():
        file.seek((page - 1) * wal.page_bytes)
        file.write(wal.page(number))
    lost = [frame for frame in bad if frame.number <= committed and good.get(frame.page, 0) < frame.number]
    return len(lost) + max(committed - last, 0)


def _copy(image: Path, copy: Path, references: Sequence[Reference]) -> tuple[list[CopiedTable], dict[str, Orphans]]:
    source = sqlite3.connect(f"{image.absolute().as_uri()}?immutable=1", uri=True)
    target = sqlite3.connect(copy, isolation_level=None)
    try:
        source.execute("PRAGMA cell_size_check = ON")
        try:
            version = source.execute("PRAGMA user_version").fetchone()[0]
            schema = source.execute(
                "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY rowid"
            ).fetchall()
        except sqlite3.Error as error:
            raise NotSalvageable(f"its schema cannot be read: {error}") from None
        if not schema:
            raise NotSalvageable("it has no tables")
        target.execute("BEGIN")
        try:
            for _, _, sql in schema:
                target.execute(sql)
        except sqlite3.Error as error:
            raise NotSalvageable(f"its schema is damaged: {error}") from None
        unknown = {each.parent: each.unknown for each in references}
        tables = [
            _copy_table(source, target, name, unknown.get(name, {})) for kind, name, _ in schema if kind == "table"
        ]
        adopted = _adopt(target, references)
        target.execute(f"PRAGMA user_version = {version}")
        target.execute("COMMIT")
        return tables, adopted
    finally:
        source.close()
        target.close()


def _adopt(target: sqlite3.Connection, references: Sequence[Reference]) -> dict[str, Orphans]:
    """Give rows whose parent is lost one with a name that nobody has."""
    adopted: dict[str, Orphans] = {}
    for lost in list(orphans(target, references)):
        sql = next(each.adopt for each in references if each.parent == lost.parent)
        for attempt in count(1):
            name = f"salvaged-{lost.id}" if attempt == 1 else f"salvaged-{lost.id}-{attempt}"
            try:
                target.execute(sql, {"id": lost.id, "name": name})
            except sqlite3.IntegrityError:  # the name is somebody's
                continue
            adopted[name] = lost
            break
    return adopted


def _copy_table(
    source: sqlite3.Connection, target: sqlite3.Connection, name: str, unknown: Mapping[str, object]
) -> CopiedTable:
    types = [row[2] for row in target.execute(f'PRAGMA table_info("{name}")')]
    marks = ", ".join("?" * len(types))
    gaps: list[tuple[int, int]] = []
    rows = refused = 0
    for row in _rows(source, name, gaps):
        taken = 0
        if _fits(row[1:], types):
            with contextlib.suppress(sqlite3.IntegrityError, sqlite3.DataError, UnicodeEncodeError):
                taken = target.execute(f'INSERT OR IGNORE INTO "{name}" VALUES ({marks})', row[1:]).rowcount
        rows += taken
        refused += 1 - taken
    gaps = _joined(gaps)
    if gaps:
        more, gaps = _from_indices(source, target, name, gaps, unknown)
        rows += more
    return CopiedTable(name, rows, gaps, refused)


def _fits(values: Sequence[object], types: Sequence[str]) -> bool:
    """A page of another table gives rows too: items would become names of scopes. All BLOBs are JSON."""
    return all(
        value is None or (type(value) is _TYPES[kind] and (kind != "BLOB" or is_json(value)))  # type: ignore[arg-type]
        for value, kind in zip(values, types, strict=True)
    )


def _from_indices(
    source: sqlite3.Connection,
    target: sqlite3.Connection,
    name: str,
    gaps: list[tuple[int, int]],
    unknown: Mapping[str, object],
) -> tuple[int, list[tuple[int, int]]]:
    """Rows in the gaps of a table that an index has, but for what is `unknown` there: how many, and the gaps that stay."""
    info = target.execute(f'PRAGMA table_info("{name}")').fetchall()
    keys = [column for _, column, kind, _, _, key in info if key and kind == "INTEGER"]
    if len(keys) != 1:
        return 0, gaps
    types = {column: kind for _, column, kind, *_ in info}
    needed = {column for _, column, _, must, _, key in info if must and not key} - unknown.keys()
    rows = 0
    for _, index, _, _, partial in target.execute(f'PRAGMA index_list("{name}")').fetchall():
        columns = [row[2] for row in target.execute(f'PRAGMA index_info("{index}")')]
        if partial or not needed <= set(columns):
            continue
        listed = ", ".join(f'"{column}"' for column in columns)
        names = ", ".join(f'"{column}"' for column in (keys[0], *columns, *unknown))
        insert = (
            f'INSERT OR IGNORE INTO "{name}" ({names}) VALUES ({", ".join("?" * (1 + len(columns) + len(unknown)))})'
        )
        for order in ("", "DESC"):
            by = ", ".join(f'"{column}" {order}' for column in columns)
            try:
                for number, *values in source.execute(
                    f'SELECT rowid, {listed} FROM "{name}" INDEXED BY "{index}" ORDER BY {by}'
                ):
                    here = any(begin <= number <= end for begin, end in gaps)
                    if here and _fits(values, [types[column] for column in columns]):
                        rows += target.execute(insert, (number, *values, *unknown.values())).rowcount
                return rows, []  # it was all there
            except sqlite3.Error:
                continue
    return rows, gaps


def _rows(source: sqlite3.Connection, name: str, gaps: list[tuple[int, int]]) -> Iterator[tuple[object, ...]]:
    """Each row that can be read, with its id before it; what lies between is noted in `gaps`.

    From both ends as far as they go, then again in both halves of what is left.
    """
    try:
        source.execute(f'SELECT rowid FROM "{name}" LIMIT 0')
    except sqlite3.OperationalError:  # a table without row ids: from both ends only
        yield from _ends(source, name, gaps)
        return
    left, probes = deque([(_LOWEST, _HIGHEST)]), 0
    while left:
        begin, end = left.popleft()
        for order in ("", "DESC"):
            try:
                query = f'SELECT rowid, * FROM "{name}" WHERE rowid BETWEEN ? AND ? ORDER BY rowid {order}'
                for row in source.execute(query, (begin, end)):
                    yield row
                    if order:
                        end = row[0] - 1
                    else:
                        begin = row[0] + 1
                break
            except (sqlite3.DatabaseError, OverflowError):
                probes += 1
        else:
            if begin < end and probes < _PROBES:
                middle = (begin + end) // 2
                left += (begin, middle), (middle + 1, end)
            elif begin <= end:
                gaps.append((begin, end))


def _ends(source: sqlite3.Connection, name: str, gaps: list[tuple[int, int]]) -> Iterator[tuple[object, ...]]:
    keys = [row[1] for row in sorted(source.execute(f'PRAGMA table_info("{name}")'), key=lambda row: row[5]) if row[5]]
    read = 0
    for order in ("", "DESC"):
        by = ", ".join(f'"{key}" {order}' for key in keys)
        try:
            for row in source.execute(f'SELECT 0, * FROM "{name}" ORDER BY {by}'):
                yield row
                read += 1
            return
        except sqlite3.DatabaseError:
            continue
    gaps.append((read, -1))


def _joined(gaps: list[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for begin, end in sorted(gaps):
        if joined and joined[-1][1] + 1 == begin:
            joined[-1] = joined[-1][0], end
        else:
            joined.append((begin, end))
    return joined
