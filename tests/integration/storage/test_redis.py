"""What is Redis' own among the stores (05 §7.2, §7.4)."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from iii.protocol.start_failure import StartFailure
from iii.storage.items import Changed, StoreError
from iii.storage.redis_channels import RedisChannels
from iii.storage.redis_connection import connected
from iii.storage.redis_items import RedisItems
from iii.storage.update import apply, read_ops
from tests.integration.server.waiting import until
from tests.integration.storage.redis_server import RedisServer
from tests.integration.storage.store import Store
from tests.processes import free_port

A = ("a", "")


@pytest_asyncio.fixture
async def store(redis_server: RedisServer) -> AsyncIterator[Store]:
    items = RedisItems(redis_server.url, "state:", parts=1)
    await items.open()
    yield Store(items)
    await items.close()


async def test_keys_and_fields_have_the_names_that_everybody_uses(store: Store, redis_server: RedisServer) -> None:
    await store.set(("my scope", ""), "k", b'{"a":1}')
    redis = await connected(redis_server.url)
    assert await redis.hgetall("state:my scope") == {b"k": b'{"a":1}'}
    await redis.aclose()
    assert await store.groups() == {("my scope", "")}


async def test_what_somebody_else_wrote_may_be_no_json(store: Store, redis_server: RedisServer) -> None:
    redis = await connected(redis_server.url)
    await redis.hset("state:a", "k", "no json")
    ops = read_ops(b'[{"type":"set","path":"a","value":1}]', "state::update")
    for asked in (store.get(A, "k"), store.entries(A)):
        with pytest.raises(StoreError, match="Failed to deserialize value from Redis: "):
            await asked
    with pytest.raises(StoreError):
        await store.change(A, "k", lambda old: apply(old, ops).new)
    assert await redis.hget("state:a", "k") == b"no json"
    assert await store.set(A, "k", b"1") == Changed(b"null", b"1")
    await redis.aclose()


async def test_two_engines_that_change_one_item_lose_nothing(store: Store, redis_server: RedisServer) -> None:
    other = RedisItems(redis_server.url, "state:", parts=1)
    await other.open()

    def more(old: bytes | None) -> bytes:
        return b"%d" % (int(old or b"0") + 1)

    stores = (store, Store(other))
    await asyncio.gather(*(stores[number % 2].change(A, "n", more) for number in range(200)))
    assert await store.get(A, "n") == b"200"
    await other.close()


async def test_05_check_39_lists_and_long_numbers_stay_what_they_are(store: Store) -> None:
    await store.set(A, "k", b'{"l":[],"n":123456789012345,"f":1.0}')
    ops = read_ops(b'[{"type":"increment","path":"n","by":1}]', "state::update")
    changed = await store.change(A, "k", lambda old: apply(old, ops).new)
    assert changed.new == b'{"l":[],"n":123456789012346,"f":1.0}'


async def test_a_server_that_goes_and_comes_back(store: Store, redis_server: RedisServer) -> None:
    await store.set(A, "k", b"1")
    redis_server.kill()
    with pytest.raises(StoreError):
        await store.get(A, "k")
    with pytest.raises(StoreError):
        await store.set(A, "k", b"2")
    redis_server.start()
    assert await store.get(A, "k") == b"1"


async def test_a_server_that_is_not_there_ends_the_start() -> None:
    url = f"redis://:secret@127.0.0.1:{free_port()}"
    with pytest.raises(StartFailure, match=r"Failed to connect to Redis at redis://\*\*\*@127.0.0.1") as refused:
        await RedisItems(url, "state:", parts=1).open()
    assert "secret" not in str(refused.value)
    with pytest.raises(StartFailure, match="redis_url"):
        await RedisItems("http://nowhere", "state:", parts=1).open()


async def test_a_server_that_does_not_answer_ends_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("iii.storage.redis_connection.CONNECT_S", 0.2)
    ended = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(100):
            pass
        writer.close()
        await writer.wait_closed()
        ended.set()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(
        StartFailure, match=f"timed out after 0.2s. Please ensure Redis is running at: redis://127.0.0.1:{port}"
    ):
        await RedisItems(f"redis://127.0.0.1:{port}", "state:", parts=1).open()
    await ended.wait()
    server.close()


async def test_17_6_only_engines_themselves_give_notices() -> None:
    """Whoever may publish could else give the messages of others another trace and baggage."""
    channels = RedisChannels("redis://127.0.0.1:1", lambda *message: None, lambda: None)
    told: list[str] = []
    channels.publish("iii::alive", b"{}", lambda _, error: told.append(str(error)))
    channels.publish("iii::alive", b"{}")
    assert told == ["'iii::alive' is for notices of engines; choose another name"]


async def test_05_check_64_messages_arrive_in_order_and_a_gap_is_told(redis_server: RedisServer) -> None:
    heard: list[tuple[str, bytes]] = []
    gaps: list[bool] = []
    listening = RedisChannels(redis_server.url, lambda *message: heard.append(message), lambda: gaps.append(True))
    sending = RedisChannels(redis_server.url, lambda *message: None, lambda: None)
    listening.subscribe("events")
    await listening.open()
    await sending.open()
    for number in range(500):
        sending.publish("events", b"%d" % number)
    await until(lambda: len(heard) == 500)
    assert heard == [("events", b"%d" % number) for number in range(500)]
    redis_server.kill()
    sending.publish("events", b"late")
    redis_server.start()
    await until(lambda: bool(gaps))
    sending.publish("events", b"last")
    await until(lambda: heard[-1] == ("events", b"last"))
    await sending.close()
    await listening.close()


async def test_channels_come_and_go(redis_server: RedisServer) -> None:
    heard: list[tuple[str, bytes]] = []
    channels = RedisChannels(redis_server.url, lambda *message: heard.append(message), lambda: None)
    await channels.open()
    published = asyncio.Event()
    channels.publish("a", b"0", lambda _, error: published.set())
    await published.wait()
    channels.subscribe("a")
    channels.publish("a", b"1")  # at once: it was wanted before
    channels.subscribe("b")
    channels.publish("b", b"2")
    await until(lambda: len(heard) == 2)
    channels.unsubscribe("a")
    channels.publish("a", b"3")
    channels.publish("b", b"4")
    await until(lambda: len(heard) == 3)
    assert heard == [("a", b"1"), ("b", b"2"), ("b", b"4")]
    await channels.close()


async def test_what_redis_does_not_allow_is_nobody_elses_loss(redis_server: RedisServer) -> None:
    """One channel that may not be heard, and one that may not be written to."""
    admin = await connected(redis_server.url)
    await admin.acl_setuser(
        "eng",
        enabled=True,
        passwords=["+pw"],
        keys=["*"],
        categories=["+@all"],
        channels=["ok*", "iii::alive"],
        reset=True,
    )
    heard: list[bytes] = []
    errors: list[StoreError | None] = []
    url = redis_server.url.replace("redis://", "redis://eng:pw@")
    channels = RedisChannels(url, lambda name, message: heard.append(message), lambda: None)
    await channels.open()
    for name in ("ok1", "forbidden", "ok2"):
        channels.subscribe(name)
    channels.publish("forbidden", b"lost")
    channels.publish("forbidden", b"lost", lambda _, error: errors.append(error))
    for number in range(3):
        channels.publish("ok1", b"%d" % number, lambda _, error: errors.append(error))
    await until(lambda: len(errors) == 4)
    assert errors[0] is not None
    assert errors[1:] == [None] * 3

    async def all_is_heard() -> None:
        number = 0
        while b"end" not in heard or b"too" not in heard:  # they are subscribed to again, one by one
            number += 1
            channels.publish("ok1", b"end")
            channels.publish("ok2", b"too")
            await asyncio.sleep(0.02)

    async with asyncio.timeout(60):
        await all_is_heard()
    assert b"lost" not in heard
    await channels.close()
    await admin.aclose()


async def test_a_connection_that_is_silent_is_made_anew(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """No end of it ever comes: its network is gone."""
    monkeypatch.setattr("iii.storage.redis_channels._SILENCE_S", 1.0)
    heard: list[bytes] = []
    missed = asyncio.Event()
    channels = RedisChannels(redis_server.url, lambda name, message: heard.append(message), missed.set)
    await channels.open()
    channels.subscribe("t")
    channels.publish("t", b"1")
    await until(lambda: heard == [b"1"])
    admin = await connected(redis_server.url)

    async def pings() -> int:
        answered: int = (await admin.info("commandstats"))["cmdstat_ping"]["calls"]
        return answered

    before = await pings()
    async with asyncio.timeout(60):
        while await pings() < before + 2:  # noqa: ASYNC110  # another process counts
            await asyncio.sleep(0.05)
    assert not missed.is_set()  # it is the same connection
    os.kill(redis_server.pid, signal.SIGSTOP)
    try:
        await until(lambda: "no answer within 1 s" in caplog.text)
    finally:
        os.kill(redis_server.pid, signal.SIGCONT)
    async with asyncio.timeout(60):
        await missed.wait()
    channels.publish("t", b"2")
    await until(lambda: heard[-1] == b"2")
    await channels.close()
    await admin.aclose()
