"""The engine dies while the console is open, and comes back (23 check 3)."""

import re

from playwright.sync_api import Browser, expect

from tests.console.shop import Shop
from tests.console.window import Window


def test_23_check_3_the_page_says_that_the_connection_is_lost_and_goes_on_by_itself(browser: Browser) -> None:
    with Shop() as shop, Window(browser, shop.url) as window:
        page = window.open("/functions?id=orders::place")
        expect(page.get_by_role("region", name="Details")).to_contain_text("Place an order")
        shop.engine.kill()
        expect(page.get_by_role("alert").first).to_contain_text("Connection lost")
        expect(page.get_by_role("button", name=re.compile("Engine health: Offline"))).to_be_visible()
        shop.engine.start()
        expect(page.get_by_text("Connection lost")).to_be_hidden()
        expect(page.get_by_role("button", name=re.compile("Engine health: Online"))).to_be_visible()
        expect(page.get_by_role("link", name=re.compile("^Workers"))).to_contain_text("1")
        expect(page.get_by_role("region", name="Details")).to_contain_text("Place an order")
