"""Whose the spans of a block are (06 §7.5)."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Collection, Sequence

from iii.modules.observability.spans.archive.codes import Codes
from iii.modules.observability.spans.archive.known_blocks import BlockColumns
from iii.modules.observability.spans.archive.orders import ALL
from iii.protocol.limits import MIB

_BYTE = 256
_MANY = 20_000  # traces that are not marked one by one
_WIDEST = 8 * MIB  # marks


class Owners:
    """
    Attributes:
        traces: each once.
        counts: of spans, for each of those.
        codes: by place in the block: which of them; where no span is, none.
        run: from this one on each trace is the next one: those that began in the block; there may be none.
    """

    def __init__(self, columns: tuple[bytes, bytes, bytes]) -> None:
        traces, counts, owners = columns
        self.traces = array("q", traces)
        self.counts: Sequence[int] = memoryview(counts).cast("H")
        self.codes = Codes(owners[::2] if len(self.traces) < _BYTE else owners)
        self.run = _run(self.traces)


def _run(traces: array[int]) -> int:
    last = len(traces) - 1
    if last < 0:
        return 0
    first = bisect_left(range(last), traces[last] - last, key=lambda at: traces[at] - at)
    return first if traces[first:] == array("q", range(traces[first], traces[last] + 1)) else len(traces)


class WantedTraces:
    """Those whose spans are listed.

    Args:
        first, last: of all traces; of a salvaged file spans may be of others.
    """

    def __init__(self, traces: Collection[int], first: int, last: int) -> None:
        self._traces = traces
        self._first = first
        self._marks = bytearray(last - first + 1 if len(traces) <= _MANY and last - first < _WIDEST else 0)
        for trace in traces if self._marks else ():
            if first <= trace <= last:
                self._marks[trace - first] = 1

    def marks(self, owners: Owners) -> int:
        """The places of their spans in a block; those where no span is may be among them."""
        wanted = self._of(owners.traces, owners.run)
        if 1 not in wanted:
            return 0
        return ALL if 0 not in wanted else owners.codes.marks(wanted)

    def _of(self, traces: Sequence[int], run: int) -> bytes:
        run = run if self._marks and run < len(traces) and traces[run] >= self._first else len(traces)
        wanted = bytes(map(self._traces.__contains__, traces[:run]))
        if run == len(traces):
            return wanted
        first = traces[run] - self._first
        return (wanted + self._marks[first : first + len(traces) - run]).ljust(len(traces), b"\0")


OWNERS = BlockColumns("traces, counts, owners", "blocks", lambda columns, _: Owners(columns), place=2)
