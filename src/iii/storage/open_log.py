"""The write-ahead log of an open store and its index: how far it is, whether it is whole, and its fsync."""

from __future__ import annotations

import os
import sys

from iii.storage.folder import StoreFolder
from iii.storage.wal import HEADER_BYTES, INDEX_BYTES, agrees_with_index


class OpenLog:
    """Descriptors of both, apart from SQLite's."""

    def __init__(self, files: StoreFolder) -> None:
        """Raises OSError."""
        self.descriptor = os.open(files.wal, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._index = os.open(files.wal_index, os.O_RDONLY | os.O_CLOEXEC)
        except BaseException:
            os.close(self.descriptor)
            raise

    def close(self) -> None:
        os.close(self.descriptor)
        os.close(self._index)

    def index(self) -> bytes:
        """Its first bytes. Raises OSError."""
        return os.pread(self._index, INDEX_BYTES, 0)

    def settled_index(self) -> tuple[bytes, bool]:
        """As `index`, and whether nobody writes just now: its copy agrees. Raises OSError."""
        index = os.pread(self._index, 2 * INDEX_BYTES, 0)
        return index[:INDEX_BYTES], index[:INDEX_BYTES] == index[INDEX_BYTES:]

    def cut(self) -> str | None:
        """Whether somebody has cut it: its index is in memory, and SQLite would write on as if nothing were missing."""
        try:
            header = os.pread(self.descriptor, HEADER_BYTES, 0)
            whole = agrees_with_index(self.index(), header, os.fstat(self.descriptor).st_size)
        except Exception as error:  # such as MemoryError: it is asked where a failure would be nobody's
            return f"its write-ahead log cannot be read: {error}"
        return None if whole else "its write-ahead log was truncated by another program"


def pages_of(index: bytes) -> int:
    """Pages in the log."""
    return int.from_bytes(index[16:20], sys.byteorder)
