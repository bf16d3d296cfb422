"""What was read of blocks is known to the next list, as long as it is so, and bounded in bytes (06 §7.5)."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest

from iii.modules.observability.spans.archive.known_blocks import (
    BlockColumns,
    BlockReader,
    DamagedBlocks,
    KnownBlocks,
    SealedBlock,
)

BLOCKS = [SealedBlock(id_, 10 + id_) for id_ in range(4)]
SIZE = 700 + 1_000  # of what is known of a block


def texts(at: int) -> BlockColumns[str]:
    return BlockColumns("rows.packed", "rows", lambda row, _: row[0][:1].decode(), at, 2, at)


FIRST, SECOND = texts(0), texts(1)


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    """Each block has a row in upper case, and one in lower case."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for table in ("rows", "sums"):
        connection.execute(f"CREATE TABLE {table} (id INTEGER PRIMARY KEY, packed BLOB NOT NULL)")
    letters = enumerate("AaBbCcDd")
    connection.executemany("INSERT INTO rows VALUES (?, ?)", [(id_, each.encode() * 1_000) for id_, each in letters])
    yield connection
    connection.close()


def test_06_7_5_a_block_of_the_same_edition_is_read_once(connection: sqlite3.Connection) -> None:
    reader = BlockReader(connection, KnownBlocks())
    assert list(reader.read(FIRST, BLOCKS[:2])) == ["A", "B"]
    connection.execute("UPDATE rows SET packed = CAST('xx' AS BLOB)")
    assert list(reader.read(FIRST, [BLOCKS[2], *BLOCKS[:2]])) == ["x", "A", "B"]
    assert list(reader.read(SECOND, BLOCKS[:2])) == ["x", "x"]
    assert list(reader.read(FIRST, [BLOCKS[0], SealedBlock(1, 99)])) == ["A", "x"]
    assert list(reader.read(FIRST, [])) == []


def test_06_7_5_columns_that_were_not_asked_for_longest_leave_first(connection: sqlite3.Connection) -> None:
    known = KnownBlocks(5 * SIZE)
    reader = BlockReader(connection, known)
    for columns, expected in ((FIRST, "ABCD"), (SECOND, "abcd")):
        assert "".join(reader.read(columns, BLOCKS)) == expected
        assert known.bytes == 4 * SIZE
    connection.execute("DELETE FROM rows WHERE id % 2")
    assert "".join(reader.read(SECOND, BLOCKS)) == "abcd"
    assert "".join(reader.read(FIRST, BLOCKS)) == "ABCD"
    with pytest.raises(DamagedBlocks, match="4 blocks of spans on disk are damaged, block 0 among them"):
        list(reader.read(SECOND, BLOCKS))


def test_06_7_5_of_more_than_there_is_room_for_the_first_ones_stay_known(connection: sqlite3.Connection) -> None:
    known = KnownBlocks(2 * SIZE)
    reader = BlockReader(connection, known)
    assert "".join(reader.read(FIRST, BLOCKS)) == "ABCD"
    assert known.bytes == 2 * SIZE
    connection.execute("UPDATE rows SET packed = CAST('xx' AS BLOB)")
    assert "".join(reader.read(FIRST, BLOCKS)) == "ABxx"


@pytest.mark.parametrize("most", [0, 1, 3, 8])
def test_06_7_5_columns_leave_while_others_are_read(connection: sqlite3.Connection, most: int) -> None:
    known = KnownBlocks(most * SIZE)
    reader = BlockReader(connection, known)
    first, second = reader.read(FIRST, BLOCKS), reader.read(SECOND, BLOCKS)
    assert [next(first) + next(second) for _ in BLOCKS] == ["Aa", "Bb", "Cc", "Dd"]
    assert known.bytes <= most * SIZE
    assert list(first) == list(second) == []


def test_06_7_5_blocks_that_are_gone_are_forgotten(connection: sqlite3.Connection) -> None:
    known = KnownBlocks()
    reader = BlockReader(connection, known)
    assert "".join(reader.read(FIRST, BLOCKS)) == "ABCD"
    assert reader.trusted(BLOCKS) == BLOCKS
    assert known.bytes == 4 * SIZE
    reader.trusted(BLOCKS[1:3])
    assert known.bytes == 2 * SIZE
    assert "".join(reader.read(FIRST, BLOCKS)) == "ABCD"
    reader.trusted([])
    assert known.bytes == 0


def test_06_7_5_rows_behind_one_that_is_lost_are_not_taken_for_it(connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM rows WHERE id = 2")
    reader = BlockReader(connection, KnownBlocks())
    for _ in range(2):
        with pytest.raises(DamagedBlocks, match="1 blocks of spans on disk are damaged, block 1 among them"):
            list(reader.read(FIRST, BLOCKS))
    assert list(reader.read(FIRST, [BLOCKS[0], *BLOCKS[2:]])) == ["A", "C", "D"]


def test_06_7_5_what_nobody_asked_for_takes_no_room_and_leaves_first(connection: sqlite3.Connection) -> None:
    known = KnownBlocks(5 * SIZE)
    assert "".join(known.read(connection, FIRST, BLOCKS[:2])) == "AB"
    assert "".join(known.read(connection, SECOND, BLOCKS, is_asked=False)) == "abcd"
    assert known.lacking(SECOND, BLOCKS, 9) == BLOCKS[3:]
    assert known.lacking(FIRST, BLOCKS, 1) == BLOCKS[2:3]
    assert "".join(known.read(connection, FIRST, BLOCKS)) == "ABCD"
    assert known.lacking(SECOND, BLOCKS, 9) == BLOCKS
    assert known.lacking(FIRST, [SealedBlock(0, 99), BLOCKS[1]], 9) == [SealedBlock(0, 99)]
    assert known.bytes == 4 * SIZE


def test_06_7_5_all_blocks_whose_sums_are_others_are_found_at_once_and_left_out(connection: sqlite3.Connection) -> None:
    for block in BLOCKS[:3]:
        sums = [columns.sum_of(connection, block) for columns in (FIRST, SECOND)]
        connection.execute("INSERT INTO sums VALUES (?, ?)", (block.id, b"".join(sums)))
    known = KnownBlocks()
    reader = BlockReader(connection, known)
    assert "".join(reader.read(SECOND, BLOCKS)) == "abcd"
    connection.execute("UPDATE rows SET packed = CAST(replace(packed, 'A', 'x') AS BLOB) WHERE id = 0")
    connection.execute("UPDATE rows SET packed = CAST(packed || 'C' AS BLOB) WHERE id = 4")
    with pytest.raises(DamagedBlocks) as found:
        list(reader.read(FIRST, BLOCKS))
    assert found.value.blocks == [BLOCKS[0], BLOCKS[2]]
    known.distrust(found.value.blocks)
    assert reader.trusted(BLOCKS) == [BLOCKS[1], BLOCKS[3]]
    assert "".join(reader.read(FIRST, reader.trusted(BLOCKS))) == "BD"
    again = SealedBlock(0, 99)
    assert reader.trusted([again, *BLOCKS[1:]]) == [again, BLOCKS[1], BLOCKS[3]]
