"""Queues: jobs by state over time, and a dead letter whose payload is mended (23 checks 28, 29)."""

from __future__ import annotations

import re
import time

from playwright.sync_api import expect

from tests.console.shop import Shop
from tests.console.window import Window


def test_23_check_28_jobs_by_state_in_numbers_and_over_time(window: Window, shop: Shop) -> None:
    mark = f"job-{time.monotonic_ns()}"
    jobs = {f"{mark}-waits": {}, f"{mark}-later": {"delay_ms": 600_000}}
    for job, more in jobs.items():
        shop.call(
            "engine::queue::enqueue", queue="default", function_id=f"nobody::{mark}", messageReceiptId=job, **more
        )
    try:
        page = window.open("/queues?queue=default")
        details = page.get_by_role("region", name="Details")
        expect(
            details.get_by_role("img", name=re.compile("^Jobs by state: waiting [1-9].*delayed [1-9]"))
        ).to_be_visible()
        expect(
            details.get_by_role("img", name=re.compile(r"^Age of the oldest job: oldest job [\d.]+\s\w+"))
        ).to_be_visible()
        page.keyboard.press("3")
        listed = details.get_by_role("list", name="Jobs")
        expect(listed.get_by_role("link", name=re.compile(f"nobody::{mark}.*since"))).to_be_visible()
        details.get_by_role("button", name=re.compile("^delayed")).click()
        expect(page).to_have_url(re.compile("state=delayed"))
        listed.get_by_role("link", name=re.compile(f"nobody::{mark}.*due")).click()
        expect(details).to_contain_text(f"{mark}-later")
    finally:
        for job in jobs:
            shop.call("engine::queue::cancel", id=job)


def test_23_check_29_a_dead_letter_is_redriven_with_a_mended_payload(window: Window, shop: Shop) -> None:
    mark = f"letter {time.monotonic_ns()}"
    shop.call("iii::durable::publish", topic="mails", data={"mark": mark, "to": ""})
    page = window.open(f"/queues?queue=mails&tab=dead&dq={mark}")
    details = page.get_by_role("region", name="Details")
    details.get_by_role("button", name=re.compile("no address.*B ")).click()
    details.get_by_role("button", name="Edit…").click()
    dialog = page.get_by_role("dialog")
    payload = dialog.get_by_label("Payload (JSON)")
    redrive = dialog.get_by_role("button", name="Redrive")
    expect(redrive).to_be_disabled()  # nothing is changed
    payload.fill('{"mark": ')
    expect(dialog).to_contain_text("This is not JSON")
    expect(redrive).to_be_disabled()
    payload.fill(f'{{"mark": "{mark}", "to": "ada@example.org"}}')
    expect(dialog.get_by_role("group", name="Difference")).to_contain_text("ada@example.org")
    window.screen("queue-edit")
    redrive.click()
    expect(dialog).to_be_hidden()
    expect(details).to_contain_text("No dead letter matches")
    letters = shop.ask("engine::queue::dlq_messages", topic="mails", limit=200)
    assert mark not in str(letters)
    window.open("/access?view=actions")
    expect(page.get_by_role("row", name=re.compile("queue::redrive_edited.*mails")).last).to_contain_text("done")
