"""Spans by what lists select them by: a list and its total need not look at each of them (06 §7.4)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from iii.modules.observability.spans.ordered import Ordered
from iii.modules.observability.spans.row import Common, Row
from iii.modules.observability.spans.signs import CommonPairs


class Facet:
    """Spans with the same service, name, status and visibility: roots and others."""

    __slots__ = ("common", "others", "roots")

    def __init__(self, common: Common) -> None:
        self.common = common
        self.roots = Ordered()
        self.others = Ordered()

    def of(self, root: bool) -> Ordered:
        return self.roots if root else self.others

    def sources(self, everywhere: bool) -> tuple[Ordered, ...]:
        """Roots, or all."""
        return (self.roots, self.others) if everywhere else (self.roots,)

    def chunks(self) -> Iterator[list[Row]]:
        """All of them, a few at a time."""
        yield from self.roots.chunks()
        yield from self.others.chunks()

    @property
    def count(self) -> int:
        return self.roots.count + self.others.count


class Facets:
    """All of them. A row that is new is placed a little later: by then its parent has often arrived.

    Attributes:
        common_pairs: what the signs of the rows were made with.
    """

    def __init__(self, common_pairs: CommonPairs | None = None) -> None:
        self.common_pairs = common_pairs or CommonPairs()
        self._facets: dict[Common, Facet] = {}
        self._new: list[Row] = []

    def __len__(self) -> int:
        return len(self._facets)

    def all(self) -> Iterable[Facet]:
        """After `settle`."""
        return self._facets.values()

    def expect(self, row: Row) -> None:
        """Place it with the next `settle`."""
        self._new.append(row)

    @property
    def unsettled(self) -> int:
        return len(self._new)

    def settle(self) -> None:
        """Place all rows that are new."""
        facets = self._facets
        for row in self._new:
            if row.kept and not row.placed:
                facet = facets.get(row.common)
                if facet is None:
                    facet = facets[row.common] = Facet(row.common)
                row.placed = True
                facet.of(row.root).add(row)
        self._new.clear()

    def remove(self, row: Row) -> None:
        if row.placed:
            facet = self._facets[row.common]
            facet.of(row.root).remove(row)
            row.placed = False
            if not facet.count:
                del self._facets[facet.common]

    def freed(self) -> Iterator[None]:
        """Steps that let go of all of them."""
        self._new.clear()
        while self._facets:
            _, facet = self._facets.popitem()
            yield from facet.roots.freed()
            yield from facet.others.freed()

    def turn(self, row: Row, root: bool) -> None:
        """It is a root from now on, or is none any more."""
        if row.root is not root:
            if row.placed:
                facet = self._facets[row.common]
                facet.of(row.root).remove(row)
                facet.of(root).add(row)
            row.root = root
