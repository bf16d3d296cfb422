"""Text that attacks, in every field that a worker sets: it is shown as text, in one line, and the page lives."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

import iii
from tests.console.shop import Shop
from tests.console.window import Window

MARKUP = "<img src=x onerror='window.broken=1'>"
BIDI = "invoice\u202egnp.exe\u2066"
CONTROLS = "\x1b[31mred\x00\x07\u200b"
ATTACK = f"{MARKUP}{BIDI}{CONTROLS}"


@pytest.fixture(scope="module")
def attacked(shop: Shop) -> Iterator[Shop]:
    """With a worker whose texts all attack."""
    worker = iii.register_worker(
        shop.engine.url, iii.InitOptions(worker_name=f"evil {MARKUP}", worker_description=ATTACK * 3)
    )

    def answer(_: Any) -> dict[str, Any]:
        return {ATTACK: ATTACK, "long": "x" * 1_000_000, "deep": nested(200)}

    worker.register_function(
        {"id": "evil::answer", "description": ATTACK, "metadata": {ATTACK: [ATTACK]}},
        answer,
        request_format={"type": "object", "properties": {ATTACK: {"type": "string", "description": ATTACK}}},
    )
    worker.register_function({"id": "evil::fail", "description": MARKUP}, failing)
    shop.until(lambda: shop.ask("engine::functions::info", function_id="evil::fail"), "the worker registered")
    yield shop
    worker.shutdown()


def nested(depth: int) -> Any:
    value: Any = ATTACK
    for _ in range(depth):
        value = [value]
    return value


def failing(_: Any) -> None:
    raise ValueError(ATTACK * 1000)


def test_no_text_of_a_worker_becomes_markup_or_turns_the_line_round(browser: Browser, attacked: Shop) -> None:
    with Window(browser, attacked.url) as window:
        page = window.open("/workers?q=evil")
        page.get_by_role("row", name=re.compile("evil")).click()
        expect(page.get_by_role("region", name="Details")).to_contain_text("⟨200B⟩")
        window.open("/functions?id=evil::answer")
        details = page.get_by_role("region", name="Details")
        expect(details).to_contain_text("<img src=x")
        details.get_by_role("button", name=re.compile("^Call")).click()
        expect(page.get_by_role("region", name="Result")).to_contain_text("more characters")
        window.open("/functions?id=evil::fail")
        details.get_by_role("button", name=re.compile("^Call")).click()
        expect(page.get_by_role("region", name="Result")).to_contain_text("␛[31m")
        page.keyboard.press("Control+k")
        expect(page.get_by_role("dialog", name="Go to")).to_be_visible()
        page.keyboard.type("evil")
        expect(page.get_by_role("dialog").get_by_role("option", name=re.compile("evil")).first).to_be_visible()
        assert page.evaluate("window.broken") is None
        assert page.locator("img").count() == 0
        assert "\u202e" not in page.content()
        window.assert_nothing_went_wrong()


def test_no_page_is_broken_by_what_is_kept_logged_or_traced(browser: Browser, attacked: Shop) -> None:
    attacked.call("attack::text", length=1_000_000)
    attacked.call("state::set", scope=ATTACK, key=ATTACK, value={ATTACK: [ATTACK, "x" * 1_000_000]})
    attacked.call("stream::set", stream_name=MARKUP, group_id="all", item_id=ATTACK, data=ATTACK)
    attacked.call("iii::durable::publish", topic="mails", data={ATTACK: ATTACK})
    with Window(browser, attacked.url) as window:
        page = window.open("/logs?q=onerror")
        page.get_by_role("row", name="<img src=x").last.click()
        expect(page.get_by_role("region", name="Details")).to_contain_text("<img src=x")
        window.open("/traces?q=attack::text")
        page.get_by_role("row", name="attack::text").first.click()
        page.get_by_role("treeitem", name="execute attack::text").click()
        expect(page.get_by_role("region", name="Span")).to_contain_text("attack::text")
        window.open("/state")
        page.get_by_role("navigation", name="Scopes").get_by_role("button", name="onerror").first.click()
        page.get_by_role("row", name="onerror").click()
        expect(page.get_by_role("region", name="Details")).to_contain_text("more characters")
        for path in ("/", "/streams", "/queues?queue=mails&tab=dead", "/flow", "/metrics", "/access?view=actions"):
            window.open(path)
        assert page.evaluate("window.broken") is None
        assert page.locator("img").count() == 0
        assert "\u202e" not in page.evaluate("document.body.innerText")
        window.assert_nothing_went_wrong()
