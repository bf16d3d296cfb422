"""Lists as people arrange them, and pages as commands (23 checks 32, 33)."""

from playwright.sync_api import expect

from tests.console.shop import Shop
from tests.console.window import Window


def test_23_check_32_columns_stay_as_they_were_arranged(window: Window) -> None:
    page = window.open("/functions")
    grid = page.get_by_role("grid", name="Functions")
    expect(grid).to_contain_text("orders::place")
    expect(grid).not_to_contain_text("state::set")
    headings = grid.get_by_role("columnheader")
    expect(headings.first).to_contain_text("Function")
    page.get_by_role("button", name="Columns of Functions").click()
    page.get_by_role("checkbox", name="Worker", exact=True).uncheck()
    page.get_by_role("button", name="Later: Function").click()
    page.get_by_role("button", name="Wider: Function").click()
    page.keyboard.press("Escape")
    page.reload()
    expect(headings.first).to_contain_text("What it does")
    expect(grid.get_by_role("columnheader", name="Worker")).to_have_count(0)
    page.get_by_role("button", name="Columns of Functions").click()
    page.get_by_role("button", name="As it was").click()
    expect(headings.first).to_contain_text("Function")
    expect(grid.get_by_role("columnheader", name="Worker")).to_have_count(1)


def test_23_check_32_functions_of_the_engine_come_when_they_are_asked_for(window: Window) -> None:
    page = window.open("/functions?q=state::set")
    page.get_by_role("switch", name="Functions of the engine").check()
    expect(page.get_by_role("grid", name="Functions")).to_contain_text("state::set")


def test_23_check_33_a_page_is_copied_as_the_command_that_shows_the_same(window: Window, shop: Shop) -> None:
    window.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = window.open("/traces?preset=errors&q=refund")
    page.get_by_role("button", name="Copy as").click()
    page.get_by_role("menuitem", name="iii command").click()
    expect(page.get_by_text("Copied as iii command.")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    port = shop.engine.url.rpartition(":")[2]
    assert copied == f"iii traces --errors --name refund --port {port}"
