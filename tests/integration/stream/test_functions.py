"""`stream::*` (05 §4, 05 checks 40–45)."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

import iii
from tests.integration.server.waiting import until
from tests.integration.state.house import adapter, answer
from tests.integration.stream.hall import Hall, Open

ITEM = {"stream_name": "chat", "group_id": "g", "item_id": "i"}


async def test_05_check_40_set_get_delete(hall: Hall) -> None:
    assert await hall.set("g", "i", {"a": 1}) == {"old_value": None, "new_value": {"a": 1}}
    assert await hall.call("stream::set", **ITEM, value=2) == {"old_value": {"a": 1}, "new_value": 2}
    assert await hall.call("stream::get", **ITEM) == 2
    async with await hall.raw() as client:
        missing = await answer(client, "stream::get", {**ITEM, "item_id": "x"})
        assert not {"result", "error"} & missing.keys()
        await answer(client, "stream::set", {**ITEM, "data": None})
        assert (await answer(client, "stream::get", ITEM))["result"] is None
        gone = await answer(client, "stream::delete", {**ITEM, "item_id": "x"})
        assert gone["result"] == {"old_value": None}
    await hall.set("g", "i", "v")
    assert await hall.delete("g", "i") == {"old_value": "v"}
    assert await hall.delete("g", "i") == {"old_value": None}
    for payload in ({**ITEM}, {"stream_name": 5, "group_id": "g", "item_id": "i", "data": 1}):
        assert (await hall.error("stream::set", payload))[0] == "deserialization_error"


async def test_05_check_40_list_is_in_order_after_a_restart_too(open_hall: Open, tmp_path: Path) -> None:
    hall = await open_hall(adapter=adapter("sqlite", tmp_path))
    for number in range(5):
        await hall.set("g", f"i{9 - number}", number)
    assert await hall.call("stream::list", stream_name="chat", group_id="g") == [0, 1, 2, 3, 4]
    await hall.module.stop()
    again = await open_hall(adapter=adapter("sqlite", tmp_path))
    assert await again.call("stream::list", stream_name="chat", group_id="g") == [0, 1, 2, 3, 4]
    assert (tmp_path / "stream" / "store.db").exists()


async def test_05_check_41_42_groups_and_streams(hall: Hall) -> None:
    assert await hall.call("stream::list_groups", stream_name="orders") == []
    assert await hall.call("stream::list_all") == {"stream": [], "count": 0}
    for stream, group in (("users", "default"), ("orders", "beta"), ("orders", "alpha")):
        await hall.set(group, "i", 1, stream=stream)
    assert await hall.call("stream::list_groups", stream_name="orders") == ["alpha", "beta"]
    assert await hall.call("stream::list_all") == {
        "stream": [{"id": "orders", "groups": ["alpha", "beta"]}, {"id": "users", "groups": ["default"]}],
        "count": 2,
    }
    await hall.set("b:g", "i", 1, stream="a")
    await hall.set("g", "i", 2, stream="a:b")
    assert await hall.call("stream::list_groups", stream_name="a") == ["b:g"]
    assert await hall.call("stream::list", stream_name="a:b", group_id="g") == [2]


async def test_05_check_40_update(hall: Hall) -> None:
    ops = [{"type": "increment", "path": "n", "by": 2}, {"type": "append", "path": "n", "value": 1}]
    done = await hall.call("stream::update", **ITEM, ops=ops)
    assert (done["old_value"], done["new_value"], done["errors"][0]["code"]) == (None, {"n": 2}, "append.type_mismatch")
    assert await hall.call("stream::update", **ITEM, ops=[]) == {"old_value": {"n": 2}, "new_value": {"n": 2}}


class Shelf(iii.Stream):
    """Keeps its items itself."""

    def __init__(self) -> None:
        self.items: dict[tuple[str, str], Any] = {}

    async def get(self, request: iii.StreamItemInput) -> Any:
        if request.item_id == "bad":
            raise iii.InvocationError("SHELF", "it fell")
        return self.items.get((request.group_id, request.item_id))

    async def set(self, request: iii.StreamSetInput) -> Any:
        if request.item_id == "mute":
            return None
        if request.item_id == "odd":
            return {"old": 1}
        old = self.items.get((request.group_id, request.item_id))
        self.items[request.group_id, request.item_id] = request.data
        return {"new_value": request.data} if old is None else {"old_value": old, "new_value": request.data}

    async def delete(self, request: iii.StreamItemInput) -> Any:
        old = self.items.pop((request.group_id, request.item_id), None)
        return None if old is None else {"old_value": old}

    async def list(self, request: iii.StreamListInput) -> Any:
        return [value for (group, _), value in self.items.items() if group == request.group_id]

    async def list_groups(self, request: iii.StreamListGroupsInput) -> Any:
        return sorted({group for group, _ in self.items})


async def test_05_check_43_a_worker_may_keep_a_stream(hall: Hall, caplog: pytest.LogCaptureFixture) -> None:
    shelf = Shelf()
    provider = await hall.connect()
    provider.create_stream("chat", shelf)
    await provider.trigger_async({"function_id": "engine::functions::list"})
    client = await hall.client()
    await client.join("g")
    assert await client.synced() == []
    assert await hall.set("g", "i", 1) == {"old_value": None, "new_value": 1}
    assert await client.event() == ("i", "create", 1)
    assert shelf.items == {("g", "i"): 1}
    assert await hall.set("g", "i", {"n": 1}) == {"old_value": 1, "new_value": {"n": 1}}
    assert await client.event() == ("i", "update", {"n": 1})
    assert await hall.call("stream::get", **ITEM) == {"n": 1}
    increment = [{"type": "increment", "path": "n", "by": 1}]
    assert (await hall.call("stream::update", **ITEM, ops=increment))["new_value"] == {"n": 2}
    assert await client.event() == ("i", "update", {"n": 2})
    assert await hall.call("stream::list", stream_name="chat", group_id="g") == [{"n": 2}]
    assert await hall.call("stream::list_groups", stream_name="chat") == ["g"]
    assert await hall.delete("g", "i") == {"old_value": {"n": 2}}
    assert await client.event() == ("i", "delete", {"n": 2})
    assert await hall.delete("g", "i") == {"old_value": None}
    assert await hall.call("stream::get", **ITEM) is None
    assert await hall.error("stream::set", {**ITEM, "item_id": "mute", "data": 1}) == (
        "STREAM_SET_ERROR", "Failed to set value: Function returned no result",
    )  # fmt: skip
    assert (await hall.error("stream::set", {**ITEM, "item_id": "odd", "data": 1}))[0] == "JSON_ERROR"
    assert await hall.error("stream::get", {**ITEM, "item_id": "bad"}) == ("SHELF", "it fell")
    code, message = await hall.error("stream::update", {**ITEM, "item_id": "bad", "ops": increment})
    assert (code, message) == (
        "STREAM_UPDATE_ERROR",
        "Failed to update value: Failed to invoke function: SHELF: it fell",
    )
    await provider.shutdown_async()
    await until(lambda: hall.engine.functions.find("stream::get(chat)", None) is None)
    with caplog.at_level(logging.WARNING):
        assert await hall.call("stream::get", **ITEM) is None
    assert "Stream has no provider; the engine's own store answers for it (stream=chat)" in caplog.text


async def test_05_s4_1_updates_of_a_kept_item_take_turns(hall: Hall) -> None:
    provider = await hall.connect()
    provider.create_stream("chat", Shelf())
    await provider.trigger_async({"function_id": "engine::functions::list"})
    increment = [{"type": "increment", "path": "n", "by": 1}]
    await asyncio.gather(*(hall.call("stream::update", **ITEM, ops=increment) for _ in range(50)))
    assert await hall.call("stream::get", **ITEM) == {"n": 50}


async def test_05_check_44_send_stores_nothing(hall: Hall) -> None:
    client = await hall.client()
    await client.join("g")
    await client.synced()
    async with await hall.raw() as caller:
        sent = await answer(
            caller, "stream::send", {"stream_name": "chat", "group_id": "g", "type": "typing", "data": 1}
        )
        assert sent["result"] is None
        assert "result" in sent
    assert await client.event() == (None, "event", {"type": "typing", "data": 1})
    assert await hall.call("stream::list", stream_name="chat", group_id="g") == []


async def test_05_check_45_stream_triggers(hall: Hall) -> None:
    room: list[Any] = []
    item: list[Any] = []
    every: list[Any] = []
    await hall.on("stream", room.append, stream_name="chat", group_id="r1")
    await hall.on("stream", item.append, stream_name="chat", group_id="r1", item_id="i1")
    await hall.on("stream", every.append, stream_name="chat", group_id="", item_id=None)
    await hall.set("r1", "i1", 1)
    await hall.set("r1", "i1", 2)
    await hall.set("r1", "i2", 3)
    await hall.set("r2", "i1", 4)
    await hall.delete("r1", "i1")
    await hall.delete("r1", "i1")  # nothing was there: no event
    await hall.call("stream::send", stream_name="chat", group_id="r1", type="typing", data={"who": "a"})
    await hall.set("r1", "i1", 5, stream="other")
    await until(lambda: len(room) == 5 and len(every) == 6 and len(item) == 3)
    assert [(each["id"], each["event"]) for each in room] == [
        ("i1", {"type": "create", "data": 1}),
        ("i1", {"type": "update", "data": 2}),
        ("i2", {"type": "create", "data": 3}),
        ("i1", {"type": "delete", "data": 2}),
        (None, {"type": "event", "event": {"type": "typing", "data": {"who": "a"}}}),
    ]
    assert {key: room[0][key] for key in ("type", "streamName", "groupId")} == {
        "type": "stream", "streamName": "chat", "groupId": "r1",
    }  # fmt: skip
    assert isinstance(room[0]["timestamp"], int)
    assert [each["event"]["type"] for each in item] == ["create", "update", "delete"]


async def test_05_check_45_a_trigger_without_stream_name_is_refused_and_the_engine_lives(hall: Hall) -> None:
    async with await hall.raw() as client:
        for config in (None, {}, {"stream_name": None}, {"stream_name": 5}):
            trigger = {"type": "registertrigger", "id": "t", "trigger_type": "stream", "function_id": "f"}
            client.say({**trigger, "config": config})
            while (message := await client.json())["type"] != "triggerregistrationresult":
                pass
            assert "Failed to deserialize stream trigger" in message["error"]["message"]
            assert "stream_name" in message["error"]["message"]
        assert "result" in await answer(client, "stream::set", {**ITEM, "data": 1})


async def test_05_s5_1_the_same_trigger_id_fires_once(hall: Hall) -> None:
    heard: list[Any] = []
    await hall.function("test::once", heard.append)
    async with await hall.raw() as client:
        for stream in ("other", "chat", "chat"):
            client.say(
                {
                    "type": "registertrigger",
                    "id": "t",
                    "trigger_type": "stream",
                    "function_id": "test::once",
                    "config": {"stream_name": stream},
                }
            )
        await answer(client, "stream::set", {**ITEM, "data": 1})
        await answer(client, "stream::set", {**ITEM, "stream_name": "other", "data": 2})
        await hall.set("g", "i", 3)
        await until(lambda: len(heard) >= 2)
        assert [each["event"]["data"] for each in heard] == [1, 3]
