"""All of it by keyboard (23 §9): every list is walked, every dialog holds the focus, says what it is, and gives the focus back."""

import re
import time
from functools import partial

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.console.shop import Shop
from tests.console.test_everybody import AXE, violations
from tests.console.window import Window

LISTS = (
    "/workers",
    "/functions",
    "/triggers",
    "/queues",
    "/traces?q=orders::place",
    "/logs?q=charged",
    "/state?scope=orders",
    "/configuration",
    "/access",
)
# A page, and the buttons that open a dialog there
DIALOGS = {
    "/workers?q=shop": ("Drain…", "Disconnect…"),
    "/triggers?q=cron::count": ("Fire now…",),
    "/state?scope=kept": ("Delete…",),
    "/queues?q=mails": ("Pause…",),
}


@pytest.mark.parametrize("path", LISTS)
def test_23_9_a_list_is_walked_and_its_details_are_opened_and_closed(window: Window, path: str) -> None:
    page = window.open(path)
    listed(page)
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="Details")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("region", name="Details")).to_be_hidden()


@pytest.mark.parametrize(("path", "openers"), DIALOGS.items())
def test_23_9_a_dialog_holds_the_focus_and_gives_it_back(
    browser: Browser, shop: Shop, path: str, openers: tuple[str, ...]
) -> None:
    shop.call("state::set", scope="kept", key="k", value=1)
    with Window(browser, shop.url, bypass_csp=True) as window:  # for axe, which is put into the page
        page = window.open(path)
        listed(page)
        page.keyboard.press("j")
        page.keyboard.press("Enter")
        details = page.get_by_role("region", name="Details")
        for opener in openers:
            button = details.get_by_role("button", name=opener, exact=True)
            button.focus()
            page.keyboard.press("Enter")
            dialog = page.get_by_role("dialog")
            expect(dialog).to_have_accessible_name(re.compile(r"\w"))
            for _ in range(12):  # more than it has
                page.keyboard.press("Tab")
                assert inside(page), f"{opener}: the focus left the dialog"
            if AXE.exists():
                assert violations(page, None) == []
            page.keyboard.press("Escape")
            expect(dialog).to_be_hidden()
            # Tab may have left the page for the browser's own parts: so not to_be_focused
            shop.until(
                partial(button.evaluate, "button => button === document.activeElement"), f"the focus on {opener}"
            )
        window.assert_nothing_went_wrong()


def listed(page: Page) -> None:
    """The list is there: before, keys have nothing to go to."""
    grid = page.get_by_role("grid").first
    expect(grid).to_have_attribute("aria-busy", "false")
    expect(grid.locator(".rows [role=row]").first).to_be_visible()


def inside(page: Page) -> bool:
    """Whether the dialog has the focus, or nothing of the page (the browser's own parts come between its ends)."""
    found: bool = page.evaluate(
        "document.activeElement === document.body || document.activeElement.closest('dialog, [role=dialog]') !== null"
    )
    return found


def test_23_9_state_is_set_changed_and_deleted_without_a_pointer(window: Window, shop: Shop) -> None:
    key = f"key {time.monotonic_ns()}"
    shop.call("state::set", scope="kept", key=key, value={"n": 1})
    page = window.open(f"/state?scope=kept&key={key}")
    details = page.get_by_role("region", name="Details")
    details.get_by_role("button", name="Edit").focus()
    page.keyboard.press("Enter")
    area = details.get_by_label(re.compile("^Value"))
    area.focus()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text('{"n": 2}')
    details.get_by_role("button", name="Save…").focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Save").focus()
    page.keyboard.press("Enter")
    shop.until(lambda: shop.call("state::get", scope="kept", key=key) == {"n": 2}, "the changed value")
    expect(dialog).to_be_hidden()
    details.get_by_role("button", name="Delete…").focus()
    page.keyboard.press("Enter")
    dialog.get_by_role("button", name="Delete").focus()
    page.keyboard.press("Enter")
    shop.until(lambda: shop.call("state::get", scope="kept", key=key) is None, "the deletion")
