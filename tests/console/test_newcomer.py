"""A newcomer finds out why a job died: from the demo of `make demo`, by what is on the screen, in a few clicks (issue 17)."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, expect

from examples.demo import Demo
from tests.console.window import Window
from tests.processes import free_port

pytestmark = pytest.mark.timeout(600)  # much, on a loaded machine

MOST_CLICKS = 5


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    running = Demo(tmp_path, free_port(), free_port(), free_port(), free_port())
    try:
        running.start_engine()
        running.open_shop()
        yield running
    finally:
        running.end_all()
    assert "Connection to the engine lost" not in running.log.read_text()  # they end before it


class Clicks:
    """Of somebody who reads and clicks, and does nothing else."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def on(self, what: Locator) -> None:
        expect(what.first).to_be_visible()
        self.made.append(what.first.inner_text().replace("\n", " ")[:40])
        what.first.click()


def test_23_check_41_from_the_demo_to_why_a_job_died_in_five_clicks(browser: Browser, demo: Demo) -> None:
    clicks = Clicks()
    with Window(browser, demo.console_url) as window:
        page = window.open()
        details = page.get_by_role("region", name="Details")
        clicks.on(page.locator("main").get_by_role("link", name=re.compile("Dead letters [1-9]")))
        clicks.on(page.get_by_role("row", name=re.compile("^mail")))
        expect(details.get_by_role("list", name="Reasons")).to_contain_text("no mail server for")
        clicks.on(details.get_by_role("button", name=re.compile("no mail server for.*B ")))
        clicks.on(details.get_by_role("link", name="Its whole story"))
        expect(details).to_contain_text("no mail server for")
        expect(details).to_contain_text("mail::confirm")
        clicks.on(details.get_by_role("link", name="execute mail::confirm"))
        span = page.get_by_role("region", name="Span")
        expect(span).to_contain_text("no mail server for")
        expect(span).to_contain_text("mail.py")  # the line that raised
        window.screen("why-a-job-died")
        assert len(clicks.made) <= MOST_CLICKS, clicks.made
        window.assert_nothing_went_wrong()
