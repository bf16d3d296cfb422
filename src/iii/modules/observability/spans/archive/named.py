"""Which traces on disk have a span of some facets: sealed blocks tell it of each facet (06 §7.5)."""

from __future__ import annotations

import json
from array import array
from collections.abc import Collection, Sequence
from itertools import compress
from typing import NamedTuple

from iii.modules.observability.spans.archive.columns import BlockTimes, TimesReader, numbers_of
from iii.modules.observability.spans.archive.known_blocks import BlockColumns, BlockReader
from iii.modules.observability.spans.archive.matches import Blocks
from iii.modules.observability.spans.archive.owners import OWNERS
from iii.storage.transactions import Connection

_FEW = 20_000  # spans that are looked at one by one
_BYTE = 256
_NUMBERS = bytes(range(_BYTE))
_LACKING = 8  # traces of a block that have no such span in it


class _Named(NamedTuple):
    """Of a block.

    Attributes:
        facets: those that its spans have.
        ends: of what follows, of each facet.
        owners: numbers of the traces with such a span, two bytes each.
    """

    facets: bytes
    ends: Sequence[int]
    owners: bytes


def _named(columns: tuple[bytes, bytes, bytes], block: object) -> _Named:
    facets, ends, owners = columns
    return _Named(facets, memoryview(ends).cast("H"), owners)


NAMED = BlockColumns("facets, ends, owners", "named", _named, place=3)


def traces_named(reader: TimesReader, facets: Collection[int], known: int) -> set[int] | None:
    """Those of all `known` traces; most have one root. None: all have one."""
    wanted = (json.dumps(list(facets)),)
    connection = reader.connection
    (held,) = connection.execute(_HELD, wanted).fetchone()
    blocks = None if held <= _FEW else reader.told
    if blocks is not None:
        return _by_blocks(reader, blocks, facets)
    found = set(traces_of(connection, f"{_ROOTS_OF_FACETS} AND root > 0", *wanted))
    if len(found) < known:
        found.update(traces_of(connection, OF_FACETS, *wanted))
    return found if len(found) < known else None


def _by_blocks(reader: BlockReader, blocks: Sequence[BlockTimes], facets: Collection[int]) -> set[int] | None:
    wanted, runs_of, loose = json.dumps(list(facets)), dict[bytes, list[tuple[int, int]]](), set[int]()
    between = list(Blocks.between([block.id for block in blocks]))
    for bounds in between:
        loose.update(traces_of(reader.connection, _LOOSE_OF_FACETS, *bounds, wanted))
    found, lacking, are_few = list[Collection[int]]([loose]), set[int](), True
    named, owners_of = reader.read(NAMED, blocks), reader.read(OWNERS, blocks)
    for (held, ends, owners), whose in zip(named, owners_of, strict=True):
        of = whose.traces
        runs = runs_of.get(held)
        if runs is None:
            runs = runs_of[held] = _runs(array("q", held), facets)
        without = _others(
            len(of), [owners[2 * ends[first - 1] if first else 0 : 2 * ends[last - 1]] for first, last in runs]
        )
        are_few = are_few and len(without) <= _LACKING
        if are_few:
            lacking.update(map(of.__getitem__, without))
        if without:
            some = bytearray(b"\1") * len(of)
            for owner in without:
                some[owner] = 0
            found.append(list(compress(of, some)))
        else:
            found.append(of)
    if are_few:  # a trace may have that name in another block
        for bounds in between:
            lacking.update(traces_of(reader.connection, OF_RANGE, *bounds))
        lacking -= loose
        if lacking:  # nearly never
            lacking.difference_update(*found)
        if not lacking:
            return None
    return set().union(*found)


def _others(count: int, owners: Sequence[bytes]) -> Collection[int]:
    """Of numbers below `count` those that are not among some, of two bytes each."""
    if count <= _BYTE:
        return _NUMBERS[:count].translate(None, b"".join(owners)[::2])
    return set(range(count)).difference(*(memoryview(each).cast("H") for each in owners))


def _runs(held: Sequence[int], facets: Collection[int]) -> list[tuple[int, int]]:
    """Where facets stand that are wanted, from one index to another."""
    runs = list[tuple[int, int]]()
    for at, facet in enumerate(held):
        if facet in facets:
            if runs and runs[-1][1] == at:
                runs[-1] = runs[-1][0], at + 1
            else:
                runs.append((at, at + 1))
    return runs


def traces_of(connection: Connection, spans: str, *values: str | int) -> list[int]:
    """One of each span."""
    (found,) = connection.execute(f"SELECT json_group_array(trace) FROM spans {spans}", values).fetchone()
    return numbers_of(found)


_WANTED = "facet IN (SELECT value FROM json_each(?))"
OF_FACETS = f"INDEXED BY spans_by_facet WHERE {_WANTED}"
_ROOTS_OF_FACETS = f"INDEXED BY roots_by_facet WHERE {_WANTED}"
OF_RANGE = "NOT INDEXED WHERE id BETWEEN ? AND ?"
_LOOSE_OF_FACETS = f"{OF_RANGE} AND {_WANTED}"
_HELD = "SELECT ifnull(sum(roots + others), 0) FROM facets WHERE id IN (SELECT value FROM json_each(?))"
