"""The main pages look as in their pictures, in both themes (tests/console/pictures.py)."""

from collections.abc import Iterator
from typing import Literal

import pytest
from playwright.sync_api import Browser

from tests.console.pictures import (
    DRAWN_BY,
    FOLDER,
    PAGES,
    RECORDED,
    SHARE,
    THEMES,
    Comparison,
    bearable,
    opened,
    pictured,
)
from tests.console.recording import Recording
from tests.console.shop import Shop
from tests.console.window import SCREENS


@pytest.fixture(scope="module")
def recording() -> Recording:
    return Recording.read(RECORDED)


@pytest.fixture(scope="module")
def comparison(browser: Browser) -> Iterator[Comparison]:
    running = Comparison(browser)
    yield running
    running.close()


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("name", PAGES)
def test_23_check_40_a_page_looks_as_in_its_picture(
    browser: Browser,
    shop: Shop,
    recording: Recording,
    comparison: Comparison,
    name: str,
    theme: Literal["light", "dark"],
) -> None:
    picture = (FOLDER / f"{name}-{theme}.png").read_bytes()
    recording.missing.clear()
    with pictured(browser, shop.url, recording, theme) as window:
        opened(window, PAGES[name].format(trace=recording.trace))
        found = comparison.of(window, picture, bearable(browser))
    if found.share > bearable(browser):
        SCREENS.mkdir(parents=True, exist_ok=True)
        (SCREENS / f"{name}-{theme}-seen.png").write_bytes(found.seen)
        (SCREENS / f"{name}-{theme}-differs.png").write_bytes(found.marked)
    assert not recording.missing, f"the page asks for what is not recorded: make pictures\n{recording.missing}"
    assert found.share <= bearable(browser), (
        f"{found.share:.1%} of the page is not as in {FOLDER.name}/{name}-{theme}.png: look at"
        f" {SCREENS}/{name}-{theme}-differs.png. If it is meant: make pictures."
        f" The picture is drawn by Chromium {DRAWN_BY.read_text().strip()}, this is Chromium {browser.version}"
    )


def test_a_box_that_moved_or_lost_its_colour_is_a_difference_and_the_edge_of_a_letter_is_none(
    browser: Browser, comparison: Comparison
) -> None:
    page = browser.new_page(viewport={"width": 800, "height": 600})

    def drawn(style: str) -> bytes:
        page.set_content(
            f"<div style='{style}'><button style='width:120px;height:60px'>Call</button>{'some text to read. ' * 20}</div>"
        )
        return page.screenshot()

    before = drawn("color: #222")
    try:
        assert comparison.between(before, drawn("color: #262626")).share == 0
        assert comparison.between(before, drawn("color: #222; padding-left: 8px")).share > SHARE
        assert comparison.between(before, drawn("color: #222; background: #bdd")).share > SHARE
    finally:
        page.close()
