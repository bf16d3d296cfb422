"""A thousand workers with ten thousand functions (issue 17): pages stay short, find, and follow who comes and goes."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.console.shop import Shop
from tests.console.window import Window
from tests.processes import LineProcess

pytestmark = pytest.mark.timeout(600)  # much, on a loaded machine

WORKERS = 1000
MOST_ROWS = 150  # in the document: those in sight and some around them


@pytest.fixture(scope="module")
def crowd() -> Iterator[tuple[Shop, LineProcess]]:
    """A shop of its own with a thousand others."""
    with Shop(rate=1) as shop:
        command = [sys.executable, "-m", "tests.console.crowd", shop.engine.url, str(WORKERS)]
        workers = LineProcess(command, cwd=Path(__file__).parents[2])
        try:
            workers.wait_for_line("here", 240)
            yield shop, workers
        finally:
            workers.kill()


def few_rows(page: Page) -> None:
    assert page.get_by_role("row").count() < MOST_ROWS


def last_is_shown(page: Page) -> bool:
    """Goes to the end, which may be further down each time: pages of the list come one by one."""
    page.get_by_role("grid", name="Workers").evaluate("(grid) => { grid.scrollTop = grid.scrollHeight }")
    return page.get_by_role("row", name=re.compile("shop-")).is_visible()


def test_23_9_a_thousand_workers_are_listed_found_and_followed(
    browser: Browser, crowd: tuple[Shop, LineProcess]
) -> None:
    shop, workers = crowd
    with Window(browser, shop.url) as window:
        overview = window.open("/", window.another())
        expect(overview.get_by_role("link", name="Workers 1,001 connected")).to_be_visible()
        page = window.open("/workers")
        expect(page.locator("main").get_by_text("1,001", exact=True).first).to_be_visible()
        expect(page.get_by_role("row", name=re.compile("crowd-0000"))).to_be_visible()
        few_rows(page)
        shop.until(lambda: last_is_shown(page), "the last of them")
        few_rows(page)
        page.get_by_role("searchbox").fill("crowd-0777")
        row = page.get_by_role("row", name=re.compile("crowd-0777"))
        expect(page.get_by_role("row")).to_have_count(2)  # the head and the one that was found
        row.click()
        details = page.get_by_role("region", name="Details")
        expect(details.get_by_role("link", name="crowd-0777::function-9")).to_be_visible()
        workers.write_line("400")
        workers.wait_for_line("left 400")
        expect(overview.get_by_role("link", name="Workers 601 connected")).to_be_visible()
        expect(row).to_have_count(0)
        window.open("/workers")
        expect(page.locator("main").get_by_text("601", exact=True).first).to_be_visible()
        window.assert_nothing_went_wrong()


@pytest.mark.parametrize("path", ["/functions?q=crowd-0123", "/access?q=crowd-0123"])
def test_23_9_one_of_ten_thousand_is_found(browser: Browser, crowd: tuple[Shop, LineProcess], path: str) -> None:
    shop, _ = crowd
    with Window(browser, shop.url) as window:
        page = window.open(path)
        expect(page.get_by_role("row", name=re.compile("crowd-0123")).first).to_be_visible()
        assert page.get_by_role("row").count() <= 11
        page.keyboard.press("Control+k")
        palette = page.get_by_role("dialog", name="Go to")
        expect(palette.get_by_role("combobox")).to_be_focused()
        page.keyboard.type("crowd-0123::function-7")
        expect(palette.get_by_role("option", name="crowd-0123::function-7").first).to_be_visible()
        window.assert_nothing_went_wrong()


def test_23_9_every_page_opens_with_a_crowd(browser: Browser, crowd: tuple[Shop, LineProcess]) -> None:
    shop, _ = crowd
    with Window(browser, shop.url) as window:
        for path in ("/functions", "/triggers", "/flow", "/metrics", "/queues", "/traces"):
            page = window.open(path)
            expect(page.locator(".bone")).to_have_count(0)
            few_rows(page)
            expect(page.get_by_role("alert")).to_have_count(0)
        window.assert_nothing_went_wrong()
