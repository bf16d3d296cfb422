"""The stream port (05 §6, 05 checks 46–60)."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path
from typing import Any

import aiohttp
import pytest

import iii
from iii.modules.stream.config import StreamConfig
from iii.modules.stream.module import Streams
from iii.protocol.start_failure import StartFailure
from iii.storage.adapter import AdapterConfig
from tests.integration.server.raw_socket import PING, RawSocket, client_frame, upgrade_request
from tests.integration.server.waiting import until
from tests.integration.state.house import adapter
from tests.integration.stream.hall import DEADLINE_S, Client, Hall, Open


async def test_05_check_46_47_sync_then_events(hall: Hall) -> None:
    before = await hall.client()
    await before.join("g")
    await before.synced()
    await hall.set("g", "i1", {"id": "i1"})
    assert await before.event() == (
        "i1",
        "create",
        {"id": "i1"},
    )  # with `redis` it may come behind the sync of a later join
    await before.leave("g")
    client = await hall.client()
    await client.join("g")
    frame = await client.frame()
    timestamp = frame.pop("timestamp")
    assert frame == {
        "type": "stream", "streamName": "chat", "groupId": "g", "id": None, "event": {"type": "sync", "data": [{"id": "i1"}]},
    }  # fmt: skip
    one, none = await hall.client(), await hall.client()
    await one.join("g", "i1")
    assert await one.event() == ("i1", "sync", {"id": "i1"})
    await none.join("g", "missing")
    assert await none.event() == ("missing", "sync", None)
    await hall.set("g", "i2", 1)
    await hall.set("g", "i2", 2)
    await hall.set("other", "i2", 3)
    await hall.delete("g", "i2")
    first = await client.frame()
    assert (first["id"], first["event"]) == ("i2", {"type": "create", "data": 1})
    assert first["timestamp"] > timestamp
    assert await client.event() == ("i2", "update", 2)
    assert await client.event() == ("i2", "delete", 2)
    await client.leave("g")
    await until(lambda: len(hall.module.server.shared.hub) == 1)
    await hall.set("g", "i1", 5)
    await client.join("g")
    assert await client.synced() == [5]
    assert await one.event() == ("i1", "update", 5)


async def test_05_check_48_one_frame_a_socket_and_event(hall: Hall) -> None:
    client = await hall.client()
    await client.join("g", subscription="a")
    await client.join("g", "i", subscription="b")
    await client.join("g", "i", subscription="c")
    for _ in range(3):
        await client.synced()
    await hall.set("g", "i", 1)
    await hall.set("g", "j", 2)
    assert await client.event() == ("i", "create", 1)
    assert await client.event() == ("j", "create", 2)
    await client.leave("g", subscription="a")
    await client.leave("g", "i", subscription="b")
    await client.join("h", subscription="d")
    await client.synced()
    await hall.set("g", "j", 3)
    await hall.set("g", "i", 4)
    assert await client.event() == ("i", "update", 4)


async def test_05_check_49_what_makes_no_sense_is_ignored(hall: Hall) -> None:
    client = await hall.client()
    for text in ("", "  \n", "not-json", "[]", "5", '{"type":"dance","data":{}}', '{"type":"join"}',
                 '{"type":"join","data":{"subscriptionId":"s","streamName":"chat"}}'):  # fmt: skip
        await client.socket.send_str(text)
    await client.socket.send_bytes(b"\xff\xfe\x00")
    join = {"subscriptionId": "s", "streamName": "chat", "groupId": "g"}
    await client.socket.send_bytes(json.dumps({"type": "join", "data": join}).encode())
    assert await client.synced() == []


async def test_05_check_50_a_ping_is_answered(hall: Hall) -> None:
    async with await RawSocket.upgraded(hall.module.server.port) as client:
        client.say(b"\x01\x02\x03", PING)
        assert (await client.frame()).payload == b"\x01\x02\x03"


async def test_05_check_51_a_join_may_be_denied(hall: Hall) -> None:
    async def deny(call: Any) -> Any:
        return {"unauthorized": call["group_id"] == "secret"}

    async def allow(call: Any) -> Any:
        return {"unauthorized": False}

    await hall.on("stream:join", deny)
    await hall.on("stream:join", allow)
    client = await hall.client()
    await client.join("secret", "i")
    frame = await client.frame()
    assert (frame["streamName"], frame["groupId"], frame["id"], frame["event"]) == (
        "chat", "secret", "i", {"type": "unauthorized"},
    )  # fmt: skip
    await hall.set("secret", "i", 1)
    await client.join("open")
    assert await client.synced() == []
    await client.join("secret", subscription="s1")  # denied: the older one of that id stays
    assert (await client.event())[1] == "unauthorized"
    await hall.set("open", "i", 1)
    assert await client.event() == ("i", "create", 1)


async def test_05_check_52_what_join_handlers_get_and_what_allows(open_hall: Open) -> None:
    async def authenticate(call: Any) -> Any:
        return {"context": {"user": "alice"}}

    hall = await open_hall(auth_function="auth")
    await hall.function("auth", authenticate)
    heard: list[Any] = []
    client = await hall.client()
    await hall.on("stream:join", heard.append)
    await hall.on("stream:join", lambda call: {"unauthorized": "nope"})

    async def fail(call: Any) -> Any:
        raise RuntimeError("no idea")

    await hall.on("stream:join", fail)
    await hall.on("stream:join", heard.append, stream_name="other")
    await hall.function("never", lambda call: False)
    await hall.on("stream:join", lambda call: {"unauthorized": True}, condition_function_id="never")
    await client.join("g", "i", subscription="sub")
    assert await client.event() == ("i", "sync", None)
    assert heard == [
        {"subscription_id": "sub", "stream_name": "chat", "group_id": "g", "id": "i", "context": {"user": "alice"}}
    ]


async def test_L10_a_join_handler_that_fails_may_deny(open_hall: Open) -> None:
    hall = await open_hall(join_error_policy="deny")

    async def fail(call: Any) -> Any:
        raise RuntimeError("no idea")

    await hall.on("stream:join", fail)
    client = await hall.client()
    await client.join("g")
    assert (await client.event())[1] == "unauthorized"


async def test_05_check_53_leaves_are_heard_of(hall: Hall) -> None:
    heard: list[Any] = []
    await hall.on("stream:leave", heard.append)
    await hall.on("stream:leave", lambda call: heard.append("other"), stream_name="other")
    client = await hall.client()
    await client.join("g", subscription="a")
    await client.join("g", "i", subscription="b")
    await client.synced()
    await client.synced()
    await client.leave("nowhere", subscription="unknown")
    await until(lambda: len(heard) == 1)
    assert heard[0] == {
        "subscription_id": "unknown", "stream_name": "chat", "group_id": "nowhere", "id": None, "context": None,
    }  # fmt: skip
    await client.socket.close()
    await until(lambda: len(heard) == 3)
    assert sorted((each["subscription_id"], each["id"] or "") for each in heard[1:]) == [("a", ""), ("b", "i")]


async def test_L4_leaves_are_heard_of_when_the_engine_stops(open_hall: Open) -> None:
    hall = await open_hall()
    heard: list[Any] = []
    await hall.on("stream:leave", heard.append)
    client = await hall.client()
    await client.join("g")
    await client.synced()
    await hall.module.stop()
    assert [each["subscription_id"] for each in heard] == ["s1"]
    assert await client.closed() == 1012


async def test_05_check_54_what_the_auth_function_gets(open_hall: Open) -> None:
    calls: list[Any] = []
    hall = await open_hall(auth_function="auth")
    await hall.function("auth", calls.append)
    client = await hall.client("/?a=1&a=2&b=%20&c=&=x&d", headers={"X-Token": "t", "X-Odd": "é"})
    (call,) = calls
    assert call["query_params"] == {"a": ["1", "2"], "b": ["%20"], "c": [""], "d": [""]}  # L9
    assert call["path"] == "/"
    assert call["headers"]["x-token"] == "t"
    assert call["headers"]["host"].startswith("127.0.0.1")
    assert "x-odd" not in call["headers"]
    assert call["addr"].rpartition(":")[0] == "127.0.0.1"
    await client.join("g")
    assert await client.synced() == []


@pytest.mark.parametrize(
    ("result", "status"),
    [({"unauthorized": True}, 401), (RuntimeError("no"), 401), ("text", 401), ([1], 401), ({"unauthorized": 1}, 101),
     ({"context": None}, 101), ({}, 101), (None, 101)],
    ids=["no", "raises", "text", "list", "odd", "null", "empty", "nothing"],
)  # fmt: skip
async def test_L10_who_may_connect(open_hall: Open, result: Any, status: int) -> None:
    async def authenticate(call: Any) -> Any:
        if isinstance(result, Exception):
            raise result
        return result

    hall = await open_hall(auth_function="auth")
    await hall.function("auth", authenticate)
    if status == 101:
        client = await hall.client()
        await client.join("g")
        assert await client.synced() == []
    else:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await hall.client()
        assert refused.value.status == status
    lenient = await open_hall(auth_function="auth", auth_error_policy="allow")
    await lenient.function("auth", authenticate)
    if result != {"unauthorized": True}:
        await lenient.client()


async def test_L10_a_missing_auth_function_is_503_until_it_is_there(open_hall: Open) -> None:
    hall = await open_hall(auth_function="auth")
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await hall.client()
    assert refused.value.status == 503
    await hall.function("auth", lambda call: None)
    await hall.client()


async def test_what_arrives_while_the_auth_function_thinks_is_not_lost(open_hall: Open) -> None:
    decided = asyncio.Event()

    async def authenticate(call: Any) -> None:
        await decided.wait()

    hall = await open_hall(auth_function="auth")
    await hall.function("auth", authenticate)
    join = {"type": "join", "data": {"subscriptionId": "s", "streamName": "chat", "groupId": "g"}}
    async with await RawSocket.connect(hall.module.server.port) as client:
        client.write(upgrade_request("/") + client_frame(join))
        await hall.settled()
        decided.set()
        assert (await client.head()).startswith("HTTP/1.1 101")
        assert json.loads((await client.frame()).payload)["event"] == {"type": "sync", "data": []}
    gone = await RawSocket.connect(hall.module.server.port)
    decided.clear()
    gone.write(upgrade_request("/"))
    gone.drop()
    decided.set()
    await until(lambda: not hall.module.server.open_sockets)


async def test_05_check_55_a_subprotocol_is_selected_if_any_is_offered(hall: Hall) -> None:
    assert (await hall.client(protocols=["Authorization", "tok"])).socket.protocol == "Authorization"
    assert (await hall.client(protocols=["tok", "Authorization"])).socket.protocol == "Authorization"
    assert (await hall.client(protocols=["a", "b"])).socket.protocol == "a"
    assert (await hall.client()).socket.protocol is None


@pytest.mark.parametrize(
    "path", ["/stream/my%20chat/room-1", "/stream/my%20chat/room-1/", "/stream/my%20chat/room-1/?x=1"]
)
async def test_05_check_56_an_address_may_name_the_group(hall: Hall, path: str) -> None:
    early = await hall.client("/stream/my%20chat/room-1")
    assert await early.synced() == []
    await hall.set("room-1", "i", 1, stream="my chat")
    assert await early.event() == ("i", "create", 1)  # over Redis it may come after a sync that has it (05 §6.5)
    client = await hall.client(path)
    assert await client.synced() == [1]
    await hall.set("room-1", "i", 2, stream="my chat")
    assert await client.event() == ("i", "update", 2)
    await client.join("g")
    assert await client.synced() == []


async def test_05_check_56_or_an_item_and_nothing_else_is_there(hall: Hall) -> None:
    await hall.set("room", "i", 1)
    assert await (await hall.client("/stream/chat/room/i")).event() == ("i", "sync", 1)
    for path in ("/nope", "/stream", "/stream/chat", "/stream/chat/room/i/more", "//"):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await hall.client(path)
        assert refused.value.status == 404
    url = hall.url.replace("ws:", "http:")
    async with hall.browser.get(url) as answer:
        assert answer.status == 426
    async with hall.browser.post(url) as answer:
        assert answer.status == 405


async def test_L18_pages_of_other_origins_may_be_kept_out(open_hall: Open) -> None:
    hall = await open_hall(allowed_origins=("https://good.example",))
    await hall.client(origin="https://good.example")
    await hall.client()
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await hall.client(origin="https://evil.example")
    assert refused.value.status == 403


async def test_05_check_57_timestamps_increase_strictly(hall: Hall) -> None:
    client = await hall.client()
    await client.join("g")
    timestamps = [(await client.frame())["timestamp"]]
    await asyncio.gather(*(hall.set("g", "i", number) for number in range(200)))
    values = []
    for _ in range(200):
        frame = await client.frame()
        timestamps.append(frame["timestamp"])
        values.append(frame["event"]["data"])
    assert timestamps == sorted(set(timestamps))
    assert values[-1] == await hall.call("stream::get", stream_name="chat", group_id="g", item_id="i")


class PublishedClient:
    """The state that the published client library would show, by the rules of 05 §6.5.

    `exact`: what a first frame shows is not created once more; Redis cannot tell which events came before its answer.
    """

    def __init__(self, exact: bool) -> None:
        self.exact = exact
        self.items: dict[str, Any] = {}
        self.last = 0
        self.last_of: dict[str, int] = {}

    def frame(self, frame: dict[str, Any]) -> None:
        timestamp, item, event = frame["timestamp"], frame["id"], frame["event"]
        if event["type"] == "sync":
            if timestamp < self.last:
                return
            self.items = {each["id"]: each for each in event["data"]}
        elif timestamp <= self.last_of.get(item, 0):
            return
        elif event["type"] == "delete":
            self.items.pop(item, None)
        else:
            assert event["type"] == "update" or item not in self.items or not self.exact, "created twice"
            self.items[item] = event["data"]
        self.last = max(self.last, timestamp)
        if item is not None:
            self.last_of[item] = timestamp


async def test_05_check_58_a_join_that_races_with_writes_loses_nothing(hall: Hall) -> None:
    clients = [await hall.client() for _ in range(10)]
    shown = [PublishedClient(hall.module.server.shared.stores_in_order) for _ in clients]

    async def follow(client: Client, shown: PublishedClient) -> None:
        while True:
            frame = await client.frame()
            if frame["event"]["type"] == "event":
                return
            shown.frame(frame)

    async def write(number: int) -> None:
        item = f"i{number % 100}"
        if number % 7 == 3:
            await hall.delete("g", item)
        else:
            await hall.set("g", item, {"id": item, "n": number})

    following = [asyncio.ensure_future(follow(*each)) for each in zip(clients, shown, strict=True)]
    for begin in range(0, 1000, 100):
        writes = [asyncio.ensure_future(write(number)) for number in range(begin, begin + 100)]
        await asyncio.sleep(0)
        await clients[begin // 100].join("g")
        await asyncio.gather(*writes)
    listed = await hall.call("stream::list", stream_name="chat", group_id="g")
    await until(lambda: all(client.last for client in shown))
    await hall.call("stream::send", stream_name="chat", group_id="g", type="end", data=None)
    async with asyncio.timeout(DEADLINE_S):
        await asyncio.gather(*following)
    for each in shown:
        assert sorted(each.items.values(), key=str) == sorted(listed, key=str)


async def test_05_check_59_a_client_that_never_reads_is_closed_and_disturbs_nobody(
    hall: Hall, caplog: pytest.LogCaptureFixture
) -> None:
    stuck = socket.socket()
    stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    stuck.connect(("127.0.0.1", hall.module.server.port))
    join = {"subscriptionId": "s", "streamName": "chat", "groupId": "g"}
    stuck.sendall(upgrade_request("/") + client_frame({"type": "join", "data": join}))
    reader = await hall.client()
    await reader.join("g")
    await reader.synced()
    await until(lambda: hall.module.server.open_sockets == 2)
    text = "x" * 2000

    async def read() -> list[int]:
        return [(await reader.frame())["event"]["event"]["data"]["n"] for _ in range(10_000)]

    reading = asyncio.ensure_future(read())
    for begin in range(0, 10_000, 200):
        await asyncio.gather(
            *(
                hall.call("stream::send", stream_name="chat", group_id="g", type="t", data={"n": number, "text": text})
                for number in range(begin, begin + 200)
            )
        )
    assert await reading == list(range(10_000))
    await until(lambda: hall.module.server.open_sockets == 1)
    stuck.close()
    assert 'fast enough (ip_address=127.0.0.1, reason="more than 256 messages are queued")' in caplog.text


async def test_what_waits_for_a_client_is_bounded_in_bytes(hall: Hall, caplog: pytest.LogCaptureFixture) -> None:
    """Large events: 256 of them would be too many."""
    with socket.socket() as stuck:
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stuck.connect(("127.0.0.1", hall.module.server.port))
        join = {"subscriptionId": "s", "streamName": "chat", "groupId": "g"}
        stuck.sendall(upgrade_request("/") + client_frame({"type": "join", "data": join}))
        received = b""
        while b'"sync"' not in received:  # it has joined, and reads no more
            received += await asyncio.to_thread(stuck.recv, 4096)
        for number in range(30):
            text = "x" * 500_000
            await hall.call(
                "stream::send", stream_name="chat", group_id="g", type="t", data={"n": number, "text": text}
            )
        await until(lambda: not hall.module.server.open_sockets)
    assert 'fast enough (ip_address=127.0.0.1, reason="more than 8 MiB are queued")' in caplog.text


async def test_snapshots_for_a_client_that_does_not_read_wait_and_all_come_when_it_does(hall: Hall) -> None:
    size, joins = 1_000_000, 60
    await hall.call("stream::set", stream_name="chat", group_id="g", item_id="i", data="x" * size)
    client = await hall.client()
    for number in range(joins):
        await client.join("g", subscription=f"s{number}")
    (stream_client,) = hall.module.server.clients
    await until(lambda: stream_client.outbox.paused and stream_client.snapshots.waiting)
    await asyncio.sleep(0.1)
    assert stream_client.outbox.waiting_bytes < 10 * size
    seen: list[str] = []
    while seen.count("sync") < joins:
        seen.append((await client.frame())["event"]["type"])
    assert set(seen) <= {"sync", "create"}  # over Redis the event of the write may come after the first join


async def test_05_check_60_a_port_that_is_taken_ends_the_start(open_hall: Open) -> None:
    hall = await open_hall()
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        streams = Streams(hall.engine, StreamConfig(port=port))
        with pytest.raises(StartFailure, match=f"127.0.0.1:{port} is already in use"):
            await streams.start()
        await streams.items.close()


async def test_L5_a_message_has_at_most_so_many_bytes(open_hall: Open) -> None:
    hall = await open_hall(max_message_bytes=2048)
    client = await hall.client()
    await client.socket.send_str(" " * 2048)
    await client.join("g")
    assert await client.synced() == []
    await client.socket.send_str(" " * 2049)
    assert await client.closed() == 1009


async def test_frames_and_subscriptions_have_a_bound(open_hall: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("iii.modules.stream.client.SUBSCRIPTIONS", 3)
    monkeypatch.setattr("iii.modules.stream.client.FRAMES_WAITING", 5)
    hall = await open_hall()
    client = await hall.client()
    for number in range(4):
        await client.join("g", subscription=f"s{number}")
    assert await client.closed() == 1008

    async def never(call: Any) -> None:
        await asyncio.Event().wait()

    await hall.on("stream:join", never)
    flood = await hall.client()
    for number in range(7):
        await flood.join("g", subscription=f"s{number % 2}")
    assert await flood.closed() == 1008


async def test_a_slow_join_handler_blocks_neither_pings_nor_other_subscriptions(hall: Hall) -> None:
    free = asyncio.Event()

    async def slow(call: Any) -> None:
        if call["group_id"] == "slow":
            await free.wait()

    await hall.on("stream:join", slow)
    client = await hall.client()
    await client.join("slow", subscription="a")
    await client.leave("slow", subscription="a")  # waits for its turn
    await client.join("fast", subscription="b")
    assert (await client.frame())["groupId"] == "fast"
    free.set()
    assert (await client.frame())["groupId"] == "slow"
    await until(lambda: len(hall.module.server.shared.hub) == 1)


async def test_events_before_the_first_frame_are_kept_for_it(open_hall: Open) -> None:
    """A provider that is slow to list: what happens meanwhile follows the sync."""
    hall = await open_hall()
    free, asked = asyncio.Event(), asyncio.Event()

    async def slow_list(request: Any) -> Any:
        asked.set()
        await free.wait()
        return [{"id": "old"}]

    await hall.function("stream::list(chat)", slow_list)
    client = await hall.client()
    await client.join("g")
    await asked.wait()
    await hall.set("g", "i", 1)
    await hall.set("g", "i", 2)
    free.set()
    assert await client.synced() == [{"id": "old"}]
    assert await client.event() == ("i", "create", 1)
    assert await client.event() == ("i", "update", 2)


async def test_a_snapshot_that_fails_leaves_the_subscription(hall: Hall) -> None:
    async def fail(request: Any) -> Any:
        raise RuntimeError("no")

    await hall.function("stream::list(chat)", fail)
    client = await hall.client()
    await client.join("g")
    await until(lambda: len(hall.module.server.shared.hub) == 1)
    await hall.settled()
    await hall.set("g", "i", 1)
    assert await client.event() == ("i", "create", 1)


async def test_a_group_of_many_megabytes_is_synced(open_hall: Open, tmp_path: Path) -> None:
    hall = await open_hall(adapter=adapter("sqlite", tmp_path))
    for number in range(30):
        await hall.set("g", str(number), "x" * 100_000)
    client = Client(await hall.browser.ws_connect(hall.url, max_msg_size=0))
    await client.join("g")
    assert [len(each) for each in await client.synced()] == [100_000] * 30


async def test_05_s9_1_adapters_of_streams(open_hall: Open) -> None:
    hall = await open_hall(adapter=AdapterConfig(class_="modules::stream::adapters::KvStore"))
    assert await hall.set("g", "i", 1) == {"old_value": None, "new_value": 1}
    with pytest.raises(StartFailure, match="Adapter factory 'tape' not found"):
        Streams(hall.engine, StreamConfig(adapter=AdapterConfig(name="tape")))


async def test_void_calls_reach_clients_too(hall: Hall) -> None:
    client = await hall.client()
    await client.join("g")
    await client.synced()
    await hall.worker.trigger_async(
        {
            "function_id": "stream::set",
            "payload": {"stream_name": "chat", "group_id": "g", "item_id": "i", "data": 1},
            "action": iii.TriggerAction.Void(),
        }
    )
    assert await client.event() == ("i", "create", 1)


async def test_a_provider_that_never_answers_keeps_nothing_of_a_client_that_left(hall: Hall) -> None:
    asked = asyncio.Event()

    async def never(request: Any) -> None:
        asked.set()
        await asyncio.Event().wait()

    await hall.function("stream::list(chat)", never)
    client = await hall.client()
    await client.join("g")
    await asked.wait()
    await client.socket.close()
    await until(lambda: not hall.module.server.shared.tasks)
    assert not len(hall.module.server.shared.hub)
