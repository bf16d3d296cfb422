"""Traces and logs (23 checks 20 to 22)."""

import re
import time
from typing import Any

from playwright.sync_api import Page, expect

from tests.console.shop import Shop
from tests.console.window import Window


def trace_of(shop: Shop, name: str, **filters: Any) -> str:
    """The id of the newest trace with a span of this name that has ended."""
    spans = shop.until(
        lambda: shop.ask("engine::traces::list", name=name, search_all_spans=True, sort_order="desc", **filters)[
            "spans"
        ],
        f"a trace of {name}",
    )
    return str(next(span["trace_id"] for span in spans if span["end_time_unix_nano"]))


def marks(page: Page) -> list[str]:
    return page.locator(".ruler .mark").all_inner_texts()


def test_23_check_20_a_call_chain_appears_by_itself_and_nests_in_the_waterfall(window: Window, shop: Shop) -> None:
    page = window.open("/traces?q=orders::place")
    rows = page.get_by_role("row", name=re.compile("orders::place"))
    expect(rows.first).to_be_visible()
    rows.first.click()
    tree = page.get_by_role("tree", name="Spans")
    for name in ("orders::place", "prices::of", "billing::charge"):
        expect(tree.get_by_role("treeitem", name=re.compile(name)).first).to_be_visible()
    chain = tree.get_by_role("treeitem", name=re.compile("execute billing::charge"))
    expect(chain).to_have_attribute("aria-level", re.compile("[3-9]"))  # once those above it have come
    chain.click()
    span = page.get_by_role("region", name="Span")
    expect(span).to_contain_text("iii.function.id")
    expect(span).to_contain_text("Logs of this span")
    expect(span).to_contain_text("charged")
    expect(span).to_contain_text('"amount"')  # the input, out of the events of the span


def test_23_check_20_the_same_spans_as_flame_graph_and_as_map(window: Window, shop: Shop) -> None:
    trace = trace_of(shop, "orders::place")
    page = window.open(f"/traces?trace={trace}&view=flame")
    expect(page.get_by_role("button", name=re.compile("execute billing::charge, "))).to_be_visible()
    page.get_by_role("tab", name="Services").click()
    expect(page.get_by_role("button", name=re.compile("^shop: "))).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("^iii: "))).to_be_visible()
    page.get_by_role("tab", name="Logs").click()
    expect(page.get_by_role("tabpanel")).to_contain_text("charged")


def test_23_check_20_the_ruler_has_the_units_of_the_trace(window: Window, shop: Shop) -> None:
    trace = trace_of(shop, "reports::slow")
    page = window.open(f"/traces?trace={trace}")
    expect(page.locator(".ruler .mark")).to_have_count(5)
    found = marks(page)
    assert all(re.fullmatch(r"[\d.]+\s(µs|ms|s)", mark) for mark in found), found
    assert "ms" in found[4]
    assert float(found[4].split()[0]) >= 250


def test_23_check_20_an_error_shows_its_stack(window: Window, shop: Shop) -> None:
    trace = trace_of(shop, "billing::refund", status="error")
    page = window.open(f"/traces?trace={trace}")
    page.get_by_role("treeitem", name=re.compile("execute billing::refund")).click()
    span = page.get_by_role("region", name="Span")
    expect(span).to_contain_text("the bank refused the refund")
    expect(span).to_contain_text("Traceback")


def test_23_check_21_presets_and_filters_change_the_list(window: Window, shop: Shop) -> None:
    trace_of(shop, "billing::refund", status="error")
    page = window.open("/traces")
    page.get_by_role("button", name="Errors", exact=True).click()
    expect(page.get_by_role("row", name=re.compile("billing::refund")).first).to_be_visible()
    expect(page.get_by_role("row", name=re.compile("call orders::place"))).to_have_count(0)
    page.get_by_role("button", name="Slow", exact=True).click()
    expect(page.get_by_role("row", name=re.compile("reports::slow")).first).to_be_visible()
    expect(page.get_by_role("row", name=re.compile("billing::refund"))).to_have_count(0)
    page.get_by_role("button", name="All", exact=True).click()
    page.get_by_role("button", name="Filters").click()
    page.get_by_label("Attribute key").fill("iii.function.id")
    page.get_by_label("Attribute value").fill("reports::slow")
    page.get_by_role("button", name="Add the attribute").click()
    expect(page.get_by_role("row", name=re.compile("reports::slow")).first).to_be_visible()
    expect(page.get_by_role("row", name=re.compile("orders::place"))).to_have_count(0)
    page.get_by_role("button", name=re.compile("Remove the filter iii.function.id")).click()
    expect(page.get_by_role("row", name=re.compile("orders::place")).first).to_be_visible()


def test_23_check_21_bounds_in_the_wrong_order_are_swapped_with_a_word(window: Window) -> None:
    page = window.open("/traces")
    page.get_by_role("button", name="Filters").click()
    page.get_by_label("Longer than (ms)").fill("300")
    page.get_by_label("Longer than (ms)").press("Enter")
    page.get_by_label("Shorter than (ms)").fill("200")
    page.get_by_label("Shorter than (ms)").press("Enter")
    expect(page.get_by_text("they are swapped")).to_be_visible()
    expect(page).to_have_url(re.compile("min=200&max=300|max=300&min=200"))
    expect(page.get_by_role("row", name=re.compile("reports::slow")).first).to_be_visible()


def test_a_call_that_runs_is_seen_in_flight_and_traces_are_compared(window: Window, shop: Shop) -> None:
    first, second = trace_of(shop, "orders::place"), trace_of(shop, "reports::slow")
    page = window.open(f"/traces?trace={first}&view=compare&compare={second}")
    table = page.get_by_role("tabpanel").get_by_role("table")
    expect(table).to_contain_text("reports::slow")
    expect(table).to_contain_text("billing::charge")


def test_23_check_22_a_warning_appears_with_its_trace_and_filters_narrow(window: Window, shop: Shop) -> None:
    page = window.open("/logs?severity=13")
    row = page.get_by_role("row", name=re.compile("refund refused")).last
    expect(row).to_contain_text("WARN")
    expect(page.get_by_role("row", name=re.compile("INFO"))).to_have_count(0)
    page.get_by_label("Search messages").fill("refund")
    expect(page.get_by_role("row", name=re.compile("moved to DLQ"))).to_have_count(0)
    page.get_by_role("button", name="Pause").click()
    trace = row.get_by_role("link").inner_text()
    row.get_by_role("button", name=re.compile("Only logs of the trace")).click()
    page.get_by_role("button", name="Go on").click()
    expect(page).to_have_url(re.compile(f"trace={trace}"))
    expect(page.get_by_role("row", name=re.compile("refund refused"))).to_have_count(1)
    page.get_by_role("row", name=re.compile("refund refused")).get_by_role("link").click()
    expect(page.get_by_role("tree", name="Spans")).to_contain_text("billing::refund")


def test_what_is_logged_while_the_page_is_open_comes_to_its_end(window: Window, shop: Shop) -> None:
    page = window.open("/logs?q=mark")
    mark = f"mark {time.monotonic_ns()}"
    shop.call("engine::log::info", message=mark)
    expect(page.get_by_role("row", name=re.compile(mark))).to_be_visible()


def test_23_check_20_two_traces_are_compared_span_by_span(window: Window, shop: Shop) -> None:
    place = "call orders::place"
    one, other = (span["trace_id"] for span in shop.until(lambda: ended(shop, place, 2), "two orders")[:2])
    page = window.open(f"/traces?trace={one}&view=compare")
    latest = page.get_by_label("Compare with")
    expect(latest.locator("option").nth(1)).to_be_attached()
    page.get_by_label("or with the trace of this id").fill(other)
    table = page.get_by_role("table", name="Both traces")
    expect(table.get_by_role("row", name=re.compile("execute billing::charge"))).to_have_count(1)
    expect(table.get_by_role("row", name=re.compile("Whole trace"))).to_contain_text("ms")
    expect(table.get_by_role("row", name=re.compile("execute orders::place"))).to_have_count(1)
    expect(page.get_by_text(re.compile(r"spans? added, \d+ missing"))).to_be_visible()
    window.screen("trace-compared")

    refund = trace_of(shop, "billing::refund", status="error")
    page.get_by_label("or with the trace of this id").fill(refund)
    expect(table.get_by_text("missing").first).to_be_visible()
    expect(table.get_by_text("added").first).to_be_visible()
    expect(page).to_have_url(re.compile(f"compare={refund}"))


def ended(shop: Shop, name: str, least: int) -> list[Any]:
    """Traces of this name that have ended, if there are so many."""
    spans = shop.ask("engine::traces::list", name=name, sort_order="desc", status="ok")["spans"]
    found = [span for span in spans if span["end_time_unix_nano"] and span["name"] == name]
    return found if len(found) >= least else []
