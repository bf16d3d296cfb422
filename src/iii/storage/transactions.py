"""What a store of rows can be asked for, on disk or in memory; the rows are SQLite's."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias

from iii.protocol.measurement import Measurement
from iii.protocol.start_failure import StartFailure
from iii.storage.items import StoreError

Connection: TypeAlias = sqlite3.Connection
ReadError: TypeAlias = sqlite3.Error
"""What `reader`, and a connection within a work, raise."""
Work: TypeAlias = Callable[[Connection], Any]
"""What a write does. Run again, alone, if another one of its batch failed."""
Together: TypeAlias = Callable[[Connection, list[Any]], list[Any]]
"""What does many things of one kind with few statements: a result for each. As a write it may be asked again."""
Done: TypeAlias = Callable[[Any, StoreError | None], None]


class Transactions(Protocol):
    """One store."""

    reader: Connection
    """For what is quick, on the loop: sees everything whose write was told."""

    @property
    def closed(self) -> bool: ...

    @property
    def lost(self) -> bool:
        """Whether it refuses all writes until the engine is restarted."""

    async def open(self) -> None:
        """Raises StartFailure."""

    def measure(self, store: str) -> Sequence[Measurement]:
        """How long its steps take, under that name; nothing where there is no disk."""

    def refused(self, error: ReadError) -> StartFailure:
        """Why the engine cannot start with what is there."""

    async def close(self) -> None:
        """Complete what was submitted; what comes after is refused."""

    def read(self, work: Work, done: Done) -> None:
        """Something that may take long."""

    def write(self, work: Work, done: Done, size: int = 0, slow: bool = False) -> None:
        """Do it within a transaction, in order; `done` gets its result when that is as durable as the store is.

        Args:
            size: about how many bytes it holds until then.
            slow: it may touch thousands of rows.
        """

    def write_together(self, together: Together, what: Any, done: Done, size: int = 0) -> None:
        """As `write`, for something that can be done at once with others of its kind.

        Between two `write`s the kinds may change places among each other; each keeps its own order.
        """

    def rebuild_indices(self, done: Callable[[bool], None]) -> None:
        """A read met damage: build all indexes again if that was not tried yet; `done` gets whether they are new."""
