"""Items: JSON values by group and key, wherever they are kept (05 §1, §4).

What a store answers comes through replies, on the loop: at once where it can, so that a cached read costs no task.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Final, NamedTuple, Protocol, TypeAlias

from iii.protocol.measurement import Measurement
from iii.protocol.reply import Reply

Group: TypeAlias = tuple[str, str]
"""Two names: a stream and a group of it; a scope of state and the empty text."""


class StoreError(Exception):
    """The store could not do it; the text is for whoever asked."""

    @classmethod
    def of(cls, error: Exception) -> StoreError:
        """With that error as its cause."""
        failure = cls(str(error) or type(error).__name__)
        failure.__cause__ = error
        return failure


CLOSED = "the store is closed: the engine is shutting down"


class Keep(Enum):
    """What a change answers that changes nothing."""

    KEEP = 0


KEEP: Final = Keep.KEEP

How: TypeAlias = Callable[[bytes | None], bytes | Keep | None]
"""From an item's JSON, None if it is missing, to what it shall be, None to delete it. May be called again, and elsewhere."""


class Changed(NamedTuple):
    """An item before and after."""

    old: bytes | None
    new: bytes | None


class Entry(NamedTuple):
    key: str
    value: bytes


def values(entries: list[Entry]) -> bytes:
    """Their values, as a JSON array."""
    return b"[%s]" % b",".join([entry.value for entry in entries])


class Store(Protocol):
    """What a module opens, asks how it is, and closes."""

    @property
    def lost(self) -> bool:
        """Whether it refuses all writes until the engine is restarted."""

    def measure(self, store: str) -> Sequence[Measurement]:
        """How long its steps take, under that name; nothing where there is no disk of ours."""

    async def open(self) -> None:
        """Raises StartFailure."""

    async def close(self) -> None:
        """Complete what was asked for, then let go."""


class Items(Store, Protocol):
    """One store of items."""

    def get(self, group: Group, key: str, reply: Reply[bytes, StoreError]) -> None:
        """Read one item, None for a missing one; the caller's own completed changes are seen."""

    def put(self, group: Group, key: str, value: bytes, reply: Reply[Changed, StoreError]) -> None:
        """Replace one item, whatever it was; done when that is durable."""

    def change(self, group: Group, key: str, how: How, reply: Reply[Changed, StoreError], size: int = 0) -> None:
        """As `put`, by what `how` makes of the item: one step for everybody else.

        Args:
            size: bytes of the new value, where that is known.
        """

    def entries(self, group: Group, reply: Reply[list[Entry], StoreError]) -> None:
        """All items of a group; in the order of their insertion, where the store keeps one."""

    def snapshot(self, group: Group, reply: Reply[list[Entry], StoreError]) -> None:
        """As `entries`, and in order with changes where the store can: with all that were done before `reply` is told."""

    def groups(self, first: str | None, reply: Reply[list[Group], StoreError]) -> None:
        """All groups that have items, of one first name or of all, in no order."""
