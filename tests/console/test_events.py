"""Triggers and queues (23 checks 16, 17, 19)."""

import json
import re
import time

from playwright.sync_api import Locator, Page, expect

import iii
from tests.console.shop import Shop
from tests.console.window import Window


def opened(page: Page, name: str) -> Locator:
    """The details of the trigger that the list shows under this name."""
    page.get_by_role("row", name=name).click()
    return page.get_by_role("region", name="Details")


def test_23_check_16_an_http_trigger_is_tried_with_its_parameters(window: Window) -> None:
    page = window.open("/triggers")
    details = opened(page, "GET /users/:id")
    details.get_by_role("button", name="Send").click()
    expect(details.get_by_role("alert")).to_have_text("Missing path parameter: id")
    details.get_by_label(":id").fill("a b")
    details.get_by_role("button", name="Send").click()
    response = page.get_by_role("region", name="Response")
    expect(response).to_contain_text("200")
    expect(response).to_contain_text('"a b"')


def test_23_check_16_a_schedule_reads_right_and_is_fired_by_hand(window: Window, shop: Shop) -> None:
    page = window.open("/triggers")
    details = opened(page, "cron::count")
    expect(details).to_contain_text("06:00")
    expect(details.get_by_role("listitem").first).to_contain_text(re.compile(r" 06:00:00|:00:00"))
    details.get_by_role("button", name="Fire now…").click()
    page.get_by_role("dialog").get_by_role("button", name="Fire now").click()
    expect(page.get_by_role("status").filter(has_text="fired")).to_be_visible()
    shop.until(lambda: any(log["body"] == "counted" for log in shop.ask("engine::logs::list")["logs"]), "the cron job")


def test_23_check_17_a_message_that_is_emitted_reaches_the_function(window: Window, shop: Shop) -> None:
    page = window.open("/triggers")
    details = opened(page, "orders.counted")
    mark = f"mark {time.monotonic_ns()}"
    details.get_by_label("Data (JSON)").fill(json.dumps({"mark": mark}))
    details.get_by_role("button", name="Emit").click()
    expect(page.get_by_role("status").filter(has_text="publish")).to_be_visible()
    shop.until(lambda: mark in json.dumps(shop.ask("engine::logs::list")["logs"]), "the subscriber")


def test_23_check_19_queues_by_keyboard_and_a_dead_letter_with_its_reason(window: Window, shop: Shop) -> None:
    shop.call("iii::durable::publish", topic="mails", data={"number": 0})
    shop.until(lambda: shop.ask("engine::queue::topic_stats", topic="mails")["dlq_depth"] > 0, "a dead letter")
    page = window.open("/queues?q=mails")
    expect(page.get_by_role("row", name=re.compile("mails"))).to_be_visible()
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    details = page.get_by_role("region", name="Details")
    expect(details).to_contain_text("mails")
    page.keyboard.press("2")
    expect(details.get_by_role("tab", name=re.compile("Dead letters"))).to_have_attribute("aria-selected", "true")
    expect(details.get_by_role("list", name="Reasons")).to_contain_text("no address")
    details.get_by_role("button", name=re.compile("no address.*B ")).first.click()
    details.get_by_role("button", name="Redrive…").first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("tried again from its first attempt")
    dialog.get_by_role("button", name="Redrive").click()
    expect(dialog).to_be_hidden()


def test_23_check_19_a_queue_that_comes_is_shown_without_a_reload(window: Window, shop: Shop) -> None:
    page = window.open("/queues")
    name = f"fresh-{time.monotonic_ns()}"
    expect(page.get_by_role("row", name=re.compile("mails"))).to_be_visible()
    worker = iii.register_worker(shop.engine.url, iii.InitOptions(worker_name="subscriber"))
    try:
        worker.register_function("fresh::take", lambda data: None)
        worker.register_trigger({"type": "durable:subscriber", "function_id": "fresh::take", "config": {"topic": name}})
        expect(page.get_by_role("row", name=re.compile(name))).to_be_visible()
    finally:
        worker.shutdown()


def test_23_check_34_a_trigger_of_any_type_is_fired_with_an_event(window: Window) -> None:
    page = window.open("/triggers?q=counted&type=subscribe")
    page.get_by_role("row", name=re.compile("counted")).click()
    details = page.get_by_role("region", name="Details")
    details.get_by_label("Event (JSON)").fill('{"orders": 1e400}')
    details.get_by_role("button", name="Fire", exact=True).click()
    expect(details.get_by_role("alert")).to_contain_text("nothing was called")
    details.get_by_label("Event (JSON)").fill('{"orders": 7}')
    details.get_by_role("button", name="Fire", exact=True).click()
    expect(page.get_by_role("region", name="Result")).to_contain_text("Success")


def test_23_check_34_a_job_shows_its_payload_and_a_stream_who_follows_it(window: Window, shop: Shop) -> None:
    letter = shop.until(lambda: shop.ask("engine::queue::dlq_messages", topic="mails", limit=1), "a dead letter")[0]
    page = window.open(f"/queues?job={letter['id']}")
    expect(page.get_by_role("region", name="Details")).to_contain_text("number:")
    window.open("/streams?stream=orders&group=all&view=subscribers")
    expect(page.get_by_text("Nobody follows this group")).to_be_visible()


def test_23_check_34_an_event_begins_with_what_the_type_of_the_trigger_says(window: Window) -> None:
    page = window.open("/triggers")
    details = opened(page, "GET /users/:id")
    expect(details.get_by_label("Event (JSON)")).to_have_value(
        re.compile(r'"path_params": \{\}.*"path": "/users/:id"', re.DOTALL)
    )
    details = opened(page, "cron::count")
    expect(details.get_by_label("Event (JSON)")).to_have_value(re.compile('"scheduled_time"'))
    details.get_by_role("button", name="Fire", exact=True).click()
    expect(page.get_by_role("region", name="Result")).to_contain_text("Success")
