"""Pictures of the main pages, and whether a page still looks like its picture.

    python -m tests.console.pictures [--draw]

records the shop anew and draws all pictures; with `--draw` it only draws them, out of what is recorded. Look at them before you commit them.

A page of a picture is drawn out of a recording: the same data, the same time, fonts of ours, nothing that moves. What is compared
are cells of 4 by 4 pixels, so that another way to smooth the edge of a letter is no difference, and a box that moved or lost its colour is.
"""

import argparse
import base64
import contextlib
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

from tests.console.recording import Recording
from tests.console.shop import Shop
from tests.console.window import DEADLINE_MS, FLAGS, Window

FOLDER = Path(__file__).parent / "pictures"
RECORDED = FOLDER / "recorded.json.gz"
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
PAGES = {
    "overview": "/",
    "workers": "/workers",
    "functions": "/functions?id=orders::place",
    "triggers": "/triggers",
    "queues": "/queues?queue=mails&tab=dead",
    "traces": "/traces?trace={trace}",
    "logs": "/logs",
}
DRAWN_BY = FOLDER / "drawn-by"
CELL = 4
STEP = 12  # of 255, in the mean of a cell
SHARE = 0.001  # of all cells
SHARE_ELSEWHERE = 0.1  # by another Chromium than that of the pictures, whose letters may be a little wider
AHEAD_MS = 60_000  # pages are shown a little later than the last of their data
PATIENCE_S = 20.0  # a page that has not changed for so long does not change any more
WATCHED_MS = 4000  # longer than a look at figures takes to come
FONTS = {
    ("Pictured Sans", "400"): "DejaVuSans.woff2",
    ("Pictured Sans", "700"): "DejaVuSans-Bold.woff2",
    ("Pictured Mono", "400"): "DejaVuSansMono.woff2",
    ("Pictured Mono", "700"): "DejaVuSansMono-Bold.woff2",
}
LOADED = """const load = (fonts) => fonts.forEach(([family, weight, text]) => {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const face = new FontFace(family, bytes, { weight });
  document.fonts.add(face);
  void face.load();
});"""
STYLE = '\n:root { --sans: "Pictured Sans"; --mono: "Pictured Mono"; }\n'

# The share of cells that differ, and the picture with those marked
COMPARE = """async ([before, after, cell, step]) => {
  const drawn = async (data) => {
    const image = new Image();
    image.src = "data:image/png;base64," + data;
    await image.decode();
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [image.width, image.height];
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(image, 0, 0);
    return { canvas, context, width: image.width, height: image.height, pixels: context.getImageData(0, 0, image.width, image.height).data };
  };
  const [a, b] = [await drawn(before), await drawn(after)];
  if (a.width !== b.width || a.height !== b.height) return { share: 1, marked: after };
  b.context.fillStyle = "rgb(255 0 80 / 55%)";
  const [columns, rows] = [Math.floor(a.width / cell), Math.floor(a.height / cell)];
  let differ = 0;
  for (let row = 0; row < rows; row += 1) for (let column = 0; column < columns; column += 1) {
    const sums = [0, 0, 0];
    for (let y = 0; y < cell; y += 1) for (let x = 0; x < cell; x += 1) {
      const at = ((row * cell + y) * a.width + column * cell + x) * 4;
      for (let c = 0; c < 3; c += 1) sums[c] += a.pixels[at + c] - b.pixels[at + c];
    }
    if (!sums.some((sum) => Math.abs(sum) > step * cell * cell)) continue;
    differ += 1;
    b.context.fillRect(column * cell, row * cell, cell, cell);
  }
  return { share: differ / (columns * rows), marked: b.canvas.toDataURL("image/png").split(",")[1] };
}"""


@dataclass
class Difference:
    """How much of a page is not as in its picture; `marked` is the page with it in red."""

    share: float
    seen: bytes
    marked: bytes


class Comparison:
    """Of pages with their pictures, by a page of its own: the browser knows how to read a picture."""

    def __init__(self, browser: Browser) -> None:
        self._page = browser.new_page()

    def close(self) -> None:
        self._page.close()

    def of(self, window: Window, picture: bytes, share: float) -> Difference:
        """Once no more than this share of the page differs, or once it does not change any more."""
        last, give_up_at = b"", 0.0
        while True:
            if (seen := look(window)) != last:
                last, give_up_at = seen, time.monotonic() + PATIENCE_S
                found = self.between(picture, seen)
                if found.share <= share:
                    return found
            elif time.monotonic() > give_up_at:
                return found
            window.page.wait_for_timeout(200)

    def between(self, before: bytes, after: bytes) -> Difference:
        images = [base64.b64encode(image).decode() for image in (before, after)]
        found = self._page.evaluate(COMPARE, [*images, CELL, STEP])
        return Difference(found["share"], after, base64.b64decode(found["marked"]))


def bearable(browser: Browser) -> float:
    """The share of a page that may differ."""
    return SHARE if browser.version.split(".")[0] == DRAWN_BY.read_text().split(".")[0] else SHARE_ELSEWHERE


@contextlib.contextmanager
def pictured(browser: Browser, url: str, recording: Recording, theme: Literal["light", "dark"]) -> Iterator[Window]:
    """A window in which pages are as recorded."""
    with still(browser, url, recording.at_ms, theme) as window:
        recording.play(window.context)
        yield window


@contextlib.contextmanager
def still(browser: Browser, url: str, at_ms: float, theme: Literal["light", "dark"]) -> Iterator[Window]:
    """A window in which it is always the same time, and whose fonts are those of the folder."""
    with Window(browser, url, theme=theme, width=1280, height=800, timezone_id="UTC", locale="en-GB") as window:
        fonts = [[*named, base64.b64encode((FOLDER / file).read_bytes()).decode()] for named, file in FONTS.items()]
        window.page.add_init_script(f"{LOADED}\nload({fonts});")
        window.context.route("**/*.css", styled)
        window.page.clock.set_fixed_time(at_ms / 1000)
        yield window


def styled(route: Route) -> None:
    answer = route.fetch()
    route.fulfill(response=answer, body=answer.text() + STYLE)


def look(window: Window) -> bytes:
    return window.page.screenshot(animations="disabled", caret="hide", scale="css")


def opened(window: Window, path: str) -> Page:
    page = window.open(path)
    expect(page.locator(".bone")).to_have_count(0)
    page.evaluate("document.fonts.ready.then(() => undefined)")
    return page


def settled(window: Window) -> bytes:
    """The look of a page that has looked the same for half a second. Raises TimeoutError if it never does."""
    before, since, give_up_at = look(window), time.monotonic(), time.monotonic() + DEADLINE_MS / 1000
    while time.monotonic() < since + 0.5:
        window.page.wait_for_timeout(50)
        if (now := look(window)) != before:
            before, since = now, time.monotonic()
        if time.monotonic() > give_up_at:
            raise TimeoutError("the page never looks the same")
    return before


def recorded(browser: Browser) -> Recording:
    """A shop that has been open for a minute, as each page of the pictures sees it."""
    with Shop() as shop:
        shop.until(lambda: shop.ask("engine::queue::topic_stats", topic="mails")["dlq_depth"] > 2, "dead letters")
        found = shop.ask("engine::traces::list", name="charge", search_all_spans=True, sort_order="asc", status="ok")
        recording = Recording(time.time() * 1000 + AHEAD_MS, trace=found["spans"][0]["trace_id"])
        for path in PAGES.values():
            with still(browser, shop.url, recording.at_ms, "light") as window:
                recording.listen(window.page)
                opened(window, path.format(trace=recording.trace))
                window.page.wait_for_timeout(WATCHED_MS)
    return recording


def draw(browser: Browser, url: str, recording: Recording) -> None:
    for theme in THEMES:
        with pictured(browser, url, recording, theme) as window:
            for name, path in PAGES.items():
                opened(window, path.format(trace=recording.trace))
                (FOLDER / f"{name}-{theme}.png").write_bytes(settled(window))
    DRAWN_BY.write_text(f"{browser.version}\n")
    if recording.missing:
        raise SystemExit(f"not recorded: {sorted(set(recording.missing))}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draw", action="store_true", help="only draw, out of what is recorded")
    told = parser.parse_args()
    with sync_playwright() as playwright, Shop() as shop:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        if not told.draw:
            recorded(browser).write(RECORDED)
        draw(browser, shop.url, Recording.read(RECORDED))
        browser.close()


if __name__ == "__main__":
    main()
