"""Filters, order and pages of every list (23 §5)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from msgspec import Struct

from iii.console.refusal import Refusal
from iii.protocol.limits import CONSOLE_PAGE_ROWS

T = TypeVar("T")

_DEFAULT_ROWS = 50
_FACETS = 200  # values of one facet


class FacetValue(Struct):
    """A value, and how many rows have it."""

    value: str
    count: int


class PageQuery(NamedTuple):
    """Attributes:
    text: in lower case; empty: everything.
    """

    text: str
    offset: int
    limit: int
    sort: str
    descending: bool

    def order(self, rows: Iterable[T], keys: Mapping[str, Callable[[T], Any]], default: str) -> list[T]:
        """By one of the keys; what has no value comes last. Raises Refusal: there is no such key."""
        name = self.sort or default
        if name not in keys:
            raise Refusal(400, f"sort: expected one of {', '.join(keys)}, got '{name[:50]}'", "BAD_QUERY")
        key = keys[name]
        found: list[T] = []
        without: list[T] = []
        for row in rows:
            (without if key(row) is None else found).append(row)
        found.sort(key=key, reverse=self.descending)
        return found + without

    def page(self, rows: Sequence[Any], **more: Any) -> dict[str, Any]:
        """The answer."""
        shown = rows[self.offset : self.offset + self.limit]
        return {"rows": shown, "total": len(rows), "offset": self.offset, "limit": self.limit, **more}


def page_query(query: Mapping[str, str]) -> PageQuery:
    """Raises Refusal."""
    return PageQuery(
        query.get("q", "").strip().lower(),
        number_of(query, "offset", 0, 2**53),
        number_of(query, "limit", _DEFAULT_ROWS, CONSOLE_PAGE_ROWS),
        query.get("sort", ""),
        query.get("order", "asc") == "desc",
    )


def number_of(query: Mapping[str, str], name: str, default: int, most: int) -> int:
    """Raises Refusal."""
    text = query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) <= 16):
        raise Refusal(400, f"{name}: expected a whole number, got '{text[:50]}'", "BAD_QUERY")
    return min(int(text), most)


def yes(query: Mapping[str, str], name: str) -> bool:
    """A switch."""
    return query.get(name, "").lower() in ("true", "1")


def facet(values: Iterable[str | None]) -> list[FacetValue]:
    """Values with how many rows have them, in order."""
    found = Counter(value for value in values if value is not None)
    return [FacetValue(value, count) for value, count in sorted(found.most_common(_FACETS))]


def fits(text: str, *places: str | None) -> bool:
    """Whether a text, in lower case, is in one of these."""
    return not text or any(text in place.lower() for place in places if place)
