"""A browser beside a real engine with a real worker: one of each for all tests, a fresh window for each test."""

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.console.shop import Shop
from tests.console.window import FLAGS, Window


@pytest.fixture(scope="session")
def shop() -> Iterator[Shop]:
    with Shop() as running:
        yield running


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium: none is downloaded."""
    program = shutil.which("chromium")
    if program is None:
        if os.environ.get("CI") == "true":
            pytest.fail("chromium is not installed")
        pytest.skip("chromium is not installed")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def window(browser: Browser, shop: Shop) -> Iterator[Window]:
    """A window that remembers what went wrong in it: an error in the page, a request to elsewhere, a refusal of the policy."""
    with Window(browser, shop.url) as opened:
        yield opened
        opened.assert_nothing_went_wrong()


@pytest.fixture
def page(window: Window) -> Page:
    return window.page
