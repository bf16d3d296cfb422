"""The console for everybody: axe finds nothing serious, all of it by keyboard, both themes and a phone kept as screenshots."""

import re
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.console.shop import Shop
from tests.console.window import Window

AXE = Path(__file__).parents[2] / "console/node_modules/axe-core/axe.min.js"
PAGES = {
    "overview": "/",
    "workers": "/workers",
    "functions": "/functions?id=orders::place",
    "triggers": "/triggers",
    "queues": "/queues?queue=mails",
    "schedules": "/schedules",
    "traces": "/traces",
    "logs": "/logs",
    "metrics": "/metrics",
    "alerts": "/alerts",
    "flow": "/flow",
    "state": "/state",
    "streams": "/streams?stream=orders&group=all",
    "channels": "/channels",
    "configuration": "/configuration",
    "access": "/access",
}
MAIN = ("overview", "functions", "traces", "queues")
WORST = ("serious", "critical")


def violations(page: Page, rules: list[str] | None) -> list[str]:
    """What axe calls serious or worse, each with where it is; only these rules, or all."""
    page.evaluate(AXE.read_text())
    options: dict[str, object] = {"resultTypes": ["violations"]}
    if rules is not None:
        options["runOnly"] = rules
    found = page.evaluate("(options) => axe.run(document, options).then((result) => result.violations)", options)
    return [
        f"{each['id']}: {each['help']}: {[node['html'][:160] for node in each['nodes'][:3]]}"
        for each in found
        if each["impact"] in WORST
    ]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious(browser: Browser, shop: Shop, theme: Literal["light", "dark"]) -> None:
    if not AXE.exists():
        pytest.skip("axe is not installed: .ci/console check")
    # Only here the policy is off: axe is put into the page by the test
    with Window(browser, shop.url, theme=theme, bypass_csp=True) as window:
        found = {}
        for name, path in PAGES.items():
            page = window.open(path)
            expect(page.locator(".bone").first).to_be_hidden()
            found[name] = violations(page, ["color-contrast"] if theme == "dark" else None)
        assert found == {name: [] for name in PAGES}


@pytest.mark.parametrize(("theme", "width", "height"), [("light", 1440, 900), ("dark", 1440, 900), ("light", 390, 844)])
def test_screens_are_kept_and_nothing_is_wider_than_the_window(
    browser: Browser, shop: Shop, theme: Literal["light", "dark"], width: int, height: int
) -> None:
    with Window(browser, shop.url, theme=theme, width=width, height=height) as window:
        for name, path in PAGES.items():
            if theme == "dark" and name not in MAIN:
                continue
            page = window.open(path)
            expect(page.locator(".bone").first).to_be_hidden()
            window.screen(f"{name}-{theme}-{width}")
            assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        window.assert_nothing_went_wrong()


def test_a_tour_by_keyboard_alone(window: Window) -> None:
    page = window.open()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the page")).to_be_focused()
    page.keyboard.press("g")
    page.keyboard.press("f")
    expect(page.locator("main h1")).to_have_text("Functions")
    page.keyboard.press("/")
    page.keyboard.type("prices")
    expect(page.get_by_role("row", name=re.compile("prices::of"))).to_be_visible()
    page.keyboard.press("Escape")  # empties the search
    page.keyboard.press("Escape")  # leaves it
    page.keyboard.press("/")
    page.keyboard.type("reports")
    expect(page.get_by_role("row", name=re.compile("reports::slow"))).to_be_visible()
    expect(page.get_by_role("row")).to_have_count(2)  # the head and the one that was found
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    details = page.get_by_role("region", name="Details")
    expect(details).to_contain_text("reports::slow")
    details.get_by_role("button", name=re.compile("^Call")).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="Result")).to_contain_text("Success")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("Escape")
    expect(details).to_be_hidden()
