"""What the engine and workers measure (23 checks 36 and 38)."""

import re

from playwright.sync_api import Locator, expect

import iii
from tests.console.shop import Shop
from tests.console.window import Window


def test_23_check_36_series_of_the_engine_are_searched_and_go_on(window: Window, shop: Shop) -> None:
    page = window.open("/metrics?q=iii.invocation")
    table = page.get_by_role("table", name="Series of the engine")
    own = table.get_by_role("row", name=re.compile(r"iii\.invocations\.total.*orders::place.*ok.*counter, invocation"))
    expect(own).to_be_visible()
    value = own.get_by_role("cell").last
    expect(value).not_to_have_text(value.inner_text())  # nothing is reloaded
    expect(table.get_by_role("row", name=re.compile("iii.queue.jobs"))).to_have_count(0)
    page.get_by_label("Search metrics").fill(
        "iii.invocation.duration"
    )  # of any function: many were called, and 100 are listed
    spread = table.get_by_role("row", name=re.compile(r"iii\.invocation\.duration.*histogram"))
    spread.first.get_by_text(re.compile("mean")).click()
    expect(table.get_by_role("list", name=re.compile("by bucket")).first).to_contain_text("≤ ")
    page.get_by_label("Search metrics").fill("queue.jobs")
    expect(table.get_by_role("row", name=re.compile("iii.queue.jobs.*mails")).first).to_be_visible()
    expect(own).to_have_count(0)
    window.screen("engine-series")


def test_23_check_38_a_worker_is_shown_as_it_is_and_was(window: Window, shop: Shop) -> None:
    # The page looks every two seconds, and has 16 s until as many were missed as there were before
    options = iii.InitOptions(worker_name="restless", otel=iii.OtelConfig(metrics_export_interval_ms=1000))
    worker = iii.register_worker(shop.engine.url, options)
    try:
        first = worker.register_function("restless::first", lambda data: None)
        shop.until(lambda: shop.ask("engine::functions::info", function_id="restless::first"), "a function")
        own = next(row["id"] for row in shop.ask("engine::workers::list")["workers"] if row["name"] == "restless")
        before = shop.until(lambda: count if (count := reports(shop, own)) >= 8 else 0, "eight reports")
        page = window.open(f"/workers?worker={own}")
        details = page.get_by_role("region", name="Details")
        memory = details.get_by_role("img", name=re.compile(r"Memory \(RSS\): \d+ values of the last hour"))
        # All but the last few: those that came since the page is open are fewer by eight
        shop.until(lambda: shown(memory) > reports(shop, own) - before, "what was reported before")
        expect(details.get_by_role("link", name="restless::first")).to_be_visible()
        worker.register_function("restless::second", lambda data: None)
        first.unregister()  # as many as before
        expect(details.get_by_role("link", name="restless::second")).to_be_visible()
        expect(details.get_by_role("link", name="restless::first")).to_have_count(0)
    finally:
        worker.shutdown()


def reports(shop: Shop, worker_id: str) -> int:
    """How many figures of its memory the engine has."""
    metrics = shop.ask("engine::metrics::list", metric_name="iii.worker.memory.rss")["sdk_metrics"]
    return sum(["worker.id", worker_id] in point["attributes"] for metric in metrics for point in metric["data_points"])


def shown(line: Locator) -> int:
    """Values in a line of values."""
    return int(re.findall(r": (\d+) values", line.get_attribute("aria-label") or "")[0])
