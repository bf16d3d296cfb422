"""What is to be done so that the running modules are those of another configuration (18 §3.1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

from iii.server.config_file import ModuleEntry
from iii.server.part import Part

_Fits: TypeAlias = Callable[[Part, ModuleEntry], bool]


class Plan(NamedTuple):
    """Buckets of one comparison.

    Attributes:
        changed: what runs, and what it is to be.
    """

    added: tuple[ModuleEntry, ...]
    removed: tuple[Part, ...]
    changed: tuple[tuple[Part, ModuleEntry], ...]
    unchanged: tuple[tuple[Part, ModuleEntry], ...]

    @property
    def is_empty(self) -> bool:
        return not (self.added or self.removed or self.changed)


def plan(parts: Sequence[Part], entries: Sequence[ModuleEntry]) -> Plan:
    """Entries of one module are paired by equal settings first, the rest of them by position."""
    left, wanted = list(parts), list(entries)
    unchanged = _pairs(left, wanted, lambda part, entry: _same(part.entry, entry))
    changed = _pairs(left, wanted, lambda part, entry: part.entry.known is entry.known)
    return Plan(tuple(wanted), tuple(left), tuple(changed), tuple(unchanged))


def _same(entry: ModuleEntry, other: ModuleEntry) -> bool:
    return entry.known is other.known and entry.config == other.config


def _pairs(left: list[Part], wanted: list[ModuleEntry], fits: _Fits) -> list[tuple[Part, ModuleEntry]]:
    """Those that fit, taken out of both lists."""
    pairs = []
    for entry in list(wanted):
        part = next((part for part in left if fits(part, entry)), None)
        if part is not None:
            pairs.append((part, entry))
            left.remove(part)
            wanted.remove(entry)
    return pairs
