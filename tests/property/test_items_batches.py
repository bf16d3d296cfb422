"""Writes that come together are one transaction with few statements, and mean what they mean one after the other (05 §1)."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from iii.storage.items import Changed, Group, StoreError
from iii.storage.sqlite_items import SqliteItems
from tests.integration.storage.store import Store

BROKEN = "\ud800"  # no text that SQLite takes
KEYS = st.sampled_from(["a", "b", "c", BROKEN, *(f"k{number}" for number in range(40))])
WRITE = st.tuples(st.sampled_from(["put", "put", "put", "append", "delete"]), st.sampled_from("xy"), KEYS).filter(
    lambda write: write[::2] != ("delete", BROKEN)  # is an error or nothing, as the group is there or not
)


def appended(old: bytes | None) -> bytes:
    return b"1" + (old or b"")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(WRITE, max_size=60), max_size=3))
def test_writes_at_once_answer_and_leave_what_they_would_one_by_one(batches: list[list[tuple[str, str, str]]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_compare(Path(folder), batches))


async def _compare(folder: Path, batches: list[list[tuple[str, str, str]]]) -> None:
    items = SqliteItems(folder / "state", "relaxed")
    await items.open()
    store = Store(items)
    model: dict[Group, dict[str, bytes]] = {}
    number = 0
    for batch in batches:
        expected: list[Changed | None] = []
        asked: list[Any] = []
        for what, scope, key in batch:
            number += 1
            group, value = (scope, ""), b"%d" % number
            of_group = model.setdefault(group, {})
            old = of_group.get(key)
            if what == "put":
                asked.append(store.set(group, key, value))
            elif what == "append":
                value = appended(old)
                asked.append(store.change(group, key, appended))
            else:
                asked.append(store.delete(group, key))
            if key == BROKEN:
                expected.append(None)
                continue
            if what == "delete":
                of_group.pop(key, None)
                expected.append(Changed(old, None))
            else:
                of_group[key] = value
                expected.append(Changed(old, value))
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert [None if isinstance(answer, StoreError) else answer for answer in answers] == expected
    for group, of_group in model.items():
        assert [(entry.key, entry.value) for entry in await store.entries(group)] == list(of_group.items())
        for key, value in of_group.items():
            assert await store.get(group, key) == value
    assert await store.groups() == frozenset(group for group, of_group in model.items() if of_group)
    await items.close()
