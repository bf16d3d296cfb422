"""`state::*` (05 §1, 05 checks 1–7, 05 check 61)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from iii.modules.state import pages
from iii.modules.state.config import StateConfig
from iii.modules.state.module import State
from iii.protocol.start_failure import StartFailure
from iii.storage.adapter import AdapterConfig
from iii.storage.items import Entry
from iii.testing import FakeClock, MemoryEngine
from tests.integration.server.waiting import until
from tests.integration.state.house import House, Open, adapter, answer


async def test_05_check_1_set_tells_what_was_and_what_is(house: House) -> None:
    async with await house.raw() as client:
        first = await answer(client, "state::set", {"scope": "s", "key": "k", "value": {"a": 1}})
        assert first["result"] == {"old_value": None, "new_value": {"a": 1}}
        second = await answer(client, "state::set", {"scope": "s", "key": "k", "value": [2], "more": 1})
        assert second["result"] == {"old_value": {"a": 1}, "new_value": [2]}


async def test_05_check_2_missing_is_no_result_and_null_is_one(house: House) -> None:
    async with await house.raw() as client:
        missing = await answer(client, "state::get", {"scope": "s", "key": "k"})
        assert not {"result", "error"} & missing.keys()
        await answer(client, "state::set", {"scope": "s", "key": "k", "value": None})
        stored = await answer(client, "state::get", {"scope": "s", "key": "k"})
        assert stored["result"] is None
        assert "result" in stored
    assert await house.call("state::get", scope="s", key="k") is None


async def test_05_check_3_delete_gives_what_was_there(house: House) -> None:
    await house.call("state::set", scope="s", key="k", value="hello")
    async with await house.raw() as client:
        assert (await answer(client, "state::delete", {"scope": "s", "key": "k"}))["result"] == "hello"
        for function_id in ("state::get", "state::delete"):
            gone = await answer(client, function_id, {"scope": "s", "key": "k"})
            assert not {"result", "error"} & gone.keys()


async def test_05_check_4_other_names_and_what_does_not_fit(house: House) -> None:
    await house.call("state::set", scope="s", key="k", data=5)
    assert await house.call("state::get", scope="s", key="k") == 5
    await house.call("state::set", group_id="g", item_id="i", data=6)
    assert await house.call("state::get", group_id="g", item_id="i") == 6
    assert await house.call("state::list", group_id="g") == [6]
    assert await house.call("state::list_keys", group_id="g") == {"keys": ["i"]}
    assert (await house.call("state::list_entries", group_id="g", limit=1))["entries"] == [["i", 6]]
    swap = {"group_id": "g", "item_id": "i", "expected_value": 6, "new_value": None}
    assert await house.call("state::compare_and_set", **swap) == {"outcome": "applied"}
    assert await house.call("state::delete", group_id="g", item_id="i") is None
    prefix = "Failed to deserialize input for state::set: "
    for payload, detail in (
        ({"scope": "s", "key": "k", "value": 1, "data": 2}, "duplicate field `value`"),
        ({"scope": "s", "key": "k"}, "missing field `value`"),
        ({"scope": "s", "value": 1}, "missing field `key`"),
        ({"scope": 123, "key": "k", "value": 1}, "invalid type: integer `123`, expected a string - at `$.scope`"),
        ([], "invalid type: sequence, expected struct StateSetInput"),
        ({"group_id": [1], "key": "k", "value": 1}, "invalid type: sequence, expected a string - at `$.group_id`"),
    ):
        assert await house.error("state::set", payload) == ("deserialization_error", prefix + detail)


async def test_05_check_5_list_keeps_the_order_of_insertion(open_house: Open, tmp_path: Path) -> None:
    names = ["Charlie", "Alice", "Bob", "Diana", "Eve"]
    house = await open_house(adapter=adapter("sqlite", tmp_path))
    for name in names:
        await house.call("state::set", scope="people", key=name, value=name)
    assert await house.call("state::list", scope="people") == names
    assert await house.call("state::list_keys", scope="people") == {"keys": names}
    await house.module.stop()
    again = await open_house(adapter=adapter("sqlite", tmp_path))
    assert await again.call("state::list", scope="people") == names


async def test_05_check_6_scopes_with_keys_are_listed_in_order(house: House) -> None:
    assert await house.call("state::list", scope="nobody") == []
    assert await house.call("state::list_groups") == {"groups": []}
    assert await house.call("state::list_keys", scope="nobody") == {"keys": []}
    for scope in ("beta", "alpha", "gamma"):
        await house.call("state::set", scope=scope, key="k", value=1)
    assert await house.call("state::list_groups") == {"groups": ["alpha", "beta", "gamma"]}
    await house.call("state::delete", scope="beta", key="k")
    assert await house.worker.trigger_async({"function_id": "state::list_groups"}) == {"groups": ["alpha", "gamma"]}


async def test_05_check_7_a_value_has_at_most_so_many_bytes(open_house: Open) -> None:
    house = await open_house(max_value_bytes=10)
    heard: list[Any] = []
    await house.on(heard.append)
    refused = ("VALUE_TOO_LARGE", "value of 42 bytes exceeds the configured max_value_bytes limit of 10")
    assert await house.error("state::set", {"scope": "s", "key": "k", "value": "x" * 40}) == refused
    assert await house.call("state::get", scope="s", key="k") is None
    await house.call("state::set", scope="s", key="k", value=1)
    await house.call("state::set", scope="s", key="k", value="x" * 8)
    assert (await house.error("state::set", {"scope": "s", "key": "k", "value": "x" * 9}))[0] == "VALUE_TOO_LARGE"
    assert await house.call("state::set", scope="s", key="l", value=[1, 2, 3, 4]) is not None  # spaces do not count
    await house.call("state::set", scope="s", key="k", value=2)
    await until(lambda: len(heard) == 4)
    assert [event["new_value"] for event in heard] == [1, "x" * 8, [1, 2, 3, 4], 2]


async def test_05_s1_7_compare_and_set(house: House) -> None:
    async def swap(expected: Any, new: Any) -> Any:
        return await house.call("state::compare_and_set", scope="s", key="k", expected_value=expected, new_value=new)

    heard: list[Any] = []
    await house.on(heard.append)
    assert await swap(None, 1) == {"outcome": "not_found"}
    await house.call("state::set", scope="s", key="k", value={"a": 1, "b": [1.0]})
    assert await swap({"b": [1], "a": 1}, 1) == {"outcome": "conflict"}
    assert await swap({"b": [1.0], "a": True}, 1) == {"outcome": "conflict"}
    assert await swap({"b": [1.0], "a": 1}, 2) == {"outcome": "applied"}
    assert await house.call("state::get", scope="s", key="k") == 2
    await until(lambda: len(heard) == 2)
    assert [event["event_type"] for event in heard] == ["state:created", "state:updated"]


async def test_05_check_38_changes_at_once_are_all_there(house: House) -> None:
    increment, append = {"type": "increment", "path": "n", "by": 1}, {"type": "append", "path": "l", "value": 1}
    calls = [house.call("state::update", scope="s", key="k", ops=[increment]) for _ in range(500)]
    calls += [house.call("state::update", scope="s", key="k", ops=[append]) for _ in range(100)]
    await asyncio.gather(*calls)
    value = await house.call("state::get", scope="s", key="k")
    assert (value["n"], len(value["l"])) == (500, 100)


async def test_05_s1_4_update_answers_errors_only_if_there_are_any(house: House) -> None:
    first = await house.call("state::update", scope="s", key="k", ops=[])
    assert first == {"old_value": None, "new_value": {}}
    second = await house.call("state::update", scope="s", key="k", ops=[{"type": "set", "path": "", "value": 1}])
    assert second == {"old_value": {}, "new_value": 1}
    third = await house.call("state::update", scope="s", key="k", ops=[{"type": "remove", "path": "a"}])
    assert (third["new_value"], third["errors"][0]["code"]) == (1, "remove.target_not_object")
    assert (await house.error("state::update", {"scope": "s", "key": "k", "ops": [{"type": "x"}]}))[0] == (
        "deserialization_error"
    )


async def test_05_s1_7_entries_come_in_pages_of_one_snapshot(house: House) -> None:
    """O5."""
    for number in range(25):
        await house.call("state::set", scope="s", key=f"k{number}", value=number)
    page = await house.call("state::list_entries", scope="s", limit=10)
    assert (len(page["entries"]), page["offset"], page["total"], page["done"]) == (10, 0, 25, False)
    await house.call("state::delete", scope="s", key="k20")
    await house.call("state::set", scope="s", key="new", value=1)
    rows = list(page["entries"])
    while not page["done"]:
        page = await house.call("state::list_entries", scope="s", limit=10, cursor=page["next_cursor"])
        assert page["offset"] == len(rows)
        rows += page["entries"]
    ordered = house.module.config.adapter.name != "redis"  # a hash has no order
    assert (rows if ordered else sorted(rows, key=lambda row: row[1])) == [
        [f"k{number}", number] for number in range(25)
    ]
    assert page["next_cursor"] is None
    assert await house.call("state::list_entries", scope="nobody") == {
        "entries": [], "next_cursor": None, "done": True, "offset": 0, "total": 0,
    }  # fmt: skip


async def test_05_s1_7_pages_have_limits_and_cursors_are_used_once(house: House) -> None:
    for number in range(3):
        await house.call("state::set", scope="s", key=f"k{number}", value="x" * 300)
    for wrong in ({"limit": 0}, {"limit": 1001}, {"max_bytes": 255}, {"max_bytes": 8_000_001}, {"scope": "s" * 1025}):
        assert (await house.error("state::list_entries", {"scope": "s", **wrong}))[0] == "INVALID_PAGE_LIMITS"
    assert (await house.error("state::list_entries", {"scope": "s", "max_bytes": 300}))[0] == "ROW_TOO_LARGE"
    page = await house.call("state::list_entries", scope="s", max_bytes=500)
    assert len(page["entries"]) == 1
    cursor = page["next_cursor"]
    for changed in ({"scope": "t"}, {"max_bytes": 501}, {"limit": 99}):
        payload: Any = {"scope": "s", "max_bytes": 500, "cursor": cursor, **changed}
        assert (await house.error("state::list_entries", payload))[0] == "INVALID_CURSOR"
    page = await house.call("state::list_entries", scope="s", max_bytes=500, cursor=cursor)
    assert page["offset"] == 1
    assert (await house.error("state::list_entries", {"scope": "s", "max_bytes": 500, "cursor": cursor}))[0] == (
        "INVALID_CURSOR"
    )


async def test_05_s1_7_a_cursor_belongs_to_its_caller(open_house: Open, tmp_path: Path) -> None:
    house = await open_house(adapter=adapter("memory", tmp_path))
    for number in range(2):
        await house.call("state::set", scope="s", key=f"k{number}", value="x" * 300)
    page = await house.call("state::list_entries", scope="s", max_bytes=500)
    other = await house.connect()
    with pytest.raises(Exception, match="of another scope, limit or caller"):
        await other.trigger_async(
            {
                "function_id": "state::list_entries",
                "payload": {"scope": "s", "max_bytes": 500, "cursor": page["next_cursor"]},
            }
        )


def test_05_s1_7_snapshots_have_a_bound_and_expire(monkeypatch: pytest.MonkeyPatch) -> None:
    from iii.testing import FakeClock

    clock = FakeClock()
    kept = pages.Pages(clock)
    wanted = pages.Wanted("c", "s", 1, 1000)
    rows = [Entry("a", b"1"), Entry("b", b"2")]
    for _ in range(pages.SNAPSHOTS):
        kept.first(wanted, rows)
    with pytest.raises(Exception, match="16 snapshots are open"):
        kept.first(wanted, rows)
    kept.first(wanted, rows[:1])  # one page: nothing is kept
    clock.advance(120)
    with pytest.raises(Exception, match="16 snapshots are open"):
        kept.first(wanted, rows)
    clock.advance(0.1)
    kept.first(wanted, rows)
    assert (pages.SNAPSHOT_ROWS, pages.SNAPSHOT_BYTES, pages.ALL_BYTES) == (100_000, 32_000_000, 64_000_000)
    monkeypatch.setattr(pages, "SNAPSHOT_ROWS", 1)
    with pytest.raises(Exception, match="the limit of a snapshot is 1 rows"):
        kept.first(wanted, rows)


async def test_05_check_61_what_was_acknowledged_is_there_after_a_stop(open_house: Open, tmp_path: Path) -> None:
    house = await open_house(adapter=adapter("sqlite", tmp_path))
    await house.call("state::set", scope="s", key="k", value=1)
    await house.module.stop()
    assert (tmp_path / "state" / "store.db").exists()  # C9
    again = await open_house(adapter=adapter("sqlite", tmp_path))
    assert await again.call("state::get", scope="s", key="k") == 1


async def test_05_s9_1_adapters_are_named_in_old_and_new_ways(open_house: Open, tmp_path: Path) -> None:
    house = await open_house(adapter=AdapterConfig(class_="modules::state::adapters::KvStore"))
    await house.call("state::set", scope="s", key="k", value=1)
    with pytest.raises(StartFailure, match=r"Adapter factory 'tape' not found. Available: \[bridge, kv, redis\]"):
        State(house.engine, StateConfig(adapter=AdapterConfig(name="tape")))
    with pytest.raises(StartFailure, match=r"adapter.config: Expected `str`"):
        State(house.engine, StateConfig(adapter=AdapterConfig(config={"file_path": 5})))


@pytest.mark.parametrize(("interval_ms", "named"), [(99, 1), (100, 0), (3_600_000, 0), (3_600_001, 1), (None, 0)])
def test_05_s9_1_an_interval_out_of_range_is_named(
    interval_ms: int | None, named: int, caplog: pytest.LogCaptureFixture
) -> None:
    State(MemoryEngine(FakeClock()).core, StateConfig(save_interval_ms=interval_ms))
    assert caplog.text.count(f"save_interval_ms={interval_ms}") == named
