"""Lists with filters and pages, and what is put together for pages (23 §5)."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

import pytest

import iii
from tests.integration.console.consoles import Browser, LoopThread, Place, eventually

HOSTILE = "<img src=x onerror=alert(1)>\u202egnp\u0000\u0007 \ud7ff'\"`${7*7}"


async def test_workers_by_page(browser: Browser, place: Place) -> None:
    options = [iii.InitOptions(worker_name=f"fleet {n:02}", otel={"enabled": False}) for n in range(3)]
    async with AsyncExitStack() as fleet:
        for each in options:
            await fleet.enter_async_context(iii.connect_worker(place.engine.url, each))
        page = (await browser.get("/api/v1/workers?q=FLEET&limit=2&offset=1&sort=name")).body

    assert page["total"] == 3
    assert [row["name"] for row in page["rows"]] == ["fleet 01", "fleet 02"]
    assert {"value": "python", "count": 4} in page["runtimes"]
    assert "functions" not in page["rows"][0]


async def test_23_check_32_functions_of_modules_are_left_out_on_demand(browser: Browser) -> None:
    page = (await browser.get("/api/v1/functions?engine=false&limit=500")).body
    whole = (await browser.get("/api/v1/functions?limit=500")).body

    ids = {row["function_id"] for row in page["rows"]}
    assert "math::add" in ids
    assert "state::set" not in ids
    assert page["hidden"] > whole["hidden"]
    assert "state::set" in {row["function_id"] for row in whole["rows"]}


async def test_functions_are_found_by_text_group_and_worker(browser: Browser) -> None:
    await browser.call("math::add", {"a": 1, "b": 2})
    await browser.call("math::fails", {})

    page = (await browser.get("/api/v1/functions?group=math&sort=calls&order=desc")).body
    none = (await browser.get("/api/v1/functions?q=no-such-function")).body

    rows = {row["function_id"]: row for row in page["rows"]}
    assert rows.keys() == {"math::add", "math::fails"}
    assert rows["math::add"]["description"] == "Add numbers."
    assert rows["math::fails"]["errors"] >= 1
    assert rows["math::add"]["p95_ms"] > 0
    assert {"value": "math", "count": 2} in page["groups"]
    assert (none["rows"], none["total"]) == ([], 0)


async def test_one_function_with_who_calls_it(browser: Browser, worker: LoopThread) -> None:
    def chain(data: Any) -> Any:
        return worker.worker.trigger({"function_id": "math::add", "payload": {"a": 1, "b": 2}})

    worker.worker.register_function("shop::chain", chain)
    worker.worker.list_functions()
    called = await browser.call("shop::chain", {})
    assert called["ok"], called

    body = await eventually(lambda: browser.get("/api/v1/function?id=math::add"), lambda found: found["callers"])

    assert {"kind": "function", "label": "shop::chain"}.items() <= body["callers"][0].items()
    assert body["may_call"] is True
    assert body["figures"]["calls"] >= 1
    nodes = {node["id"] for node in (await browser.get("/api/v1/flow?minutes=5")).body["nodes"]}
    assert {"function:shop::chain", "function:math::add"} <= nodes


async def test_triggers_say_what_they_mean(browser: Browser, worker: LoopThread) -> None:
    for kind, config in (
        ("http", {"api_path": "items/:id/*rest", "http_method": "POST"}),
        ("cron", {"expression": "0 0 9 * * mon-fri", "timezone": "Europe/Berlin"}),
        ("subscribe", {"topic": "told"}),
    ):
        worker.worker.register_trigger({"type": kind, "function_id": "shop::hangs", "config": config})
    worker.worker.list_triggers()

    page = (await browser.get("/api/v1/triggers?function_id=shop::hangs")).body

    rows = {row["trigger_type"]: row for row in page["rows"]}
    assert rows["http"]["http"] == {"method": "POST", "path": "/items/:id/*rest", "params": ["id", "rest"]}
    assert rows["cron"]["cron"]["text"] == "At 09:00, Monday through Friday (Europe/Berlin)"
    assert len(rows["cron"]["cron"]["next"]) == 5
    assert rows["subscribe"]["topic"] == "told"
    assert rows["http"]["summary"] == "POST /items/:id/*rest"
    assert all(row["state"] == "active" for row in rows.values())


async def test_schedules_of_a_day(browser: Browser, worker: LoopThread) -> None:
    """The seconds count: six fields are read as such."""
    worker.worker.register_trigger(
        {"type": "cron", "function_id": "math::fails", "config": {"expression": "30 0 */6 * * *"}}
    )
    worker.worker.list_triggers()
    day_ms = 86_400_000
    begin = 1_800_057_600_000  # midnight in UTC

    body = (await browser.get(f"/api/v1/schedules?from={begin}&to={begin + day_ms}")).body

    row = next(row for row in body["rows"] if row["function_id"] == "math::fails")
    assert [(at - begin) // 1000 for at in row["at"]] == [30 + 21_600 * n for n in range(4)]
    assert (await browser.get(f"/api/v1/schedules?from={begin}&to={begin - 1}")).status == 400


async def test_state_by_page_with_keys_and_values(browser: Browser) -> None:
    for number in range(5):
        await browser.call("state::set", {"scope": "paged", "key": f"k{number}", "value": {"n": number}})
    await browser.call("state::set", {"scope": "paged", "key": "large", "value": "x" * 20_000})

    page = (await browser.get("/api/v1/state/entries?scope=paged&prefix=k&offset=3&limit=10")).body
    large = (await browser.get("/api/v1/state/entries?scope=paged&q=large")).body["rows"][0]
    whole = (await browser.get("/api/v1/state/entry?scope=paged&key=large")).body
    gone = (await browser.get("/api/v1/state/entry?scope=paged&key=nope")).body
    listed = (await browser.get("/api/v1/state?q=paged")).body

    assert [(row["key"], row["value"]) for row in page["rows"]] == [("k3", {"n": 3}), ("k4", {"n": 4})]
    assert page["total"] == 5
    assert (large["cut"], len(large["preview"])) == (True, 500)
    assert len(whole["value"]) == 20_000
    assert gone["exists"] is False
    assert listed["rows"] == [{"scope": "paged", "count": 6}]


async def test_dead_letters_by_what_they_died_of(browser: Browser, worker: LoopThread) -> None:
    enqueue = {"type": "enqueue", "queue": "work"}
    await browser.call("engine::queue::purge", {"queue": "work"})
    for reason in ("no card 17", "no card 4711", "address unknown"):
        await browser.call("shop::takes", {"bad": reason}, action=enqueue)
    page = await eventually(lambda: browser.get("/api/v1/dead?name=work"), lambda found: found["total"] >= 3)

    group = next(each for each in page["groups"] if "no card" in each["reason"])
    assert group["count"] == 2
    found = (await browser.get("/api/v1/dead?name=work&q=card%204711")).body
    assert found["total"] == 1
    asked = {"queue": "work", "do": "redrive", "reason": group["reason"]}
    dry = (await browser.post("/api/v1/dead/handle", {**asked, "dry_run": True})).body
    assert dry == {"matched": 2, "done": 0, "failed": 0}
    done = (await browser.post("/api/v1/dead/handle", {**asked, "do": "discard"})).body
    assert done == {"matched": 2, "done": 2, "failed": 0}
    assert (await browser.get("/api/v1/dead?name=work")).body["total"] == page["total"] - 2
    assert (await browser.post("/api/v1/dead/handle", {"queue": "work", "do": "discard"})).status == 400
    story = (await browser.get(f"/api/v1/job?id={found['rows'][0]['id']}")).body
    assert "job_not_found" in story["error"]


async def test_the_story_of_a_job(browser: Browser, worker: LoopThread) -> None:
    called = await browser.call("shop::takes", {"bad": "for a story"}, action={"type": "enqueue", "queue": "work"})
    job_id = called["result"]["messageReceiptId"]

    story = await eventually(
        lambda: browser.get(f"/api/v1/job?id={job_id}"),
        lambda found: found["job"]["state"] == "dead" and found["spans"],
    )

    assert "for a story" in story["dead"]["error"]
    assert story["job"]["queue"] == "work"
    assert called["trace_id"] in story["traces"]


async def test_queues_with_their_figures(browser: Browser) -> None:
    rows = {row["name"]: row for row in (await browser.get("/api/v1/queues")).body["rows"]}

    assert {"depth", "in_flight", "delayed", "dlq_depth", "consumer_count", "paused", "broker_type"} <= rows[
        "work"
    ].keys()
    assert (await browser.get("/api/v1/queue?name=work")).body["name"] == "work"
    assert (await browser.get("/api/v1/queue")).status == 400


async def test_the_overview_and_what_changed(browser: Browser) -> None:
    body = (await browser.get("/api/v1/overview")).body

    assert body["health"]["status"] == "healthy"
    assert body["workers"]["total"] >= 1
    assert body["calls"]["total"] >= 0
    assert {"engine.ready", "worker.announced"} <= {each["event"] for each in body["changes"]}


async def test_the_configuration_with_where_values_are_from(browser: Browser, place: Place) -> None:
    options = (await browser.get("/api/v1/config")).body["options"]

    row = next(each for each in options if (each["module"], each["key"]) == ("iii-http", "port"))
    assert row["value"] == place.http
    assert row["origin"].startswith(str(place.engine.config_path))


async def test_actions_are_listed_with_the_latest_first(browser: Browser) -> None:
    await browser.call("state::set", {"scope": "acted", "key": "k", "value": 1})
    await browser.call("math::fails", {})

    rows = (await browser.get("/api/v1/actions?limit=2")).body["rows"]

    assert [(row["action"], row["ok"]) for row in rows] == [("math::fails", False), ("state::set", True)]
    assert rows[1]["target"] == "scope=acted key=k"
    assert rows[1]["address"] == "127.0.0.1"


@pytest.mark.parametrize(
    "path",
    [
        "workers?limit=x",
        "workers?sort=nope",
        "functions?offset=-1",
        "triggers?sort=x",
        "function",
        "state/entries",
        "dead",
    ],
)
async def test_wrong_parameters_are_named(browser: Browser, path: str) -> None:
    answer = await browser.get(f"/api/v1/{path}")

    assert answer.status == 400
    assert answer.body["error"]


async def test_texts_that_attack_are_only_texts(browser: Browser, place: Place) -> None:
    """Whatever a worker says of itself comes out as it went in, as JSON and never as a page."""
    options = iii.InitOptions(worker_description=HOSTILE, otel={"enabled": False})
    async with iii.connect_worker(place.engine.url, options) as hostile:
        named = {"name": HOSTILE, "runtime": "python"}  # as a worker of another maker may call itself: ours refuses it
        await hostile.trigger_async({"function_id": "engine::workers::register", "payload": named})
        hostile.register_function(
            "hostile::f", lambda data: data, description=HOSTILE * 100, metadata={HOSTILE: HOSTILE}
        )
        await hostile.list_functions_async()
        function = await browser.get("/api/v1/functions?q=hostile::")
        workers = await browser.get("/api/v1/workers?q=onerror")

    for answer in (function, workers):
        assert answer.headers["Content-Type"].startswith("application/json")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert function.body["rows"][0]["metadata"] == {HOSTILE: HOSTILE}
    assert "onerror" in workers.body["rows"][0]["name"]
