"""The engine dies while the console is open, on each of its pages, and comes back (23 check 3)."""

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.console.shop import Shop
from tests.console.window import Window

pytestmark = pytest.mark.timeout(600)  # much, on a loaded machine

# What a page shows of the shop, before the engine dies and again after it is back
SEEN: dict[str, str | re.Pattern[str]] = {
    "/": re.compile("orders::place"),
    "/workers": re.compile("^shop-"),
    "/functions?id=orders::place": "Place an order: price, charge, mail.",
    "/triggers": "GET /users/:id",
    "/queues": "mails",
    "/schedules": "cron::count",
    "/traces": "call orders::place",
    "/logs": "charged",
    "/metrics": "Calls since the start",
    "/alerts": "Alerts",
    "/flow": "billing::charge",
    "/state?scope=orders": "orders",
    "/streams?stream=orders&group=all": "latest",
    "/channels": "Channels",
    "/configuration?q=max_attempts": "max_attempts",
    "/access": re.compile("^shop-"),
}


def test_23_check_3_every_page_says_that_the_connection_is_lost_and_goes_on_by_itself(browser: Browser) -> None:
    with Shop() as shop, Window(browser, shop.url) as window:
        pages = {path: window.page if path == "/" else window.another() for path in SEEN}
        for path, page in pages.items():
            window.open(path, page)
        seen(pages)
        shop.engine.kill()
        for page in pages.values():
            expect(page.get_by_role("alert").first).to_contain_text("Connection lost")
            expect(page.get_by_role("button", name=re.compile("Engine health: Offline"))).to_be_visible()
        shop.engine.start()
        for page in pages.values():
            expect(page.get_by_text("Connection lost")).to_be_hidden()
            expect(page.get_by_role("button", name=re.compile("Engine health: Online"))).to_be_visible()
            navigation = page.get_by_role("navigation", name="Pages")
            expect(navigation.get_by_role("link", name=re.compile("^Workers"))).to_contain_text("1")
            expect(page.get_by_role("alert")).to_have_count(0)
        seen(pages)
        assert window.unexpected(r"WebSocket connection to") == []


def seen(pages: dict[str, Page]) -> None:
    for path, page in pages.items():
        expect(page.locator("main").get_by_text(SEEN[path]).first).to_be_visible()
