"""Five blocks of spans on disk."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest

from iii.modules.observability.spans.archive.schema import MIGRATIONS
from iii.modules.observability.spans.archive.tables import Tables
from tests.unit.modules.observability.spans.blocks_on_disk import SPANS, entry


@pytest.fixture(scope="session")
def written() -> Iterator[bytes]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.executescript(";".join(MIGRATIONS))
    connection.execute("BEGIN")
    Tables(10**10).add(connection, [entry(number) for number in range(SPANS)], 1)
    connection.execute("COMMIT")
    yield connection.serialize()
    connection.close()


@pytest.fixture
def connection(written: bytes) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.deserialize(written)
    yield connection
    connection.close()
