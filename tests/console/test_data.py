"""Streams, state, configuration (23 check 18, O5)."""

import json
import re
import time
from pathlib import Path

from playwright.sync_api import Browser, expect

import iii
from tests.console.shop import Shop
from tests.console.window import Window


def test_23_check_18_a_stream_is_followed_paused_and_exported(window: Window, shop: Shop) -> None:
    group = f"group {time.monotonic_ns()}"
    page = window.open("/streams")
    page.get_by_label("Stream", exact=True).fill("board")
    page.get_by_label("Group", exact=True).fill(group)
    page.get_by_role("button", name="Subscribe", exact=True).click()
    expect(page.get_by_text("Nothing was sent yet")).to_be_visible()
    shop.call("stream::set", stream_name="board", group_id=group, item_id="one", data={"n": 1})
    expect(page.get_by_role("row", name=re.compile("create one"))).to_be_visible()
    page.get_by_role("button", name="Pause").click()
    shop.call("stream::set", stream_name="board", group_id=group, item_id="two", data={"n": 2})
    expect(page.get_by_text("1 more since the pause")).to_be_visible()
    expect(page.get_by_role("row", name=re.compile("create two"))).to_be_hidden()
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("row", name=re.compile("create two"))).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Export").click()
    exported = json.loads(Path(download.value.path()).read_text())
    assert [event["id"] for event in exported] == ["one", "two"]


def test_23_check_18_after_a_restart_of_the_engine_the_stream_is_followed_again(browser: Browser) -> None:
    with Shop() as shop, Window(browser, shop.url) as window:
        page = window.open("/streams?stream=board&group=one")
        expect(page.get_by_text("Nothing was sent yet")).to_be_visible()
        shop.engine.restart()
        expect(page.get_by_text("Connection lost")).to_be_hidden()

        def seen() -> bool:
            shop.call("stream::set", stream_name="board", group_id="one", item_id="again", data=time.monotonic())
            return page.get_by_role("row", name=re.compile("again")).count() > 0

        shop.until(seen, "an event after the restart")


def test_state_is_edited_only_as_it_was_seen_and_a_deletion_is_undone(window: Window, shop: Shop) -> None:
    scope, key = f"a/b {time.monotonic_ns()}", "x y/ü"
    shop.call("state::set", scope=scope, key=key, value={"n": 1})
    page = window.open("/state")
    page.get_by_role("navigation", name="Scopes").get_by_role("button", name=scope).click()
    page.get_by_role("row", name=key).click()
    details = page.get_by_role("region", name="Details")
    details.get_by_role("button", name="Edit").click()
    details.get_by_label(re.compile("^Value")).fill('{"n": 2}')
    details.get_by_role("button", name="Save…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("group", name="Difference")).to_contain_text('"n": 2')
    shop.call("state::set", scope=scope, key=key, value={"n": 99})
    dialog.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status").filter(has_text="Somebody else changed it")).to_be_visible()
    assert shop.call("state::get", scope=scope, key=key) == {"n": 99}
    dialog.get_by_role("button", name="Cancel").click()
    details.get_by_role("button", name="Cancel").click()
    details.get_by_role("button", name="Delete…").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Undo").click()
    shop.until(lambda: shop.call("state::get", scope=scope, key=key) == {"n": 99}, "the undone deletion")


def test_options_say_where_they_come_from(window: Window) -> None:
    page = window.open("/configuration?q=max_attempts")
    page.get_by_role("row", name=re.compile("max_attempts")).first.click()
    expect(page.get_by_role("region", name="Details")).to_contain_text("iii-queue")


def test_what_is_done_here_stands_in_the_list_of_actions(window: Window, shop: Shop) -> None:
    page = window.open("/access?view=actions")
    shop.call("state::set", scope="audit", key="k", value=1)
    expect(page.get_by_role("row", name=re.compile("state::set")).last).to_contain_text("done")


def test_23_check_30_channels_with_their_creator_and_what_waits(window: Window, shop: Shop) -> None:
    page = window.open("/channels")
    name = f"sender <b>{time.monotonic_ns()}"
    worker = iii.register_worker(shop.engine.url, iii.InitOptions(worker_name=name))
    row = page.get_by_role("row", name=re.compile(re.escape(name)))
    try:
        channel = worker.create_channel()
        expect(row).to_contain_text("between workers")
        row.click()
        details = page.get_by_role("region", name="Details")
        expect(details).to_contain_text(channel.writer_ref.channel_id)
        expect(details).to_contain_text("An end that nobody takes")
    finally:
        worker.shutdown()
    expect(row).to_have_count(0)  # it is there without its creator, who is said to be gone
    expect(details).to_contain_text("(gone)")
