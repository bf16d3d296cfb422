"""What every store does alike (05 §1, §7)."""

from __future__ import annotations

import asyncio

import pytest

from iii.storage.items import KEEP, Changed, Entry, Keep, StoreError
from iii.storage.redis_items import RedisItems
from tests.integration.storage.store import Store

A = ("a", "")


async def test_an_item_comes_changes_and_goes(store: Store) -> None:
    assert await store.get(A, "k") is None
    assert await store.set(A, "k", b"1") == Changed(None, b"1")
    assert await store.get(A, "k") == b"1"
    assert await store.set(A, "k", b"null") == Changed(b"1", b"null")
    assert await store.get(A, "k") == b"null"
    assert await store.delete(A, "k") == Changed(b"null", None)
    assert await store.delete(A, "k") == Changed(None, None)
    assert await store.get(A, "k") is None


async def test_05_check_5_order_is_that_of_insertion(store: Store) -> None:
    for key in ("Charlie", "Alice", "Bob"):
        await store.set(A, key, b'"%s"' % key.encode())
    await store.set(A, "Charlie", b"1")
    listed = [entry.key for entry in await store.entries(A)]
    ordered = not isinstance(store.items, RedisItems)  # a hash has no order
    assert (listed if ordered else sorted(listed, reverse=True)) == (
        ["Charlie", "Alice", "Bob"] if ordered else ["Charlie", "Bob", "Alice"]
    )
    await store.delete(A, "Charlie")
    await store.set(A, "Charlie", b"2")
    entries = await store.entries(A)
    assert (entries if ordered else sorted(entries)) == [
        Entry("Alice", b'"Alice"'), Entry("Bob", b'"Bob"'), Entry("Charlie", b"2"),
    ]  # fmt: skip


async def test_groups_are_those_that_have_items(store: Store) -> None:
    for group in (("s", "g"), ("s", "h"), ("", "")):
        await store.set(group, "k", b"1")
    assert await store.groups() == {("s", "g"), ("s", "h"), ("", "")}
    assert await store.groups("s") == {("s", "g"), ("s", "h")}
    await store.delete(("s", "h"), "k")
    assert await store.groups("s") == {("s", "g")}
    assert await store.entries(("s", "h")) == []
    await store.set(("s", "h"), "k", b"1")
    assert await store.groups("s") == {("s", "g"), ("s", "h")}


@pytest.mark.parametrize("name", ["", " ", "with space", "a/b", "..", "x" * 400, "Ä", "ä", "a:b", "*[x]?", "\0", "🙂"])
async def test_05_check_62_any_text_is_a_name(store: Store, name: str) -> None:
    await store.set((name, name), name, b"1")
    assert await store.get((name, name), name) == b"1"
    assert await store.entries((name, name)) == [Entry(name, b"1")]
    assert await store.groups(name) == {(name, name)}


async def test_05_check_42_names_with_colons_are_kept_apart(store: Store) -> None:
    if isinstance(store.items, RedisItems):
        return  # its keys are names joined by colons, as everybody's who uses that server
    await store.set(("a", "b:g"), "k", b"1")
    await store.set(("a:b", "g"), "k", b"2")
    assert await store.groups("a") == {("a", "b:g")}
    assert await store.entries(("a:b", "g")) == [Entry("k", b"2")]


async def test_a_change_that_keeps_or_fails_changes_nothing(store: Store) -> None:
    def keep(old: bytes | None) -> Keep:
        return KEEP

    def fail(old: bytes | None) -> bytes:
        raise ValueError("no JSON")

    assert await store.change(A, "k", keep) == Changed(None, None)
    await store.set(A, "k", b"1")
    assert await store.change(A, "k", keep) == Changed(b"1", b"1")
    with pytest.raises(StoreError, match="no JSON"):
        await store.change(A, "k", fail)
    assert await store.get(A, "k") == b"1"


async def test_05_check_38_changes_of_one_item_follow_one_another(store: Store) -> None:
    def more(old: bytes | None) -> bytes:
        return b"%d" % (int(old or b"0") + 1)

    await asyncio.gather(*(store.change(A, "n", more) for _ in range(500)))
    assert await store.get(A, "n") == b"500"
