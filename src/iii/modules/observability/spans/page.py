"""The rows of one page out of many, without sorting all of them (06 §7.4)."""

from __future__ import annotations

import heapq
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from math import inf
from operator import attrgetter
from typing import Any, NamedTuple

from iii.modules.observability.spans.filters import longer, shorter
from iii.modules.observability.spans.numbers import TraceMarks
from iii.modules.observability.spans.ordered import LARGEST
from iii.modules.observability.spans.row import Row, place_of
from iii.modules.observability.spans.sieves import Columns, Timed, none_of
from iii.modules.observability.spans.wanted import Some
from iii.modules.observability.steps import Steps

_SORTED = 500  # rows of one run
_FEW = 1_000  # rows before the end of a page: no more are kept
_MERGED = 10
_SKIPPED = 64  # rows of an offset that are passed one by one
_AT_ONCE = 1_024  # rows that are sorted in one step: some 1.5 ms
_start = attrgetter("start")


class PageOfRows(NamedTuple):
    """Which rows are on it.

    Attributes:
        key: by what rows are sorted.
        by_duration: whether that is their duration first.
        by_common: whether that is something they have in common with others, then their trace.
        now: when pending ones end.
    """

    offset: int
    limit: int
    descending: bool
    key: Callable[[Row], Any]
    by_duration: bool
    by_common: bool
    now: int

    @property
    def end(self) -> int:
        return self.offset + self.limit


class Best:
    """Those of any rows that may be on a page.

    Args:
        far: no traces yet: those behind the page, if rows are sorted by what they have in common.
    """

    def __init__(self, page: PageOfRows, far: TraceMarks | None = None) -> None:
        self._page = page
        self._far = far
        self._rows: list[Row] = []
        self._runs: list[list[Row]] = []
        self._few = page.end <= _FEW
        self._last: float | None = None  # the duration of the last row so far: what is beyond it is not on the page
        self._bound: int | None = None  # the same of its start, if rows are sorted by that
        self._trace_id: str | None = None  # the same of its trace, if all that come now have as much in common
        self._sifted: float | None = None  # the duration that this is made for
        self._sift = Timed(0, inf, page.now)
        self._count = 0
        self._expected = False

    @property
    def is_full(self) -> bool:
        """Whether there are enough for a page."""
        return self._count >= self._page.end

    def expect(self, longest: float) -> None:
        """Enough rows for the page took so long, or longer."""
        if self._few and longest > 0:
            self._last, self._expected = longest, True

    @property
    def is_short(self) -> bool:
        """Whether some that took that long have left meanwhile."""
        return self._expected and len(self._rows) < self._page.end

    def sieve(self, block: Columns, first: int, last: int) -> bytes | None:
        """Those that may be on the page; None: all."""
        if self._trace_id is not None and self._far is not None:
            return none_of(self._far.sieve(block, first, last))
        if self._last is None:
            return None
        if self._last is not self._sifted:
            self._sifted = self._last
            least, most = (self._last, inf) if self._page.descending else (0, self._last)
            self._sift = Timed(least, most, self._page.now, roughly=True)
        return self._sift(block, first, last)

    @property
    def at_once(self) -> int:
        """Rows that `take` may take in one step: those that are not known to be behind the page are sorted."""
        if self._page.by_common:
            return _AT_ONCE if self._trace_id is None else 2 * _AT_ONCE  # each may be before all so far
        return _AT_ONCE if self._last is None else LARGEST

    def take(self, some: Some) -> None:
        """Those of some that may be on the page."""
        self.add(some.found(self.sieve(some.block, some.first, some.last)))

    def add(self, rows: list[Row]) -> None:
        """Rows that come by what they have in common have to come in the order of the page."""
        self._count += len(rows)
        self._rows += self._near(rows)
        if len(self._rows) >= _SORTED + (self._page.end if self._few else 0):
            self._sort()

    def _near(self, rows: list[Row]) -> list[Row]:
        """Those that may be on the page."""
        page = self._page
        if self._bound is not None:
            bound = self._bound
            return [row for row in rows if (row.start >= bound if page.descending else row.start <= bound)]
        if self._trace_id is not None:
            return self._of_near_traces(rows, self._trace_id)
        if self._last is not None and not page.descending:
            return shorter(rows, self._last, page.now)
        return longer(rows, self._last, page.now) if self._last else rows

    def _of_near_traces(self, rows: list[Row], last: str) -> list[Row]:
        descending = self._page.descending
        near = [row for row in rows if (row.trace_id >= last if descending else row.trace_id <= last)]
        if self._far is not None and len(near) < len(rows):
            self._far.add([row.number for row in rows if (row.trace_id < last if descending else row.trace_id > last)])
        return near

    def _sort(self) -> None:
        page = self._page
        self._rows.sort(key=page.key, reverse=page.descending)
        if self._few:
            del self._rows[page.end :]
            if page.by_duration and self._rows:
                self._last = self._rows[-1].duration(page.now)
            if page.by_common and len(self._rows) == page.end > 0:
                self._trace_id = self._rows[-1].trace_id
            if page.key is place_of and len(self._rows) == page.end > 0:
                self._bound = self._rows[-1].start
        else:
            self._runs.append(self._rows)
            self._rows = []

    def page(self) -> Steps[list[Row]]:
        self._sort()
        if self._few:
            return self._rows[self._page.offset :]
        return (yield from merged(self._page, self._runs))


def merged(page: PageOfRows, runs: Iterable[Iterable[Row]]) -> Steps[list[Row]]:
    """The page of sorted runs."""
    rows = heapq.merge(*runs, key=page.key, reverse=page.descending)
    left = page.offset
    while left and (skipped := sum(1 for _ in islice(rows, min(left, _MERGED)))):
        left -= skipped
        yield
    found = list[Row]()
    while len(found) < page.limit and (some := list(islice(rows, min(page.limit - len(found), _MERGED)))):
        found += some
        yield
    return found


def in_order(page: PageOfRows, sources: Sequence[list[list[Row]]]) -> list[Row]:
    """The page of what is sorted by its start already: of each source some pieces, one behind the other."""
    left = page.offset
    if left > _SKIPPED:
        sources, left = _behind(page, sources)
    rows = heapq.merge(*runs_of(page, sources), key=place_of, reverse=page.descending)
    return list(islice(rows, left, left + page.limit))


def runs_of(page: PageOfRows, sources: Sequence[list[list[Row]]]) -> list[Iterator[Row]]:
    """The rows of each source, in the order of the page."""
    if page.descending:
        return [chain.from_iterable(map(reversed, reversed(pieces))) for pieces in sources]
    return [chain.from_iterable(pieces) for pieces in sources]


def _behind(page: PageOfRows, sources: Sequence[list[list[Row]]]) -> tuple[list[list[list[Row]]], int]:
    """The sources without most of the offset, and what is left of that."""
    pieces = [piece for source in sources for piece in source]
    total = sum(map(len, pieces))
    if page.offset >= total:
        return [], 0
    place = total - 1 - page.offset if page.descending else page.offset
    start, before = _start_of(pieces, place)
    if not page.descending:
        rest = [
            [piece if _from(piece, start) == 0 else piece[_from(piece, start) :] for piece in source]
            for source in sources
        ]
        return [[piece for piece in source if piece] for source in rest], place - before
    rest = [[piece[: _until(piece, start)] for piece in source if piece[0].start <= start] for source in sources]
    passed = sum(len(piece) for source in rest for piece in source) - 1 - place
    return rest, max(passed, 0)  # less, if one of them has got another start meanwhile


def _from(piece: list[Row], start: int) -> int:
    return 0 if piece[0].start >= start else bisect_left(piece, start, key=_start)


def _until(piece: list[Row], start: int) -> int:
    return len(piece) if piece[-1].start <= start else bisect_right(piece, start, key=_start)


def _start_of(pieces: list[list[Row]], place: int) -> tuple[int, int]:
    """The start of the row that has this place among all, and how many start before that."""
    low, high, before = min(piece[0].start for piece in pieces), max(piece[-1].start for piece in pieces) + 1, 0
    windows = [(piece, 0, len(piece)) for piece in pieces]
    while high - low > 1:
        middle, count = (low + high) // 2, 0
        earlier, later = list[tuple[list[Row], int, int]](), list[tuple[list[Row], int, int]]()
        for window in windows:
            piece, first, last = window
            if piece[last - 1].start < middle:
                earlier.append(window)
                count += last - first
            elif piece[first].start >= middle:
                later.append(window)
            else:
                at = bisect_left(piece, middle, first, last, key=_start)
                earlier.append((piece, first, at))
                later.append((piece, at, last))
                count += at - first
        if before + count <= place:
            before, low, windows = before + count, middle, later
        else:
            high, windows = middle, earlier
    return low, before
