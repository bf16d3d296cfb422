"""A window of the browser on the console."""

import re
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect

SCREENS = Path(".cache/screens")
DEADLINE_MS = 60_000  # a loaded machine; what is there is seen at once
# Letters are drawn the same on every machine
FLAGS = (
    "--no-sandbox",
    "--font-render-hinting=none",
    "--disable-lcd-text",
    "--disable-gpu",
    "--force-color-profile=srgb",
)

expect.set_options(timeout=DEADLINE_MS)


class Window:
    """One tab with storage of its own."""

    def __init__(
        self,
        browser: Browser,
        url: str,
        *,
        theme: Literal["light", "dark"] = "light",
        width: int = 1440,
        height: int = 900,
        **more: Any,
    ) -> None:
        self.url = url
        self.context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=theme, reduced_motion="reduce", **more
        )
        self.context.set_default_timeout(DEADLINE_MS)
        self.problems: list[str] = []
        self.page = self.another()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.context.close()

    def another(self) -> Page:
        """One more tab."""
        page = self.context.new_page()
        page.on("pageerror", lambda error: self.problems.append(f"error in the page: {error}"))
        page.on("console", self._printed)
        page.on("request", self._requested)
        return page

    def open(self, path: str = "/", page: Page | None = None) -> Page:
        """Go there, and wait until the page has its heading."""
        page = page or self.page
        page.goto(self.url + path)
        expect(page.locator("main h1")).to_be_visible()
        return page

    def screen(self, name: str) -> None:
        """Keep what is seen, for people to look at."""
        SCREENS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SCREENS / f"{name}.png")

    def assert_nothing_went_wrong(self) -> None:
        assert self.problems == []

    def unexpected(self, expected: str) -> list[str]:
        """What went wrong, but for what has this pattern."""
        return [problem for problem in self.problems if not re.search(expected, problem)]

    def _printed(self, message: ConsoleMessage) -> None:
        # What the browser itself says of an answer with a status of 4xx or 5xx: the page shows it
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            self.problems.append(f"printed: {message.text}")

    def _requested(self, request: Request) -> None:
        if not request.url.startswith((self.url, self.url.replace("http", "ws", 1), "data:", "blob:")):
            self.problems.append(f"a request to elsewhere: {request.url}")
