"""The write-ahead log of a store, read without SQLite: is an end that SQLite does not take torn, or is the log damaged (P16)?

SQLite takes the first frame with a wrong checksum for the end of the log (sqlite.org/fileformat2.html#walformat). After a
power cut that is right: the writes since the last fsync may be there in part. In a log that was on disk it is damage, and
everything behind would be dropped without a word.
"""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_HEADER = struct.Struct(">IIIIQII")  # magic, format, page size, checkpoint, salts, two checksums
_FRAME = struct.Struct(">IIQII")  # page, pages of the file after a commit or 0, salts, two checksums
_MAGIC = {0x377F0682: "<", 0x377F0683: ">"}  # the byte order of the checksums
_WORD = 0xFFFFFFFF
INDEX_BYTES = 48
HEADER_BYTES = _HEADER.size
_PAGE_BYTES = 4096  # of SQLite, unless a header says otherwise


NOTHING = bytes(12)


class Mark(NamedTuple):
    """How much of a log is on disk for certain.

    Attributes:
        salts: which log, they change whenever it begins from its start again; 0: none.
        frames: so many of it.
    """

    salts: int
    frames: int

    @classmethod
    def read(cls, data: bytes) -> Mark | None:
        if len(data) < len(NOTHING):
            return None
        return cls(int.from_bytes(data[:8], "big"), int.from_bytes(data[8:12], sys.byteorder))


def mark_of(index: bytes) -> bytes:
    """The mark for what the first bytes of a WAL index say."""
    return index[32:40] + index[16:20]  # salts, last frame of a commit


def agrees_with_index(index: bytes, header: bytes, size: int) -> bool:
    """Whether a log of that size begins as the first bytes of its index say, and can have all its frames."""
    frames = int.from_bytes(index[16:20], sys.byteorder)
    if not frames:
        return True
    return header[16:24] == index[32:40] and size >= _HEADER.size + frames * (_PAGE_BYTES + _FRAME.size)


class Frame(NamedTuple):
    number: int  # from 1
    page: int
    commits: bool


class Wal:
    """One log, open for reading.

    Attributes:
        empty: there are no frames: nobody wrote since the last checkpoint.
        intact: its header is. If not, the salts are those of the first frame.
    """

    def __init__(self, path: Path) -> None:
        """Raises OSError, also where there is none."""
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._bytes = os.fstat(self._descriptor).st_size
            start = os.pread(self._descriptor, 4096, 0)
        except OSError:
            os.close(self._descriptor)
            raise
        header = start[: _HEADER.size].ljust(_HEADER.size, b"\0")  # a log that was cut may be shorter
        self.empty = not any(start)
        magic, _, page_bytes, _, salts, *sums = _HEADER.unpack(header)
        self._order = _MAGIC.get(magic, _MAGIC[0x377F0682 + (sys.byteorder == "big")])
        self._sums: list[int] = sums
        self.intact = magic in _MAGIC and _checksum(header[:24], self._order, 0, 0) == tuple(sums)
        self.page_bytes: int = page_bytes if self.intact else _PAGE_BYTES
        self.salts: int = (
            salts if self.intact else _FRAME.unpack(start[_HEADER.size :][: _FRAME.size].ljust(_FRAME.size, b"\0"))[2]
        )

    @classmethod
    def is_empty(cls, path: Path) -> bool:
        """Whether nothing is in it, or there is none. Raises OSError."""
        try:
            wal = cls(path)
        except FileNotFoundError:
            return True
        try:
            return wal.empty
        finally:
            wal.close()

    def close(self) -> None:
        os.close(self._descriptor)

    def frames(self, after: int = 0) -> Iterator[Frame]:
        """All that belong to this log, whatever their checksums say."""
        for number in range(after + 1, (self._bytes - _HEADER.size) // self._stride + 1):
            page, pages, salts, *_ = self._head(number)
            if salts == self.salts:
                yield Frame(number, page, pages > 0)

    def agrees(self, number: int) -> bool:
        """Whether a frame is as it was written, if the checksum before it is."""
        sums = self._sums if number == 1 else self._head(number - 1)[3:]
        data = os.pread(self._descriptor, self._stride, self._place(number))
        if len(data) < self._stride:
            return False
        return _checksum(data[:8] + data[_FRAME.size :], self._order, *sums) == _FRAME.unpack_from(data)[3:]

    def page(self, number: int) -> bytes:
        """The page of a frame."""
        return os.pread(self._descriptor, self.page_bytes, self._place(number) + _FRAME.size)

    def damage(self, taken: int, mark: Mark | None) -> str | None:
        """Why what SQLite makes of it is not all that was acknowledged; None: an end that may be torn, or none.

        Args:
            taken: frames that SQLite takes.
            mark: of the same log it decides. Without one a later transaction behind the gap does, since one alone may be
                on disk in part.
        """
        if self.empty:
            return None
        if not self.intact:
            return "the header of its write-ahead log is damaged"
        if mark is not None and mark.salts == self.salts:
            return (
                f"frame {taken + 1} of {mark.frames} of its write-ahead log is damaged" if taken < mark.frames else None
            )
        commits = (frame.number for frame in self.frames(taken) if frame.commits)
        if next(commits, None) is None or not any(self.agrees(number) for number in commits):
            return None
        return f"frame {taken + 1} of its write-ahead log is damaged, and complete transactions follow it"

    @property
    def _stride(self) -> int:
        return self.page_bytes + _FRAME.size

    def _place(self, number: int) -> int:
        return _HEADER.size + (number - 1) * self._stride

    def _head(self, number: int) -> tuple[int, ...]:
        return _FRAME.unpack(os.pread(self._descriptor, _FRAME.size, self._place(number)))


def _checksum(data: bytes, order: str, first: int, second: int) -> tuple[int, int]:
    words = iter(struct.unpack(f"{order}{len(data) // 4}I", data))
    for one, two in zip(words, words, strict=True):
        first = (first + one + second) & _WORD
        second = (second + two + first) & _WORD
    return first, second
