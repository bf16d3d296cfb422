"""What the engine and workers measure (23 checks 36 and 38)."""

import re

from playwright.sync_api import expect

from tests.console.shop import Shop
from tests.console.window import Window


def test_23_check_36_series_of_the_engine_are_searched_and_go_on(window: Window, shop: Shop) -> None:
    page = window.open("/metrics?q=iii.invocation")
    table = page.get_by_role("table", name="Series of the engine")
    own = table.get_by_role("row", name=re.compile(r"iii\.invocations\.total.*orders::place.*ok.*counter, invocation"))
    expect(own).to_be_visible()
    value = own.get_by_role("cell").last
    expect(value).not_to_have_text(value.inner_text())  # nothing is reloaded
    spread = table.get_by_role("row", name=re.compile(r"iii\.invocation\.duration.*reports::slow.*histogram"))
    spread.get_by_text(re.compile("mean")).click()
    expect(spread.get_by_role("list", name=re.compile("by bucket"))).to_contain_text("≤ ")
    expect(table.get_by_role("row", name=re.compile("iii.queue.jobs"))).to_have_count(0)
    page.get_by_label("Search metrics").fill("queue.jobs")
    expect(table.get_by_role("row", name=re.compile("iii.queue.jobs.*mails")).first).to_be_visible()
    expect(own).to_have_count(0)
    window.screen("engine-series")
