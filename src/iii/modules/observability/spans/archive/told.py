"""Spans on disk as sealed blocks tell of them: how many are listed, and the few that may be on a page (06 §7.5)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from iii.modules.observability.spans.archive.blocks import SHIFT, SPANS
from iii.modules.observability.spans.archive.columns import (
    BY_DURATION,
    BY_START,
    LARGEST,
    TimesReader,
    numbers_of,
)
from iii.modules.observability.spans.archive.firsts import FirstByName, FirstByValue, Listed, Place, ToldPage
from iii.modules.observability.spans.archive.masks import Asked, Masks
from iii.modules.observability.spans.archive.matches import Blocks
from iii.modules.observability.spans.row import Common
from iii.modules.observability.spans.selection import COMMON_KEYS, DURATIONS, Selection

PAGES = 12_000  # spans before the end of a page


class Told(NamedTuple):
    """
    Attributes:
        page: None: that would be long.
        total: how many are listed.
    """

    page: ToldPage | None
    total: int


class ToldSpans:
    """What the blocks of one state of the disk tell of a list."""

    def __init__(self, reader: TimesReader, selection: Selection, asked: Asked, commons: Mapping[int, Common]) -> None:
        self._reader = reader
        self._selection = selection
        self._asked = asked
        self._commons = commons
        self._masks = Masks(reader, selection, asked)

    def told(self) -> Told | None:
        """None: too many spans are in no block."""
        selection, asked = self._selection, self._asked
        if selection.longest is not None and selection.longest < 0:
            return None
        times = self._reader.told
        if times is None:
            return None
        numbers = self._numbers()
        loose = list(self._loose([block.id for block in times], numbers))
        blocks = self._masks.wanted(times)
        listed = Listed(
            self._reader, self._masks, blocks, loose, selection.descending, asked.needed, asked.skipped, asked.held
        )
        if not 0 < asked.needed <= PAGES:
            return Told(None, listed.total())
        if selection.sort_by in COMMON_KEYS:
            page = FirstByName(listed, numbers).page()
        else:
            page = FirstByValue(listed, BY_DURATION if selection.sort_by in DURATIONS else BY_START).page()
        return Told(page, page.total)

    def _numbers(self) -> dict[int, int]:
        """Of facets, by the names by which spans are sorted."""
        name = COMMON_KEYS.get(self._selection.sort_by)
        if name is None:
            return {}
        ordered = sorted(
            ((name(common), facet) for facet, common in self._commons.items()), reverse=self._selection.descending
        )
        return {
            facet: number
            for number, (_, same) in enumerate(groupby(ordered, key=lambda each: each[0]))
            for _, facet in same
        }

    def _loose(self, blocks: Sequence[int], numbers: Mapping[int, int]) -> Iterator[Place]:
        """Spans between the blocks."""
        conditions, values = self._conditions()
        query = f"SELECT json_group_array({self._value()}), json_group_array(id) FROM spans s NOT INDEXED WHERE id BETWEEN ? AND ?{conditions}"
        for bounds in Blocks.between(blocks):
            found, ids = map(numbers_of, self._reader.connection.execute(query, (*bounds, *values)).fetchone())
            places = zip([numbers[facet] for facet in found] if numbers else found, ids, strict=True)
            yield from filter(self._is_listed, places) if self._asked.apart else places

    def _value(self) -> str:
        """What a span is sorted by, as a place has it, or its facet."""
        by, sign = self._selection.sort_by, "-" if self._selection.descending else ""
        if by in COMMON_KEYS:
            return "facet"
        return f"{sign}{_TOOK}" if by in DURATIONS else f"{sign}start"

    def _is_listed(self, place: Place) -> bool:
        """Whether it is not of a trace that is looked at outside of the database."""
        _, id_ = place
        return not self._asked.apart.get(id_ >> SHIFT, 0) >> 8 * (id_ & SPANS - 1) & 1

    def _conditions(self) -> tuple[str, list[str | int]]:
        selection, asked = self._selection, self._asked
        conditions = list[tuple[str, tuple[str | int, ...]]]()
        if asked.facets is not None:
            conditions.append(("facet IN (SELECT value FROM json_each(?))", (json.dumps(list(asked.facets)),)))
        if not selection.everywhere:
            conditions.append(("root > 0", ()))
        if selection.since is not None:
            conditions.append(("end >= ?", (min(selection.since, LARGEST),)))
        if selection.until is not None:
            conditions.append(("start <= ?", (min(selection.until, LARGEST),)))
        if selection.timed is not None:
            conditions.append((f"{_TOOK} BETWEEN ? AND ?", self._masks.bounds(BY_DURATION)))
        conditions += asked.conditions  # the slow ones
        return "".join(f" AND {condition}" for condition, _ in conditions), [
            each for _, of in conditions for each in of
        ]


_TOOK = "max(end - start, 0)"
