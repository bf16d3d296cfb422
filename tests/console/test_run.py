"""Workers and functions (23 checks 14, 15)."""

import re

from playwright.sync_api import expect

import iii
from tests.console.shop import Shop
from tests.console.window import Window


def test_23_check_14_a_worker_shows_what_it_is_and_what_it_has(window: Window) -> None:
    page = window.open("/workers")
    row = page.get_by_role("row", name=re.compile("shop"))
    expect(row).to_contain_text("python")
    row.click()
    details = page.get_by_role("region", name="Details")
    expect(details).to_contain_text(re.compile("available|busy|connected"))
    expect(details.locator(".runtime")).to_have_text(re.compile(r"PYTHON \d"))
    expect(details).to_contain_text(re.compile(r"PID\s*\d+"))
    expect(details).to_contain_text(re.compile(r"Memory \(RSS\)\s*[\d.]+\sMiB"))
    expect(details).to_contain_text(re.compile(r"CPU\s*[\d.]+\s%"))
    details.get_by_role("link", name="orders::place").click()
    expect(page.locator("main h1")).to_have_text("Functions")
    expect(page.get_by_role("region", name="Details")).to_contain_text("orders::place")


def test_the_selection_of_a_worker_is_in_the_address(window: Window) -> None:
    page = window.open("/workers")
    page.get_by_role("row", name=re.compile("shop")).click()
    expect(page).to_have_url(re.compile("worker="))
    page.reload()
    expect(page.get_by_role("region", name="Details")).to_contain_text("shop")
    page.keyboard.press("Escape")
    expect(page.get_by_role("region", name="Details")).to_be_hidden()
    expect(page).not_to_have_url(re.compile("worker="))


def test_23_check_15_the_schema_is_a_form_and_a_call_shows_its_result(window: Window) -> None:
    page = window.open("/functions?id=orders::place")
    details = page.get_by_role("region", name="Details")
    expect(details.get_by_label("article")).to_have_value("")
    details.get_by_label("article").fill("tea")
    details.get_by_label("pieces").fill("3")
    details.get_by_role("button", name=re.compile("^Call")).click()
    result = page.get_by_role("region", name="Result")
    expect(result).to_contain_text("Success")
    expect(result).to_contain_text(re.compile(r"[\d.]+\s(ms|µs|s)"))
    expect(result).to_contain_text('"tea"')
    result.get_by_role("link", name="Open the trace").click()
    expect(page.get_by_role("tree", name="Spans")).to_contain_text("billing::charge")


def test_23_check_15_invalid_json_sends_nothing(window: Window) -> None:
    page = window.open("/functions?id=orders::place")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url))
    details = page.get_by_role("region", name="Details")
    details.get_by_role("button", name="JSON", exact=True).click()
    details.get_by_label("Input (JSON)").fill("{oh")
    details.get_by_role("button", name=re.compile("^Call")).click()
    expect(details.get_by_role("alert")).to_contain_text("Invalid JSON")
    assert not [url for url in sent if url.endswith("/api/v1/call")]


def test_a_function_that_fails_shows_code_and_text_and_the_call_is_remembered(window: Window) -> None:
    page = window.open("/functions?id=billing::refund")
    details = page.get_by_role("region", name="Details")
    details.get_by_role("button", name=re.compile("^Call")).click()
    expect(page.get_by_role("region", name="Result")).to_contain_text("the bank refused the refund")
    details.get_by_text("Calls made here (1)").click()
    expect(details.get_by_role("button", name="Use")).to_be_visible()


def test_a_list_is_walked_by_keys(window: Window) -> None:
    page = window.open("/functions?q=billing")
    expect(page.get_by_role("row", name=re.compile("billing::refund"))).to_be_visible()
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="Details")).to_contain_text("billing::refund")
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="Details")).to_contain_text("billing::charge")


def test_23_check_14_a_worker_is_disconnected_and_comes_back(window: Window, shop: Shop) -> None:
    guest = iii.register_worker(shop.engine.url, iii.InitOptions(worker_name="guest", otel={"enabled": False}))
    try:
        guest.register_function("guests::one", lambda data: data)
        guest.list_functions()  # answered when everything is registered
        page = window.open("/workers")
        page.get_by_role("row", name=re.compile("guest")).click()
        details = page.get_by_role("region", name="Details")
        details.get_by_role("button", name="Disconnect…").click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("It runs no call now.")
        dialog.get_by_role("button", name="Disconnect", exact=True).click()
        expect(page.get_by_text("guest is disconnected; 0 calls failed.")).to_be_visible()
        shop.until(lambda: shop.ask("engine::functions::info", function_id="guests::one"), "the guest again")
        expect(page.get_by_role("row", name=re.compile("guest"))).to_have_count(1)
    finally:
        guest.shutdown()


def test_a_function_has_its_figures_over_time(window: Window, shop: Shop) -> None:
    page = window.open("/functions?id=orders::place&tab=figures")
    panel = page.get_by_role("tabpanel")
    expect(panel.get_by_role("img", name=re.compile(r"^Calls and errors per second: calls.s \d"))).to_be_visible()
    expect(panel.get_by_role("img", name=re.compile(r"^Latency: p50 \d"))).to_be_visible()
    expect(panel.get_by_role("list", name="Latency of all calls by bucket")).to_be_visible()
