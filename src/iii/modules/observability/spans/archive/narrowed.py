"""What blocks tell of a list before the database looks at spans: the few that it may have, or a quick word on each."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from iii.modules.observability.spans.archive.matches import Blocks, Matches
from iii.modules.observability.spans.row import Common
from iii.modules.observability.spans.selection import Selection
from iii.storage.transactions import Connection

_FEW = 4_000  # spans that are looked up by their ids
_FEW_TRACES = 1_000  # traces whose spans are
_OTHERS = 2  # at most such a part of all spans is counted one by one


_Condition: TypeAlias = tuple[str, tuple[str, ...]]


class Narrowed(NamedTuple):
    """How a list is asked for.

    Attributes:
        source: where the database finds the spans, with `given`; None: in an index.
        conditions: of each span, with what is bound.
        all: nothing is left out.
        counting: how many spans of some facets there are; None: nobody knows.
    """

    source: str | None = None
    given: tuple[str, ...] = ()
    conditions: tuple[_Condition, ...] = ()
    all: bool = True
    counting: Callable[[Sequence[int]], int] | None = None


def narrowed(connection: Connection, selection: Selection, commons: Mapping[int, Common]) -> Narrowed:
    """By its attributes, and by the names of a trace's spans."""
    if not (selection.pairs or selection.excluded or (selection.everywhere and selection.name)):
        return Narrowed()
    blocks = Blocks(connection)
    if selection.everywhere and (selection.pairs or selection.name):
        found = _by_level(connection, blocks, selection, commons)
    elif selection.pairs:
        found = _by_ids(connection, blocks.having(selection.pairs))
    else:
        found = Narrowed()
    return (
        _without(connection, blocks.having_any(selection.excluded), selection.everywhere, found)
        if selection.excluded
        else found
    )


def _by_ids(connection: Connection, found: Matches) -> Narrowed:
    if found.count <= _FEW:
        source = "json_each(?) j CROSS JOIN spans s ON s.id = j.value"
        return Narrowed(source, (json.dumps(found.ids()),), all=False)
    connection.create_function("chosen", 1, found.check())
    return Narrowed(
        conditions=(("chosen(s.id)", ()),),
        all=False,
        counting=lambda facets: _listed(connection, found, facets, everywhere=False),
    )


def _without(connection: Connection, left_out: Matches, everywhere: bool, found: Narrowed) -> Narrowed:
    if not left_out.count:
        return found
    if left_out.count <= _FEW:
        condition: _Condition = ("s.id NOT IN (SELECT value FROM json_each(?))", (json.dumps(left_out.ids()),))
    else:
        connection.create_function("left_out", 1, left_out.check())
        condition = ("NOT left_out(s.id)", ())

    def count(facets: Sequence[int]) -> int:
        query = f"SELECT ifnull(sum({'roots + others' if everywhere else 'roots'}), 0) FROM facets WHERE id IN (SELECT value FROM json_each(?))"
        (held,) = connection.execute(query, (json.dumps(facets),)).fetchone()
        return int(held) - _listed(connection, left_out, facets, everywhere)

    return found._replace(conditions=(*found.conditions, condition), all=False, counting=count if found.all else None)


def _listed(connection: Connection, found: Matches, facets: Sequence[int], everywhere: bool) -> int:
    """How many of those that were found are spans of some facets, or roots of them."""
    query = f"""
        SELECT count(*) FROM json_each(?) j CROSS JOIN spans s ON s.id = j.value
        WHERE s.facet IN (SELECT value FROM json_each(?)) {"" if everywhere else "AND s.root > 0"}"""
    (loose,) = connection.execute(query, (json.dumps(list(found.loose)), json.dumps(facets))).fetchone()
    return found.count_listed(set(facets), everywhere) + int(loose)


def _by_level(connection: Connection, blocks: Blocks, selection: Selection, commons: Mapping[int, Common]) -> Narrowed:
    """By what any span of a trace has."""
    levels = list[set[int]]()
    (known,) = connection.execute("SELECT count(*) FROM traces").fetchone()
    if selection.name:
        named = [facet for facet, common in commons.items() if selection.name in common.name.lower()]
        if len(named) < len(commons):
            levels.append(_named(connection, named, known))
    if selection.pairs:
        levels.append(blocks.having(selection.pairs).traces(known))
    if not levels:
        return Narrowed()
    traces = set.intersection(*levels)
    return Narrowed() if len(traces) >= known else _by_traces(connection, blocks, traces, commons)


def _by_traces(
    connection: Connection, blocks: Blocks, traces: Collection[int], commons: Mapping[int, Common]
) -> Narrowed:
    if len(traces) <= _FEW_TRACES:
        source = "json_each(?) j CROSS JOIN spans s ON s.trace = j.value"
        return Narrowed(source, (json.dumps(list(traces)),), all=False)
    connection.create_function("of_traces", 1, traces.__contains__)

    def of_facets(facets: Sequence[int]) -> int:
        return sum(trace in traces for (trace,) in connection.execute(_OF_FACETS, (json.dumps(facets),)))

    def count(facets: Sequence[int]) -> int:
        unwanted = [facet for facet in commons if facet not in set(facets)] if len(facets) < len(commons) else []
        if not _are_few(connection, unwanted):
            return of_facets(facets)
        total = blocks.count_of(traces)
        for first, last in blocks.loose(blocks.sealed):
            found = connection.execute("SELECT trace FROM spans WHERE id BETWEEN ? AND ?", (first, last))
            total += sum(trace in traces for (trace,) in found)
        return total - of_facets(unwanted)

    return Narrowed(conditions=(("of_traces(s.trace)", ()),), all=False, counting=count)


def _are_few(connection: Connection, facets: Sequence[int]) -> bool:
    """Whether less spans than the others are of these facets."""
    some, others = connection.execute(
        "SELECT ifnull(sum((roots + others) * (id IN (SELECT value FROM json_each(?1)))), 0), ifnull(sum(roots + others), 0) FROM facets",
        (json.dumps(facets),),
    ).fetchone()
    return int(some) * _OTHERS <= int(others)


def _named(connection: Connection, facets: Sequence[int], known: int) -> set[int]:
    """Traces with a span of these facets; most traces have one root."""
    wanted = (json.dumps(facets),)
    found = {trace for (trace,) in connection.execute(f"{_ROOTS_OF_FACETS} AND root > 0", wanted)}
    if len(found) < known:
        found.update(trace for (trace,) in connection.execute(_OF_FACETS, wanted))
    return found


_WANTED = "facet IN (SELECT value FROM json_each(?))"
_OF_FACETS = f"SELECT trace FROM spans INDEXED BY spans_by_facet WHERE {_WANTED}"
_ROOTS_OF_FACETS = f"SELECT trace FROM spans INDEXED BY roots_by_facet WHERE {_WANTED}"
