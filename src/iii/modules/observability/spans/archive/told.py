"""Spans on disk as sealed blocks tell of them: how many are listed, and the few that may be on a page (06 §7.5)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from iii.modules.observability.spans.archive.blocks import SHIFT
from iii.modules.observability.spans.archive.columns import (
    BY_DURATION,
    BY_START,
    LARGEST,
    TimesReader,
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
        selection = self._selection
        query, values = self._conditions()
        sign = -1 if selection.descending else 1
        for first, last in Blocks.between(blocks):
            for id_, start, took, facet in self._reader.connection.execute(query, (first, last, *values)):
                if (selection.shortest is not None and took < selection.shortest) or (
                    selection.longest is not None and took > selection.longest
                ):
                    continue
                if 1 << 8 * (id_ & (1 << SHIFT) - 1) & self._asked.apart.get(id_ >> SHIFT, 0):
                    continue
                if numbers:
                    yield numbers[facet], id_
                else:
                    yield sign * (took if selection.sort_by in DURATIONS else start), id_

    def _conditions(self) -> tuple[str, list[str | int]]:
        selection, asked = self._selection, self._asked
        query, values = (
            "SELECT id, start, max(end - start, 0), facet FROM spans s NOT INDEXED WHERE id BETWEEN ? AND ?",
            list[str | int](),
        )
        conditions = list[tuple[str, tuple[str | int, ...]]]()
        if asked.facets is not None:
            conditions.append(("facet IN (SELECT value FROM json_each(?))", (json.dumps(list(asked.facets)),)))
        if not selection.everywhere:
            conditions.append(("root > 0", ()))
        if selection.since is not None:
            conditions.append(("end >= ?", (min(selection.since, LARGEST),)))
        if selection.until is not None:
            conditions.append(("start <= ?", (min(selection.until, LARGEST),)))
        for condition, bound in (*conditions, *asked.conditions):  # quick ones first
            query = f"{query} AND {condition}"
            values += bound
        return query, values
