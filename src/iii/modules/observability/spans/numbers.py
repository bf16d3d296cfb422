"""Small numbers of the traces that are kept: some of all traces are bytes, one for each number (06 §7.4)."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import compress
from operator import itemgetter
from typing import TYPE_CHECKING
from weakref import ref

from iii.modules.observability.spans.sieves import marked, none_of, places, together

if TYPE_CHECKING:
    from iii.modules.observability.spans.row import Row
    from iii.modules.observability.spans.sieves import Columns
    from iii.modules.observability.steps import Steps

_MORE = 1_024  # numbers that are made at once
_DENSE = 4  # if more than such a part of the rows pass a sieve, the traces of all of them are told
_PART = 32_768  # numbers that are looked at in one step: some 0.5 ms


class TraceNumbers:
    """A number is that of another trace once its own is not kept any more.

    Attributes:
        counts: of spans, by number.
    """

    def __init__(self) -> None:
        self.counts = array("I")
        self._trace_ids: list[str] = []
        self._nobody = bytearray()  # 1: no trace has the number
        self._free: list[int] = []
        self._marks: list[ref[TraceMarks]] = []

    def take(self, trace_id: str) -> int:
        """One for a trace that is new."""
        if not self._free:
            self._make()
        number = self._free.pop()
        self._trace_ids[number] = trace_id
        self._set(number, 0)
        return number

    def give_back(self, number: int) -> None:
        """The trace is not kept any more."""
        self._trace_ids[number] = ""
        self._free.append(number)
        self._set(number, 1)

    def mark(self) -> TraceMarks:
        """Marks for some of the traces: none yet."""
        self._marks = [each for each in self._marks if each() is not None]
        marks = TraceMarks(self, bytearray(self._nobody))
        self._marks.append(ref(marks))
        return marks

    @property
    def count(self) -> int:
        """How many traces have one."""
        return len(self.counts) - len(self._free)

    @property
    def free(self) -> int:
        return len(self._free)

    def trace_ids(self, bits: bytes, first: int) -> list[str]:
        """Of those with a mark; the first mark is that of this number."""
        taken = none_of(bytes(self._nobody[first : first + len(bits)]))
        marked = int.from_bytes(bits, "little") & int.from_bytes(taken, "little")
        return [self._trace_ids[first + at] for at in places(marked.to_bytes(len(bits), "little"))]

    def _make(self) -> None:
        first = len(self.counts)
        self.counts.frombytes(bytes(_MORE * self.counts.itemsize))
        self._trace_ids += [""] * _MORE
        self._free += range(first + _MORE - 1, first - 1, -1)
        self._nobody += b"\1" * _MORE
        for each in self._marks:
            marks = each()
            if marks is not None:
                marks.bits += b"\1" * _MORE

    def _set(self, number: int, bit: int) -> None:
        self._nobody[number] = bit
        for each in self._marks:
            marks = each()
            if marks is not None:
                marks.set(number, bit)


class TraceMarks:
    """Some of all traces.

    Attributes:
        bits: by number: 1 is one of them, or no trace; 0 is a trace that is none of them.
    """

    __slots__ = ("__weakref__", "_full", "_numbers", "bits")

    def __init__(self, numbers: TraceNumbers, bits: bytearray) -> None:
        self.bits = bits
        self._numbers = numbers
        self._full = 0  # before this all are 1

    def __len__(self) -> int:
        return int.from_bytes(self.bits, "little").bit_count() - self._numbers.free

    @property
    def are_all(self) -> bool:
        """Whether no other trace is kept at this moment."""
        at = self.bits.find(0, self._full)
        self._full = len(self.bits) if at < 0 else at
        return at < 0

    def add(self, numbers: Iterable[int]) -> None:
        bits = self.bits
        for number in numbers:
            bits[number] = 1

    def set(self, number: int, bit: int) -> None:
        """Another trace has the number now, or none."""
        self.bits[number] = bit
        if number < self._full and not bit:
            self._full = number

    def trace_ids(self) -> Iterator[str]:
        """While they come and leave."""
        for first in range(0, len(self.bits), _PART):
            yield from self._numbers.trace_ids(bytes(self.bits[first : first + _PART]), first)

    def only(self, rows: list[Row]) -> list[Row]:
        """Those of these traces."""
        bits = self.bits
        return [row for row in rows if bits[row.number] and row.kept]

    def sieve(self, block: Columns, first: int, last: int) -> bytes:
        """Those of these traces, and no others."""
        return bytes(_at(self.bits, block.numbers[first:last]))

    def among(self, marks: bytes | None, block: Columns, first: int, last: int) -> bytes:
        """Those of these traces, of rows with a mark; None: all."""
        if marks is None:
            return self.sieve(block, first, last)
        count = marks.count(1)
        if count * _DENSE > len(marks):
            return together((marks, self.sieve(block, first, last)))
        some, exact = places(marks, count), bytearray(len(marks))
        numbers = block.numbers[first:last] if first else block.numbers
        for at in compress(some, _at(self.bits, _at(numbers, some))):
            exact[at] = 1
        return bytes(exact)

    def spans(self) -> Steps[int]:
        """How many spans they have."""
        total, counts, bits = 0, self._numbers.counts, self.bits
        for first in range(0, len(bits), _PART):
            total += sum(marked(counts[first : first + _PART], 0, bytes(bits[first : first + _PART])))
            yield
        return total


def _at(values: Sequence[int], indexes: Sequence[int]) -> Sequence[int]:
    """Those with these indexes, all at once: one by one takes twice as long."""
    return itemgetter(*indexes)(values) if len(indexes) > 1 else [values[index] for index in indexes]
