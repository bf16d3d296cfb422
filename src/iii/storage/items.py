"""Items: JSON values by group and key, wherever they are kept (05 §1, §4).

What a store answers comes through callbacks, on the loop: at once where it can, so that a cached read costs no task.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Final, NamedTuple, Protocol, TypeAlias

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


CLOSED = "the store is closed: the engine stops"


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


class OnRead(Protocol):
    def __call__(self, value: bytes | None, error: StoreError | None, /) -> None: ...


class OnChanged(Protocol):
    def __call__(self, changed: Changed | None, error: StoreError | None, /) -> None: ...


class OnListed(Protocol):
    def __call__(self, entries: list[Entry] | None, error: StoreError | None, /) -> None: ...


class OnGroups(Protocol):
    def __call__(self, groups: list[Group] | None, error: StoreError | None, /) -> None: ...


class Items(Protocol):
    """One store. Exactly one of value and error is not None, but for a missing item both are."""

    async def open(self) -> None:
        """Raises StartFailure."""

    async def close(self) -> None:
        """Complete what was asked for, then let go."""

    def get(self, group: Group, key: str, done: OnRead) -> None:
        """Read one item; the caller's own completed changes are seen."""

    def change(self, group: Group, key: str, how: How, done: OnChanged, size: int = 0) -> None:
        """Replace one item by what `how` makes of it: one step for everybody else, done when it is durable.

        Args:
            size: bytes of the new value, where that is known.
        """

    def entries(self, group: Group, done: OnListed) -> None:
        """All items of a group; in the order of their insertion, where the store keeps one."""

    def snapshot(self, group: Group, done: OnListed) -> None:
        """As `entries`, and in order with changes where the store can: with all that were done before `done` is called."""

    def groups(self, first: str | None, done: OnGroups) -> None:
        """All groups that have items, of one first name or of all, in no order."""
