"""A worker of Node (the published SDK) on every page, and what is done to it there (23 checks 14 to 22)."""

import json
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.compat.drivers import Driver
from tests.compat.environments import Client
from tests.compat.fleet import require
from tests.console.shop import Shop
from tests.console.window import Window

NODE = Client("node", "0.22.1")
pytestmark = [pytest.mark.node, pytest.mark.published, pytest.mark.timeout(600)]

TRIGGERS = {
    "route": {"type": "http", "function_id": "node::web", "config": {"api_path": "node/:id", "http_method": "GET"}},
    "schedule": {"type": "cron", "function_id": "node::tick", "config": {"expression": "0 0 5 * * *"}},
    "topic": {"type": "subscribe", "function_id": "node::hear", "config": {"topic": "node.topic"}},
    "jobs": {"type": "durable:subscriber", "function_id": "node::fail", "config": {"topic": "node-mails"}},
}


@pytest.fixture(scope="module")
def node(shop: Shop) -> Iterator[Driver]:
    """Connected, with a function of each kind and what triggers them."""
    require(NODE)
    with Driver(NODE, telemetry_url=shop.engine.url) as worker:
        worker.connect(shop.engine.url, "node shop", otel={"enabled": True})
        for name in ("echo", "tick", "hear"):
            worker.register(f"node::{name}", "echo", description=f"{name} of Node")
        for name, kind in (("fail", "fail"), ("relay", "relay"), ("web", "http_json")):
            worker.register(f"node::{name}", kind)
        for name, trigger in TRIGGERS.items():
            worker.ask("register_trigger", name=name, trigger=trigger)
        worker.discover("functions")  # answered when everything is registered
        yield worker


def details_of(page: Page, row: str) -> Any:
    page.get_by_role("row", name=row).click()
    return page.get_by_role("region", name="Details")


def test_23_check_14_it_is_shown_with_its_runtime_and_disconnected_and_back(
    window: Window, shop: Shop, node: Driver
) -> None:
    page = window.open("/workers?q=node")
    details = details_of(page, "node shop")
    expect(details.locator(".runtime")).to_have_text("NODE 0.22.1")
    expect(details).to_contain_text(re.compile(rf"PID\s*{node.pid}"))
    expect(details.get_by_role("link", name="node::echo")).to_be_visible()
    before = next(row["id"] for row in shop.ask("engine::workers::list")["workers"] if row["name"] == "node shop")
    details.get_by_role("button", name="Disconnect…").click()
    page.get_by_role("dialog").get_by_role("button", name="Disconnect", exact=True).click()
    expect(page.get_by_text(re.compile("node shop is disconnected"))).to_be_visible()

    def back() -> bool:
        rows = [row for row in shop.ask("engine::workers::list")["workers"] if row["name"] == "node shop"]
        return len(rows) == 1 and rows[0]["id"] != before and rows[0]["function_count"] == 6

    shop.until(back, "the worker of Node is back")
    window.open("/workers?q=node")
    expect(details_of(page, "node shop").get_by_role("link", name="node::echo")).to_be_visible()


def test_23_check_15_its_functions_are_called_and_enqueued(window: Window, node: Driver) -> None:
    page = window.open("/functions?id=node::echo")
    details = page.get_by_role("region", name="Details")
    expect(details).to_contain_text("echo of Node")
    mark = f"mark {time.monotonic_ns()}"
    details.get_by_label("Input (JSON)").fill(json.dumps({"mark": mark}))
    details.get_by_role("button", name=re.compile("^Call Ctrl")).click()
    expect(page.get_by_role("region", name="Result")).to_contain_text(mark)
    details.get_by_text("How it is called").click()
    details.get_by_role("button", name="Enqueue as a job").click()
    details.get_by_label("Input (JSON)").fill(json.dumps({"mark": f"{mark} again"}))
    details.get_by_role("button", name=re.compile("^Enqueue Ctrl")).click()
    node.handled("node::echo", mark=f"{mark} again")
    window.open("/functions?id=node::fail")
    details.get_by_label("Input (JSON)").fill('{"text": "no tea"}')
    details.get_by_role("button", name=re.compile("^Call Ctrl")).click()
    result = page.get_by_role("region", name="Result")
    expect(result).to_contain_text("no tea")
    expect(result).to_contain_text("driver.cjs")  # its stack


def test_23_checks_16_and_17_its_triggers_are_tried_fired_and_emitted(window: Window, node: Driver) -> None:
    page = window.open("/triggers?q=node")
    details = details_of(page, "GET /node/:id")
    details.get_by_label(":id").fill("tea")
    details.get_by_role("button", name="Send").click()
    response = page.get_by_role("region", name="Response")
    expect(response).to_contain_text("201")
    expect(response).to_contain_text('"tea"')
    details_of(page, "node::tick").get_by_role("button", name="Fire now…").click()
    page.get_by_role("dialog").get_by_role("button", name="Fire now").click()
    node.handled("node::tick", manual=True)
    details = details_of(page, "node.topic")
    mark = f"mark {time.monotonic_ns()}"
    details.get_by_label("Data (JSON)").fill(json.dumps({"mark": mark}))
    details.get_by_role("button", name="Emit").click()
    node.handled("node::hear", mark=mark)


def test_23_check_19_its_jobs_die_with_their_reason_and_are_redriven(window: Window, shop: Shop, node: Driver) -> None:
    mark = f"mark {time.monotonic_ns()}"
    shop.call("iii::durable::publish", topic="node-mails", data={"text": "no stamp", "mark": mark})
    page = window.open(f"/queues?queue=node-mails&tab=dead&dq={mark}")
    details = page.get_by_role("region", name="Details")
    details.get_by_role("button", name=re.compile("no stamp.*B ")).first.click()
    before = len([event for event in node.events if event.get("function_id") == "node::fail"])
    details.get_by_role("button", name="Redrive…").first.click()
    page.get_by_role("dialog").get_by_role("button", name="Redrive").click()
    expect(page.get_by_role("dialog")).to_be_hidden()
    shop.until(
        lambda: len([event for event in node.events if event.get("function_id") == "node::fail"]) > before,
        "the job again",
    )


def test_23_checks_20_and_22_its_spans_and_logs_are_shown_and_the_map_has_its_calls(
    window: Window, shop: Shop, node: Driver
) -> None:
    mark = f"mark {time.monotonic_ns()}"
    node.call("node::relay", {"to": "node::echo", "payload": {"mark": mark}})
    node.ask("log", message=f"Node says {mark}", data={"pieces": 3})
    page = window.open("/traces?q=node::relay")
    page.get_by_role("row", name=re.compile("node::relay")).first.click()
    tree = page.get_by_role("tree", name="Spans")
    expect(tree.get_by_role("treeitem", name=re.compile("node::echo"))).to_be_visible()
    window.open(f"/logs?q={mark}")
    row = page.get_by_role("row", name=re.compile(mark))
    expect(row).to_contain_text("iii-node")
    row.click()
    expect(page.get_by_role("region", name="Details")).to_contain_text("pieces")
    window.open("/flow")
    expect(page.get_by_role("group", name="function node::relay")).to_be_visible()
    expect(page.get_by_role("group", name="Edge from function:node::relay to function:node::echo")).to_be_attached()
    window.open("/functions?id=node::echo")
    page.get_by_role("tab", name="Triggers and callers").click()
    expect(page.get_by_role("tabpanel")).to_contain_text("node::relay")


def test_23_check_18_what_it_sets_is_seen_on_the_pages_of_data(window: Window, node: Driver) -> None:
    group, key = f"group {time.monotonic_ns()}", f"key {time.monotonic_ns()}"
    page = window.open(f"/streams?stream=node&group={group}")
    expect(page.get_by_text("Nothing was sent yet")).to_be_visible()
    node.call("stream::set", {"stream_name": "node", "group_id": group, "item_id": "one", "data": {"n": 1}})
    expect(page.get_by_role("row", name=re.compile("create one"))).to_be_visible()
    window.open("/state?scope=node")
    node.call("state::set", {"scope": "node", "key": key, "value": {"by": "Node"}})
    expect(page.get_by_role("row", name=re.compile(key))).to_contain_text("Node")
    window.open("/access?q=node")
    expect(page.get_by_role("row", name=re.compile("node shop"))).to_contain_text("127.0.0.1")


def test_23_check_14_it_is_drained_from_its_page(window: Window, shop: Shop) -> None:
    require(NODE)
    with Driver(NODE, telemetry_url=shop.engine.url) as worker:
        worker.connect(shop.engine.url, "node leaver")
        worker.register("leavers::slow", "slow")
        worker.discover("functions")
        running = worker.start_call("leavers::slow", {"seconds": 2})
        worker.handled("leavers::slow")
        page = window.open("/workers?q=leaver")
        details = details_of(page, "node leaver")
        details.get_by_role("button", name="Drain…").click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text(re.compile("Its [01] running calls? may finish"))
        dialog.get_by_role("button", name="Drain", exact=True).click()
        expect(page.get_by_text("node leaver has left: everything it ran has ended.")).to_be_visible()
        assert running.result(60) == "late"
        expect(page.get_by_role("row", name=re.compile("draining.*node leaver"))).to_be_visible()
