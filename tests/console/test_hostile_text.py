"""Text that attacks, in every field that a worker sets: it is shown as text, in one line, and the page lives (23 §9)."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.console.attacker import ATTACK, MARKUP, NAMED, TRACE
from tests.console.shop import Shop
from tests.console.window import Window
from tests.processes import LineProcess

pytestmark = pytest.mark.timeout(600)  # much, on a loaded machine

SHOWN = "<img src=x onerror="
PAGES = {
    "/workers?q=evil": "evil <img",
    "/functions?q=evil": "evil::answer",
    "/functions?id=evil::answer": None,
    "/functions?id=evil::answer&tab=bound": None,
    "/functions?id=evil::answer&tab=schema": None,
    "/triggers?q=evil": "evil-type",
    "/triggers?q=onerror": "subscribe",
    "/traces?q=onerror": "onerror",
    f"/traces?trace={TRACE}&view=flame": None,
    f"/traces?trace={TRACE}&view=services": None,
    f"/traces?trace={TRACE}&view=logs": None,
    "/logs?q=onerror": "onerror",
    "/metrics": None,
    "/configuration?view=entries": "onerror",
    "/access": "evil",
    "/channels": "evil",
    "/flow": None,
}

# Where something that a worker sent was taken for more than text; attributes are read aloud
DAMAGE = r"""() => {
  const hidden = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u200b\u2028-\u202e\u2066-\u2069]/;
  const found = [];
  if (window.broken !== undefined) found.push("a script of a worker ran");
  if (document.querySelector("main img, dialog img, nav img, main script")) found.push("markup became an element");
  if (document.documentElement.scrollWidth > innerWidth) found.push(`wider than the window: ${document.documentElement.scrollWidth}`);
  if (hidden.test(document.title)) found.push("the title has hidden signs");
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT | NodeFilter.SHOW_ELEMENT);
  let length = 0;
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    if (node.nodeType === Node.TEXT_NODE) {
      if (node.parentElement.closest("textarea")) continue; // as it is, to be edited
      length += node.data.length;
      if (hidden.test(node.data)) found.push(`text of ${node.parentElement.outerHTML.slice(0, 120)}`);
      continue;
    }
    for (const name of ["title", "aria-label", "aria-description", "aria-roledescription", "placeholder", "alt"])
      if (hidden.test(node.getAttribute(name) ?? "")) found.push(`${name} of ${node.outerHTML.slice(0, 120)}`);
  }
  if (length > 300000) found.push(`${length} characters in the page`);
  return [...new Set(found)].slice(0, 5);
}"""


@pytest.fixture(scope="module")
def attacked() -> Iterator[Shop]:
    """A shop of its own, with a worker whose texts all attack."""
    with Shop(rate=1) as shop:
        command = [sys.executable, "-m", "tests.console.attacker", shop.engine.url]
        worker = LineProcess(command, cwd=Path(__file__).parents[2])
        try:
            worker.wait_for_line("attacked")
            shop.until(lambda: shop.ask("engine::traces::tree", trace_id=TRACE)["roots"], "the spans")
            shop.until(
                lambda: shop.ask("engine::queue::topic_stats", topic="evil <b>")["dlq_depth"] > 0, "a dead letter"
            )
            yield shop
        finally:
            worker.kill()


def damage(page: Page) -> list[str]:
    expect(page.locator(".bone")).to_have_count(0)
    found: list[str] = page.evaluate(DAMAGE)
    return found


@pytest.mark.parametrize(("path", "row"), PAGES.items())
def test_23_9_a_page_shows_it_as_text(browser: Browser, attacked: Shop, path: str, row: str | None) -> None:
    with Window(browser, attacked.url) as window:
        page = window.open(path)
        if row is not None:
            page.get_by_role("row", name=row).last.click()
            expect(page.get_by_role("region", name="Details")).to_be_visible()
        expect(page.locator("main").get_by_text("onerror").first).to_be_attached()
        assert damage(page) == []
        window.assert_nothing_went_wrong()


def test_23_9_so_do_results_errors_and_the_palette(browser: Browser, attacked: Shop) -> None:
    with Window(browser, attacked.url) as window:
        page = window.open("/functions?id=evil::answer")
        details = page.get_by_role("region", name="Details")
        for function_id, sign in (("answer", "more characters"), ("fail", "␛[31m")):
            window.open(f"/functions?id=evil::{function_id}")
            details.get_by_role("button", name=re.compile("^Call Ctrl")).click()
            expect(page.get_by_role("region", name="Result")).to_contain_text(sign)
            details.get_by_text("Calls made here (1)").click()
            assert damage(page) == []
        page.keyboard.press("Control+k")
        palette = page.get_by_role("dialog", name="Go to")
        expect(palette.get_by_role("combobox")).to_be_focused()
        page.keyboard.type("evil")
        expect(palette.get_by_role("option", name=SHOWN).first).to_be_visible()
        assert damage(page) == []
        window.assert_nothing_went_wrong()


def test_23_9_so_do_state_streams_and_dead_letters_and_the_questions_about_them(
    browser: Browser, attacked: Shop
) -> None:
    with Window(browser, attacked.url) as window:
        page = window.open("/state")
        page.get_by_role("navigation", name="Scopes").get_by_role("button", name=SHOWN).click()
        page.get_by_role("row", name=SHOWN).click()
        details = page.get_by_role("region", name="Details")
        expect(details).to_contain_text("more characters")
        assert damage(page) == []
        details.get_by_role("button", name="Delete…").click()
        expect(page.get_by_role("dialog")).to_contain_text(SHOWN)
        assert damage(page) == []
        window.open("/streams")
        page.get_by_role("navigation", name="Streams and groups").get_by_role("button", name=SHOWN).click()
        expect(page.get_by_text("Nothing was sent yet")).to_be_visible()
        assert damage(page) == []
        attacked.call("stream::set", stream_name=MARKUP, group_id=ATTACK, item_id=ATTACK, data={ATTACK: ATTACK})
        expect(page.get_by_role("row", name=re.compile("update.*onerror"))).to_be_visible()
        assert damage(page) == []
        page.get_by_role("button", name="Items now").click()
        expect(page.get_by_role("group", name="items")).to_contain_text(SHOWN)
        assert damage(page) == []
        window.open("/queues?queue=evil <b>&tab=dead")
        details.get_by_role("button", name=re.compile("onerror.*B ")).first.click()
        expect(details.get_by_role("group", name="payload")).to_be_visible()
        assert damage(page) == []
        details.get_by_role("button", name="Edit…").click()
        expect(page.get_by_role("dialog")).to_be_visible()
        assert damage(page) == []
        window.open("/")
        expect(page.get_by_role("heading", name="Changed lately")).to_be_visible()
        expect(page.locator("main").get_by_text("onerror").first).to_be_visible()
        assert damage(page) == []
        window.assert_nothing_went_wrong()


def test_23_9_so_does_what_is_said_about_a_worker_that_is_disconnected(browser: Browser, attacked: Shop) -> None:
    with Window(browser, attacked.url) as window:
        page = window.open("/workers?q=evil")
        page.get_by_role("row", name=NAMED).click()
        details = page.get_by_role("region", name="Details")
        details.get_by_role("button", name="Drain…").click()
        expect(page.get_by_role("dialog")).to_contain_text(SHOWN)
        assert damage(page) == []
        page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
        details.get_by_role("button", name="Disconnect…").click()
        page.get_by_role("dialog").get_by_role("button", name="Disconnect", exact=True).click()
        expect(page.get_by_text(f"{NAMED} is disconnected")).to_be_visible()
        assert damage(page) == []
        window.open("/access?view=actions")
        expect(page.get_by_role("row", name="engine::workers::disconnect").first).to_be_visible()
        assert damage(page) == []
        window.assert_nothing_went_wrong()
