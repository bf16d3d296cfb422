"""What pages are told as it happens (23 §6)."""

from __future__ import annotations

import iii
from tests.integration.console.consoles import Browser, Live, LoopThread, Place


async def test_workers_that_come_and_go(browser: Browser, place: Place) -> None:
    async with browser.live() as live:
        assert (await live.message("hello"))["engine"] == {"connected": True}
        await live.follow(1, "workers")
        await live.until(lambda: "shop" in _names(live))
        assert all("functions" not in row for row in live.rows[1].values())
        options = iii.InitOptions(worker_name="other", otel={"enabled": False})
        async with iii.connect_worker(place.engine.url, options):
            await live.until(lambda: "other" in _names(live))
        await live.until(lambda: "other" not in _names(live))

    assert [each["t"] for each in live.messages].count("reset") == 1


def _names(live: Live) -> set[str]:
    return {row["name"] for row in live.rows.get(1, {}).values()}


async def test_functions_that_are_registered(browser: Browser, worker: LoopThread) -> None:
    async with browser.live() as live:
        await live.follow(1, "functions")
        first = await live.message("changed", 1)
        ref = worker.worker.register_function("late::one", lambda data: data)
        second = await live.message("changed", 1)
        ref.unregister()

    assert second["rev"] > first["rev"]
    assert second["total"] == first["total"] + 1


async def test_log_records_in_their_order(browser: Browser, worker: LoopThread) -> None:
    async with browser.live() as live:
        await live.follow(1, "logs", q="counted record")
        await live.message("reset", 1)
        for number in range(20):
            worker.worker.trigger(
                {"function_id": "engine::log::warn", "payload": {"message": f"counted record {number}"}}
            )
        await live.until(lambda: len(live.appended[1]) == 20)

    assert [row["body"] for row in live.appended[1]] == [f"counted record {number}" for number in range(20)]


async def test_a_call_becomes_a_trace_that_is_told(browser: Browser, worker: LoopThread) -> None:
    async with browser.live() as live:
        await live.follow(1, "traces", key="trace_id", name="math::add", search_all_spans=True)
        await live.message("reset", 1)
        called = await browser.call("math::add", {"a": 1, "b": 2})
        await live.until(lambda: called["trace_id"] in live.rows[1])
        await live.follow(2, "trace", trace_id=called["trace_id"])
        await live.message("changed", 2)

    tree = await browser.ask("engine::traces::tree", {"trace_id": called["trace_id"]})
    assert tree["roots"]


async def test_two_pages_are_told_the_same(browser: Browser) -> None:
    async with browser.live() as one, browser.live() as other:
        for live in (one, other):
            await live.follow(7, "health", key="name")
            await live.message("reset", 7)

    assert one.rows[7]["engine"]["status"] == other.rows[7]["engine"]["status"] == "healthy"


async def test_a_page_that_lost_something_asks_again(browser: Browser) -> None:
    async with browser.live() as live:
        await live.follow(1, "workers")
        first = await live.message("reset", 1)
        await live.follow(1, "workers")
        again = await live.message("reset", 1)

    assert again["rev"] >= first["rev"]
    assert {row["id"] for row in again["rows"]} == {row["id"] for row in first["rows"]}


async def test_what_cannot_be_followed_is_said(browser: Browser) -> None:
    async with browser.live() as live:
        await live.follow(1, "nothing")
        unknown = await live.message("error", 1)
        await live.follow(2, "trace", wrong=1)
        params = await live.message("error", 2)
        await live.socket.send_str("no JSON")
        garbage = await live.message("error")
        for number in range(10, 50):
            await live.follow(number, "health", key="name")
        many = await live.message("error")

    assert unknown["code"] == "UNKNOWN_TOPIC"
    assert params["code"] == "BAD_PARAMS"
    assert garbage["code"] == "BAD_REQUEST"
    assert many["code"] == "TOO_MANY"


async def test_figures_come_every_two_seconds(browser: Browser) -> None:
    async with browser.live() as live:
        await live.follow(1, "metrics", key="at_ms")
        await live.follow(2, "rates", key="function_id")
        await live.message("reset", 1)
        await live.message("reset", 2)
        for _ in range(10):
            await browser.call("math::add", {"a": 1, "b": 2})
        await live.until(lambda: any(row["calls_s"] > 0 for row in live.rows[1].values()))
        await live.until(lambda: (live.rows[2].get("math::add", {}).get("rate") or 0) > 0)


async def test_state_and_streams_that_change(browser: Browser) -> None:
    async with browser.live() as live:
        await live.follow(1, "state", scope="watched")
        await live.follow(2, "stream", stream_name="watched")
        await live.message("changed", 1)
        await live.message("reset", 2)
        await browser.call("state::set", {"scope": "watched", "key": "k", "value": 1})
        changed = await live.message("changed", 1)
        item = {"stream_name": "watched", "group_id": "g", "item_id": "i", "data": {"n": 1}}
        await browser.call("stream::set", item)
        await live.until(lambda: live.appended[2])

    assert changed["keys"] == ["k"]
    assert live.appended[2][0]["event"]["event"] == {"type": "create", "data": {"n": 1}}


async def test_queues_and_actions(browser: Browser, worker: LoopThread) -> None:
    async with browser.live() as live:
        await live.follow(1, "queues", key="name")
        await live.follow(2, "queue", key="name", name="work")
        await live.follow(3, "actions")
        await live.until(lambda: {1, 2, 3} <= live.revs.keys())
        await browser.call("engine::queue::pause", {"queue": "work"})
        await live.until(lambda: live.rows[2]["work"]["paused"])
        await browser.call("engine::queue::resume", {"queue": "work"})
        await live.until(lambda: "engine::queue::resume" in {row["action"] for row in live.appended[3]})

    assert "default" in live.rows[1]
