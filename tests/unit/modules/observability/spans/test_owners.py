"""The places of spans of some traces in a block are those that a look at each span gives (06 §7.5)."""

from __future__ import annotations

import random
import sqlite3
from array import array

import pytest

from iii.modules.observability.spans.archive import owners
from iii.modules.observability.spans.archive.blocks import SPANS, SpanOfBlock, seal
from iii.modules.observability.spans.archive.known_blocks import BlockReader, KnownBlocks, SealedBlock
from iii.modules.observability.spans.archive.owners import OWNERS, Owners, WantedTraces
from iii.modules.observability.spans.archive.schema import MIGRATIONS
from iii.modules.observability.spans.sieves import places


def sealed(traces: list[int]) -> Owners:
    """Of a block whose spans are of these traces, one after another."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.executescript(";".join(MIGRATIONS))
    spans: list[SpanOfBlock] = [(at, trace, 1, 1, 0, 1, 1, f"{at:05d}") for at, trace in enumerate(traces)]
    seal(connection, 0, spans)
    (found,) = BlockReader(connection, KnownBlocks()).read(OWNERS, [SealedBlock(0, 1)])
    connection.close()
    return found


@pytest.mark.parametrize("many", [0, 20_000])
@pytest.mark.parametrize("each", [1, 10])
def test_06_7_5_spans_of_some_traces_are_found_in_a_block(
    monkeypatch: pytest.MonkeyPatch, many: int, each: int
) -> None:
    """Of traces that began there, of older ones, and of more than one byte tells."""
    monkeypatch.setattr(owners, "_MANY", many)
    chance = random.Random(each)
    began = [5_000 + at // each for at in range(SPANS)]
    of_block = [trace if chance.random() < 0.9 else chance.randrange(1_000) for trace in began]
    found = sealed(of_block)
    assert list(found.traces) == sorted({*of_block})
    assert dict(zip(found.traces, found.counts, strict=True)) == {trace: of_block.count(trace) for trace in {*of_block}}
    for share in (0.0, 0.1, 1.0):
        wanted = {trace for trace in of_block if chance.random() < share} | {7_777}
        for first, last in ((0, 8_000), (5_050, 5_100), (9_000, 9_010)):
            marks = WantedTraces(wanted, first, last).marks(found)
            expected = [at for at, trace in enumerate(of_block) if trace in wanted]
            if first == 0:
                assert list(places(marks.to_bytes(SPANS, "little"))) == expected
            else:  # a salvaged file: spans of traces that are not there
                assert set(places(marks.to_bytes(SPANS, "little"))) <= {*expected}


@pytest.mark.parametrize(
    ("traces", "run"),
    [
        ([], 0),
        ([7], 0),
        ([7, 8, 9], 0),
        ([1, 5, 8, 9], 2),
        ([1, 3], 1),
        ([9, 8, 7], 3),
        ([8, 7, 9, 10], 2),
        ([3, 1, 2, 0], 4),
    ],
)
def test_06_7_5_traces_that_began_in_a_block_are_a_run(traces: list[int], run: int) -> None:
    """An older engine wrote them down in no order."""
    assert Owners((array("q", traces).tobytes(), b"", b"")).run == run
