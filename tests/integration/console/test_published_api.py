"""What the published console asks for, answered without the HTTP module (23 §7)."""

from __future__ import annotations

from typing import Any

from tests.integration.console.consoles import Browser, LoopThread, Place, path_of

API = "/api/engine/_console"
WORKER_KEYS = {
    "id", "name", "namespace", "description", "runtime", "version", "os", "ip_address", "status", "isolation", "connected_at_ms",
    "function_count", "active_invocations", "functions", "latest_metrics", "telemetry", "internal",
}  # fmt: skip


async def test_23_check_5_workers_have_all_keys_and_the_console_is_among_them(browser: Browser) -> None:
    answer = await browser.get(f"{API}/workers")

    assert isinstance(answer.body["timestamp"], int)
    rows = {row["name"]: row for row in answer.body["workers"]}
    assert all(row.keys() >= WORKER_KEYS for row in rows.values())
    assert rows["iii-console"]["description"] == "Web console UI and observability dashboard for the iii engine."
    assert rows["shop"]["runtime"] == "python"
    assert {"pid", "activity"} <= rows["shop"].keys()


async def test_23_check_6_functions_of_the_engine_are_shown_when_asked_for(browser: Browser) -> None:
    hidden = (await browser.get(f"{API}/functions")).body["functions"]
    shown = (await browser.get(f"{API}/functions?include_internal=TRUE")).body["functions"]

    ids = {row["function_id"] for row in hidden}
    assert "math::add" in ids
    assert "engine::queue::list_topics" in ids
    assert not any(each.startswith("engine::") and not each.startswith("engine::queue::") for each in ids)
    internal = {row["function_id"]: row["internal"] for row in shown}
    assert internal["engine::workers::list"] is True
    assert internal["math::add"] is False


async def test_23_check_6_triggers_say_whether_they_are_internal(browser: Browser, worker: LoopThread) -> None:
    worker.worker.register_trigger({"type": "subscribe", "function_id": "shop::takes", "config": {"topic": "seen"}})
    worker.worker.list_triggers()

    rows = (await browser.get(f"{API}/triggers")).body["triggers"]

    assert [row["internal"] for row in rows if row["function_id"] == "shop::takes"] == [False]


async def test_23_7_details_of_a_function(browser: Browser) -> None:
    detail = (await browser.get(f"{API}/functions/{path_of('math::add')}")).body
    unknown = await browser.get(f"{API}/functions/nope")

    assert detail["internal"] is False
    assert {"request_format", "response_format", "registered_triggers"} <= detail.keys()
    assert unknown.status == 502
    assert unknown.body["error"] == "Remote error (NOT_FOUND): Function 'nope' is not registered."


async def test_23_check_7_calls_of_functions(browser: Browser) -> None:
    async def invoke(body: Any) -> tuple[int, Any]:
        answer = await browser.post(f"{API}/invoke", body)
        return answer.status, answer.body

    assert await invoke({"function_id": "math::add", "input": {"a": 1, "b": 2}}) == (200, 3)
    status, body = await invoke({"function_id": "math::fails", "input": {}})
    assert (status, body["error"].startswith("Remote error (invocation_failed): ")) == (502, True)
    status, body = await invoke({"input": {}})
    assert (status, body["error"]) == (500, "Handler error: Missing function_id in request")


async def test_23_check_7_a_function_that_hangs(browser: Browser) -> None:
    """The 30 s of the published route are not waited for: the same wait, with another limit."""
    answer = await browser.call("shop::hangs", {}, timeout_ms=50)

    assert answer["ok"] is False
    assert answer["error"]["code"] == "TIMEOUT"


async def test_23_check_8_state_with_a_slash_and_a_blank(browser: Browser) -> None:
    item = f"{API}/states/{path_of('a/b')}/item"

    stored = await browser.post(item, {"key": "x y", "value": {"n": 1}})
    listed = await browser.post(f"{API}/states/group", {"scope": "a/b"})
    removed = await browser.request("DELETE", f"{item}/{path_of('x y')}")
    gone = await browser.post(f"{API}/states/group", {"scope": "a/b"})

    assert stored.body == {"old_value": None, "new_value": {"n": 1}}
    assert listed.body == {"items": [{"n": 1}], "count": 1}
    assert removed.body == {"n": 1}
    assert gone.body == {"items": [], "count": 0}


async def test_23_check_9_scopes_with_counts(browser: Browser) -> None:
    for key in ("one", "two"):
        await browser.post(f"{API}/states/counted/item", {"key": key, "value": 1})

    body = (await browser.get(f"{API}/states/groups")).body

    assert {"id": "counted", "count": 2} in body["groups"]
    assert body["count"] == len(body["groups"])


async def test_23_check_10_streams_with_groups(browser: Browser) -> None:
    for stream, group in (("iii:devtools", "all"), ("chat", "room")):
        asked = {"stream_name": stream, "group_id": group, "item_id": "1", "data": {}}
        assert (await browser.call("stream::set", asked))["ok"]

    rows = {row["id"]: row for row in (await browser.get(f"{API}/streams/list")).body["streams"]}

    assert rows["iii:devtools"]["internal"] is True
    assert rows["iii:devtools"]["type"] == "system"
    assert rows["chat"]["groups"] == ["room"]
    assert rows["chat"]["internal"] is False


async def test_23_check_11_a_published_message_arrives(browser: Browser, worker: LoopThread) -> None:
    worker.worker.register_trigger({"type": "queue", "function_id": "shop::takes", "config": {"topic": "orders"}})
    worker.worker.list_triggers()

    answer = await browser.post(f"{API}/queues/orders/publish", {"data": {"n": 1}})

    assert answer.body == {"message": "Message published", "topic": "orders"}
    assert worker.wait_for(lambda data: data == {"n": 1}) == {"n": 1}
    detail = (await browser.get(f"{API}/queues/orders")).body
    assert detail["topic"] == "orders"
    assert {"depth", "consumer_count", "dlq_depth"} <= detail["stats"].keys()


async def test_23_check_11_dead_letters(browser: Browser, place: Place) -> None:
    enqueue = {"type": "enqueue", "queue": "work"}
    for reason in ("first", "second", "third"):
        assert (await browser.call("shop::takes", {"bad": reason}, action=enqueue))["ok"]
    letters = await _letters(browser, 3)

    letter = letters[0]
    assert {"id", "error", "retries", "failed_at", "size_bytes", "payload"} <= letter.keys()
    one = (await browser.post(f"{API}/dlq/work/messages/{letter['id']}/redrive")).body
    assert one == {"queue": "work", "message_id": letter["id"], "redriven": 1}
    letters = await _letters(browser, 3)
    dropped = (await browser.request("DELETE", f"{API}/dlq/work/messages/{letters[0]['id']}/discard")).body
    assert dropped["redriven"] == 1
    unknown = (await browser.request("DELETE", f"{API}/dlq/work/messages/nope/discard")).body
    assert unknown["redriven"] == 0
    everything = (await browser.post(f"{API}/dlq/work/redrive")).body
    assert everything == {"queue": "work", "redriven": 2}
    await _letters(browser, 2)
    topics = (await browser.get(f"{API}/dlq")).body["topics"]
    assert [row["message_count"] for row in topics if row["topic"] == "work"] == [2]


async def _letters(browser: Browser, count: int) -> list[dict[str, Any]]:
    """Once there are so many."""
    while True:
        found: list[dict[str, Any]] = (await browser.post(f"{API}/dlq/work/messages", {})).body["messages"]
        if len(found) == count:
            return found


async def test_23_check_12_a_schedule_runs_now(browser: Browser, worker: LoopThread) -> None:
    worker.worker.register_trigger(
        {"type": "cron", "function_id": "shop::takes", "config": {"expression": "0 0 3 1 1 *"}}
    )
    worker.worker.register_trigger(
        {"type": "http", "function_id": "shop::takes", "config": {"api_path": "/takes", "http_method": "POST"}}
    )
    worker.worker.list_triggers()
    rows = (await browser.get(f"{API}/triggers")).body["triggers"]
    ids = {row["trigger_type"]: row["id"] for row in rows if row["function_id"] == "shop::takes"}

    fired = (await browser.post(f"{API}/cron/trigger", {"trigger_id": ids["cron"]})).body
    unknown = await browser.post(f"{API}/cron/trigger", {"trigger_id": "nope"})
    wrong = await browser.post(f"{API}/cron/trigger", {"trigger_id": ids["http"]})

    assert (fired["trigger_id"], fired["function_id"]) == (ids["cron"], "shop::takes")
    assert fired["result"]["manual"] is True
    assert fired["result"]["source"] == "console"
    assert (unknown.status, unknown.body["error"]) == (500, "Handler error: Cron trigger 'nope' not found")
    assert wrong.body["error"] == f"Handler error: Trigger '{ids['http']}' is not a cron trigger"


async def test_23_check_13_flow_layouts(browser: Browser) -> None:
    bad = await browser.get(f"{API}/flows/config/a%20b")
    nothing = await browser.get(f"{API}/flows/config/other")
    saved = await browser.post(f"{API}/flows/config/mine", {"id": "mine", "config": {"a.py": {"x": 1, "y": 2}}})
    found = await browser.get(f"{API}/flows/config/mine")

    assert bad.body["error"] == "Handler error: Invalid flow_id: a b"
    assert nothing.body == {"id": "other", "config": {}}
    assert saved.body == {"message": "Flow config saved successfully"}
    assert found.body == {"id": "mine", "config": {"a.py": {"x": 1, "y": 2}}}


async def test_23_check_23_health_has_its_components(browser: Browser) -> None:
    body = (await browser.get(f"{API}/health")).body

    assert body["status"] == "healthy"
    assert {"otel", "metrics", "logs", "spans"} <= body["components"].keys()


async def test_O7_an_event_is_emitted(browser: Browser, worker: LoopThread) -> None:
    worker.worker.register_trigger({"type": "subscribe", "function_id": "shop::takes", "config": {"topic": "news"}})
    worker.worker.list_triggers()

    answer = await browser.post(f"{API}/emit", {"topic": "news", "data": {"emitted": 1}})

    assert answer.status == 200
    assert worker.wait_for(lambda data: data == {"emitted": 1})


async def test_O6_adapters_are_the_modules_that_run(browser: Browser) -> None:
    body = (await browser.get(f"{API}/adapters")).body

    modules = {row["id"] for row in body["adapters"] if row["type"] == "module"}
    assert {"iii-http", "iii-queue", "iii-console", "iii-observability"} <= modules
    assert {"python"} == {row["id"] for row in body["adapters"] if row["type"] == "worker_pool"}


async def test_23_7_functions_of_the_console_answer_callers(browser: Browser, worker: LoopThread) -> None:
    """O4: they are registered always, and answer as functions behind routes do."""
    shown = worker.worker.trigger({"function_id": "engine::console::status", "payload": {}})
    nothing = worker.worker.trigger({"function_id": "engine::console::state_group_items", "payload": {}})
    detail = worker.worker.trigger(
        {"function_id": "engine::console::function_detail", "payload": {"path_params": {"function_id": "math::add"}}}
    )

    assert shown["body"]["status"] == "running"
    assert shown["headers"] == []
    assert nothing["body"] == {"error": "Handler error: Missing scope in request"}
    assert nothing["status_code"] == 500
    assert detail["body"]["function_id"] == "math::add"
