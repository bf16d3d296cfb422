"""What blocks tell of a list before the database looks at spans: the few that it may have, or a quick word on each."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

from iii.modules.observability.spans.archive.columns import TimesReader, count_of_all
from iii.modules.observability.spans.archive.firsts import ToldPage
from iii.modules.observability.spans.archive.masks import Asked, Condition
from iii.modules.observability.spans.archive.matches import Blocks, Matches
from iii.modules.observability.spans.archive.named import OF_FACETS, OF_RANGE, traces_named, traces_of
from iii.modules.observability.spans.archive.orders import ALL
from iii.modules.observability.spans.archive.told import PAGES, ToldSpans
from iii.modules.observability.spans.row import Common
from iii.modules.observability.spans.selection import KEYS, Selection
from iii.storage.transactions import Connection

_FEW = 1_000  # spans that are looked up by their ids
_FEW_TRACES = 1_000  # traces whose spans are
_FEWER = 100  # instead of both, where blocks tell of each span
_MOST = 10_000  # spans of those that are looked up
_SOME = 64  # if spans of no more than such a part are looked at, blocks are not
_OTHERS = 2  # at most such a part of all spans is counted one by one


class Narrowed(NamedTuple):
    """How a list is asked for.

    Attributes:
        source: where the database finds the spans, with `given`; None: in an index.
        conditions: of each span, with what is bound.
        all: nothing is left out.
        counting: how many spans of some facets there are; None: nobody knows.
        masks: by block, by place: 1 is a span that fulfils a condition.
        blocks: where they are; None: in any.
        traces: whose spans fulfil the others; None: anybody's.
        total: of those of the facets that are wanted; None: not known.
        page: of those; None: not known.
    """

    source: str | None = None
    given: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()
    all: bool = True
    counting: Callable[[Sequence[int]], int] | None = None
    masks: tuple[Callable[[int], int], ...] = ()
    blocks: Collection[int] | None = None
    traces: Collection[int] | None = None
    total: int | None = None
    page: ToldPage | None = None


class ListedFacets(NamedTuple):
    """What a list has of what spans have in common.

    Attributes:
        facets: that are listed.
        held: spans of those.
        apart: marks of spans by block that the memory has too.
        needed: spans on the page and before it.
        skipped: of those.
    """

    facets: Collection[int]
    held: int
    apart: Mapping[int, int]
    needed: int
    skipped: int


def narrowed(
    reader: TimesReader, selection: Selection, commons: Mapping[int, Common], wanted: ListedFacets
) -> Narrowed:
    """By its attributes, by the names of a trace's spans, and by when they were and how long they took."""
    if not (selection.pairs or selection.excluded or (selection.everywhere and selection.name)):
        return _told(reader, selection, commons, wanted, Narrowed())
    connection, blocks = reader.connection, Blocks(reader)
    few, few_traces = _FEW, _FEW_TRACES
    if wanted.needed <= PAGES and reader.told is not None:
        few, few_traces = min(few, _FEWER), min(few_traces, _FEWER)
    if selection.everywhere and (selection.pairs or selection.name):
        found = _by_level(reader, blocks, selection, commons, few_traces)
    elif selection.pairs:
        found = _by_ids(connection, blocks.having(selection.pairs, everywhere=False), everywhere=False, few=few)
    else:
        found = Narrowed()
    if selection.excluded:
        found = _without(
            connection, blocks.having_any(selection.excluded, selection.everywhere), selection.everywhere, found
        )
    return found if found.source is not None else _told(reader, selection, commons, wanted, found)


def _told(
    reader: TimesReader, selection: Selection, commons: Mapping[int, Common], wanted: ListedFacets, found: Narrowed
) -> Narrowed:
    """The same by what blocks tell of each span, if those that are left would be looked at for that."""
    facets = None if len(wanted.facets) == len(commons) else frozenset(wanted.facets)
    is_timed = selection.timed is not None or selection.since is not None or selection.until is not None
    is_narrow = is_timed or bool(found.masks) or found.traces is not None
    if not (is_narrow or facets is not None or selection.sort_by in KEYS) or wanted.held * _SOME < count_of_all(
        reader.connection
    ):
        return found
    held = None if is_narrow or wanted.apart else wanted.held
    asked = Asked(
        facets,
        found.conditions,
        found.masks,
        found.blocks,
        found.traces,
        wanted.apart,
        wanted.needed,
        wanted.skipped,
        held,
    )
    answer = ToldSpans(reader, selection, asked, commons).told()
    return found if answer is None else found._replace(total=answer.total, page=answer.page)


def _are_all(connection: Connection, found: Matches) -> bool:
    spans = count_of_all(connection)
    return found.count >= spans or (2 * found.count >= spans and found.count + found.passed() >= spans)


def _by_ids(connection: Connection, found: Matches, everywhere: bool, few: int) -> Narrowed:
    if _are_all(connection, found):
        return Narrowed()
    if found.count <= few:
        return Narrowed(_BY_IDS, (json.dumps(found.ids()),), all=False)
    connection.create_function("chosen", 1, found.check())
    return Narrowed(
        conditions=(("chosen(s.id)", ()),),
        all=False,
        counting=lambda facets: _listed(connection, found, facets, everywhere),
        masks=(found.mask(),),
        blocks=found.blocks(),
    )


def _without(connection: Connection, left_out: Matches, everywhere: bool, found: Narrowed) -> Narrowed:
    if not left_out.count:
        return found
    if left_out.count <= _FEW:
        condition: Condition = ("s.id NOT IN (SELECT value FROM json_each(?))", (json.dumps(left_out.ids()),))
    else:
        connection.create_function("left_out", 1, left_out.check())
        condition = ("NOT left_out(s.id)", ())

    def count(facets: Sequence[int]) -> int:
        query = f"SELECT ifnull(sum({'roots + others' if everywhere else 'roots'}), 0) FROM facets WHERE id IN (SELECT value FROM json_each(?))"
        (held,) = connection.execute(query, (json.dumps(facets),)).fetchone()
        return int(held) - _listed(connection, left_out, facets, everywhere)

    def mask(block: int) -> int:
        return ALL ^ marks(block)

    marks = left_out.mask()
    return found._replace(
        conditions=(*found.conditions, condition),
        all=False,
        counting=count if found.all else None,
        masks=(*found.masks, mask),
    )


def _listed(connection: Connection, found: Matches, facets: Sequence[int], everywhere: bool) -> int:
    """How many of those that were found are spans of some facets, or roots of them."""
    query = f"""
        SELECT count(*) FROM json_each(?) j CROSS JOIN spans s ON s.id = j.value
        WHERE s.facet IN (SELECT value FROM json_each(?)) {"" if everywhere else "AND s.root > 0"}"""
    wanted = json.dumps(facets)
    if found.count <= _FEW:
        (few,) = connection.execute(query, (json.dumps(found.ids()), wanted)).fetchone()
        return int(few)
    (loose,) = connection.execute(query, (json.dumps(list(found.loose)), wanted)).fetchone()
    return found.count_listed(set(facets), everywhere) + int(loose)


def _by_level(
    reader: TimesReader, blocks: Blocks, selection: Selection, commons: Mapping[int, Common], few: int
) -> Narrowed:
    """By what any span of a trace has."""
    connection, levels = reader.connection, list[set[int]]()
    (known,) = connection.execute("SELECT count(*) FROM traces").fetchone()
    if selection.name:
        named = [facet for facet, common in commons.items() if selection.name in common.name.lower()]
        if len(named) < len(commons):
            of_name = traces_named(reader, set(named), known)
            if of_name is not None:
                levels.append(of_name)
    if selection.pairs:
        found = blocks.having(selection.pairs, everywhere=True)
        if not _are_all(connection, found):
            levels.append(found.traces(known))
    if not levels:
        return Narrowed()
    traces = set.intersection(*levels)
    return Narrowed() if len(traces) >= known else _by_traces(connection, blocks, traces, commons, few)


def _by_traces(
    connection: Connection, blocks: Blocks, traces: Collection[int], commons: Mapping[int, Common], few: int
) -> Narrowed:
    found = blocks.of(traces, _MOST) if len(traces) <= few else None
    if found is not None:
        return _by_ids(connection, found, everywhere=True, few=_FEW)
    connection.create_function("of_traces", 1, traces.__contains__)

    def of_facets(facets: Sequence[int]) -> int:
        return sum(map(traces.__contains__, traces_of(connection, OF_FACETS, json.dumps(facets))))

    def count(facets: Sequence[int]) -> int:
        unwanted = [facet for facet in commons if facet not in set(facets)] if len(facets) < len(commons) else []
        if not _are_few(connection, unwanted):
            return of_facets(facets)
        total = blocks.count_of(traces)
        for bounds in blocks.between(blocks.sealed):
            total += sum(map(traces.__contains__, traces_of(connection, OF_RANGE, *bounds)))
        return total - of_facets(unwanted)

    conditions: tuple[Condition, ...] = (("of_traces(s.trace)", ()),)
    return Narrowed(conditions=conditions, all=False, counting=count, traces=traces)


def _are_few(connection: Connection, facets: Sequence[int]) -> bool:
    """Whether less spans than the others are of these facets."""
    some, others = connection.execute(
        "SELECT ifnull(sum((roots + others) * (id IN (SELECT value FROM json_each(?1)))), 0), ifnull(sum(roots + others), 0) FROM facets",
        (json.dumps(facets),),
    ).fetchone()
    return int(some) * _OTHERS <= int(others)


_BY_IDS = "json_each(?) j CROSS JOIN spans s ON s.id = j.value"
