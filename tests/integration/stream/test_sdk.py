"""Streams through the SDK's own objects (issue 5)."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

import iii
from tests.integration.server.waiting import until
from tests.integration.stream.hall import Hall


async def test_a_group_as_an_object_and_typed_events(hall: Hall) -> None:
    heard: list[iii.StreamEvent] = []

    async def handler(event: iii.StreamEvent) -> None:
        heard.append(event)

    hall.worker.register_function("test::typed", handler)
    hall.worker.register_trigger({"type": "stream", "function_id": "test::typed", "config": {"stream_name": "chat"}})
    await hall.settled()
    room = hall.worker.stream("chat", "room")
    assert await room.set_async("m", {"text": "hi"}) is None
    assert await room.get_async("m") == {"text": "hi"}
    assert (await room.update_async("m", iii.UpdateOp.set("text", "ho"))).new_value == {"text": "ho"}
    assert await room.items_async() == [{"text": "ho"}]
    await room.send_async("typing", {"who": "a"}, "m")
    assert await room.delete_async("m") == {"text": "ho"}
    await until(lambda: len(heard) == 4)
    assert [(event.event.type, event.event.data) for event in heard] == [
        ("create", {"text": "hi"}), ("update", {"text": "ho"}), ("event", None), ("delete", {"text": "ho"}),
    ]  # fmt: skip
    assert heard[2].event.event == {"type": "typing", "data": {"who": "a"}}
    assert (heard[0].stream_name, heard[0].group_id, heard[0].id) == ("chat", "room", "m")


async def test_a_group_from_other_threads(hall: Hall) -> None:
    def work() -> None:
        room = hall.worker.stream("chat", "room")
        assert room.set("m", 1) is None
        assert room.get("m") == 1
        assert room.update("m", iii.UpdateOp.increment("")).new_value == 2
        assert room.items() == [2]
        room.send("typing", None)
        assert room.delete("m") == 2

    await asyncio.to_thread(work)


class Message(msgspec.Struct):
    text: str


async def test_12_s1_items_are_read_as_types(hall: Hall) -> None:
    room = hall.worker.stream("chat", "room")
    await room.set_async("m1", {"text": "hello"})

    assert await room.get_async("m1", returns=Message) == Message("hello")
    assert await asyncio.to_thread(room.get, "m1", returns=Message) == Message("hello")
    assert await room.get_async("m2", returns=Message) is None
    assert await room.items_async(returns=Message) == [Message("hello")]
    assert await asyncio.to_thread(room.items, returns=Message) == [Message("hello")]

    await room.set_async("m2", {"text": 1})
    with pytest.raises(iii.InvalidResult, match=r"stream::get .* at `\$\.text`"):
        await room.get_async("m2", returns=Message)
    with pytest.raises(iii.InvalidResult, match=r"stream::list .* at `\$\[1\]\.text`"):
        await room.items_async(returns=Message)
