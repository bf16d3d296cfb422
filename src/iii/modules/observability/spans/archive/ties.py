"""The first of some spans on disk by the ids of trace and span: blocks are looked at when those before them are used up."""

from __future__ import annotations

import json
from bisect import insort
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TypeAlias

from iii.modules.observability.spans.archive.blocks import SHIFT, SPANS
from iii.modules.observability.spans.archive.columns import BY_TRACE, BlockTimes
from iii.modules.observability.spans.archive.known_blocks import BlockReader
from iii.modules.observability.spans.archive.orders import Order, orders_of

_AT_ONCE = 64  # blocks, or spans of one
_BEHIND = "\U0010ffff"  # of all ids of spans
_IDS = "SELECT t.trace_id, s.span_id, s.id FROM json_each(?) j CROSS JOIN spans s ON s.id = j.value CROSS JOIN traces t ON t.id = s.trace"

_Place: TypeAlias = tuple[str, str, int, int]
"""The ids of trace and span, the number of a block that goes on behind it, or -1, and the span's row; -1: the block is not looked at yet."""


class Ties:
    """Spans with something in common by which they are sorted.

    Args:
        marks: which of the spans of some blocks are such.
        loose: ids of those in no block.
    """

    def __init__(
        self,
        reader: BlockReader,
        blocks: Sequence[BlockTimes],
        marks: Callable[[Sequence[BlockTimes]], Sequence[int]],
        loose: Sequence[int],
        descending: bool,
    ) -> None:
        self._reader = reader
        self._blocks = blocks
        self._marks = marks
        self._descending = descending
        self._queue: list[_Place] = [
            (block.last_trace, _BEHIND, at, -1) if descending else (block.first_trace, "", at, -1)
            for at, block in enumerate(blocks)
        ]
        self._queue += ((trace, span, -1, id_) for trace, span, id_ in self._placed(loose))
        self._queue.sort()
        self._first = -1 if descending else 0
        self._ids = dict[int, Iterator[int]]()
        self._read = dict[int, int]()

    def first(self, needed: int) -> list[int]:
        """Ids of so many."""
        found, count = list[int](), 1
        while self._queue and len(found) < needed:
            _, _, at, id_ = self._queue.pop(self._first)
            if id_ >= 0:
                found.append(id_)
            else:
                some, count = [at, *self._more_blocks(count - 1)], min(2 * count, _AT_ONCE)
                self._look_at(some)
                self._go_on(some)
            if at >= 0 and id_ >= 0:
                self._go_on([at])
        return found

    def _more_blocks(self, count: int) -> Iterator[int]:
        """That come next, before any span."""
        while count and self._queue and self._queue[self._first][3] < 0:
            yield self._queue.pop(self._first)[2]
            count -= 1

    def _look_at(self, some: Sequence[int]) -> None:
        blocks = [self._blocks[at] for at in some]
        orders = orders_of(self._reader, blocks, BY_TRACE)
        for at, block, mask, order in zip(some, blocks, self._marks(blocks), orders, strict=True):
            self._ids[at] = self._of_block(block, mask, order)

    def _go_on(self, some: Sequence[int]) -> None:
        """With what comes next in each of those blocks: the more of it the more was used up."""
        ids, last = list[int](), dict[int, int]()
        for at in some:
            read = self._read[at] = min(2 * self._read.get(at, 1), _AT_ONCE)
            of = list(islice(self._ids[at], read))
            if len(of) == read:
                last[of[-1]] = at
            ids += of
        for trace, span, id_ in self._placed(ids):
            insort(self._queue, (trace, span, last.get(id_, -1), id_))

    def _placed(self, ids: Sequence[int]) -> list[tuple[str, str, int]]:
        return self._reader.connection.execute(_IDS, (json.dumps(ids),)).fetchall() if ids else []

    def _of_block(self, block: BlockTimes, mask: int, order: Order) -> Iterator[int]:
        marks, count = mask.to_bytes(SPANS, "little"), mask.bit_count()
        if self._descending:
            positions = order.positions_back(marks, count)
        else:
            positions = order.positions(marks, count, 0, len(order.places))
        for position in positions:
            yield block.id << SHIFT | order.places[position]
