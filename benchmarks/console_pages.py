"""The console in a browser: what a frame costs while 10,000 rows scroll, when an event is on the screen, what a tab keeps, and what
it costs the engine that somebody looks.

    python benchmarks/console_pages.py [--quick] [--only NAME]

Bars: 16 ms of the page's main thread a frame while the list of 10,000 functions scrolls (p95; the thread's CPU time, which other
processes do not lengthen); 500 ms from a log record in a worker to its line on the screen (p95), 200 ms as aim; the heap of a tab after
4 N events is at most a tenth more than after N, since every list is bounded; 1.10 times the engine's CPU a traced call, at 1,000 a second, with a page on Traces. It needs
Chromium.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # started as a script
sys.path.remove(str(Path(__file__).parent))  # where http.py would hide the library of that name
import argparse
import asyncio
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from playwright.sync_api import Browser, CDPSession, Page, sync_playwright

import iii
from benchmarks.bars import Bar, show
from benchmarks.processes import engine, free_port

FUNCTIONS = 10_000
EVENTS = 20_000
CALLS_S = 1_000
ROUND_S = 4.0
LATE = """marker => new Promise(resolve => {
  const look = () => document.body.innerText.includes(marker) ? requestAnimationFrame(() => resolve(Date.now())) : requestAnimationFrame(look);
  look();
})"""


class Place:
    """An engine with a console, and a worker of ours."""

    def __init__(self, folder: str) -> None:
        self.console = free_port()
        modules = f"  - {{name: iii-console, config: {{port: {self.console}}}}}\n  - {{name: iii-observability, config: {{level: warn}}}}\n"
        self.engine = engine(folder, free_port(), more=modules)
        self.engine.wait_until_listening()
        self.url = f"http://127.0.0.1:{self.console}"
        self.worker = iii.register_worker(
            f"ws://127.0.0.1:{self.engine.port}", iii.InitOptions(worker_name="rows", otel={"enabled": True})
        )

    def close(self) -> None:
        self.worker.shutdown()
        self.engine.__exit__()


@contextmanager
def place() -> Iterator[Place]:
    with tempfile.TemporaryDirectory() as folder:
        opened = Place(folder)
        try:
            yield opened
        finally:
            opened.close()


def p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]


# -- frames -------------------------------------------------------------------------------------------------------


def frames(session: CDPSession, page: Page, work: str) -> list[float]:
    """CPU milliseconds of the page's main thread from each frame to the next, while this runs in the page."""
    events: list[dict[str, object]] = []
    done: list[bool] = []
    session.on("Tracing.dataCollected", lambda sent: events.extend(sent["value"]))
    session.on("Tracing.tracingComplete", lambda _: done.append(True))
    categories = "disabled-by-default-devtools.timeline,devtools.timeline,blink.user_timing"
    session.send("Tracing.start", {"traceConfig": {"includedCategories": categories.split(",")}})
    page.evaluate(work)
    session.send("Tracing.end")
    while not done:
        page.wait_for_timeout(50)
    return spent(events)


def spent(events: list[dict[str, object]]) -> list[float]:
    """By the thread that marked its frames, out of its tasks."""
    begins = [event for event in events if event.get("name") == "next-frame"]
    thread = (begins[0]["pid"], begins[0]["tid"])
    marks = sorted(float(str(event["ts"])) for event in begins)
    sums = [0.0] * len(marks)
    tasks = [
        (float(str(event["ts"])), float(str(event.get("tdur", 0))) / 1000)
        for event in events
        if event.get("name") == "RunTask" and (event["pid"], event["tid"]) == thread
    ]
    at = 0
    for began, took in sorted(tasks):
        while at + 1 < len(marks) and began >= marks[at + 1]:
            at += 1
        sums[at] += took
    return sums[1:-1]


SCROLL = """async frames => {
  const grid = document.querySelector('[role=grid]');
  for (let n = 0; n < frames; n += 1) {
    grid.scrollTop += %d;
    performance.mark("next-frame");
    await new Promise(requestAnimationFrame);
  }
}"""


def scroll(browser: Browser, quick: bool) -> list[Bar]:
    found = []
    with place() as opened:
        for number in range(FUNCTIONS):
            opened.worker.register_function(f"group{number % 50:02}::function-{number:05}", lambda data: data)
        opened.worker.list_functions()
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(f"{opened.url}/functions")
        page.get_by_text("function-00000").wait_for()
        session = page.context.new_cdp_session(page)
        for name, pixels in (("a wheel", 120), ("a page", 800)):
            costs = frames(session, page, f"({SCROLL % pixels})({100 if quick else 400})")
            print(
                f"{name} a frame: {len(costs)} frames, p50 {statistics.median(costs):.1f} ms, p95 {p95(costs):.1f} ms"
            )
            found.append(Bar(f"main thread a frame, {name} each, p95, ms", p95(costs), 16, 8))
        page.close()
    return found


# -- events -------------------------------------------------------------------------------------------------------


def screen(browser: Browser, quick: bool) -> list[Bar]:
    with place() as opened:
        log = iii.Logger(service_name="rows")
        opened.worker.register_function("rows::say", lambda data: log.warn(data["text"]))
        opened.worker.list_functions()
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        late: dict[str, list[float]] = {}
        for path, name in (("/logs", "log record"), ("/traces", "trace")):
            page.goto(opened.url + path)
            page.get_by_role("heading", level=1).wait_for()
            for number in range(10 if quick else 40):
                marker = f"marker-{name[:3]}-{number:04}"
                opened.worker.register_function(marker, lambda data: data)
                opened.worker.list_functions()
                page.wait_for_timeout(number * 17 % 300)  # at any time of the looks
                page.evaluate(f"marker => {{ window.seen = ({LATE})(marker) }}", marker)
                began = time.time()
                if name == "trace":
                    opened.worker.trigger({"function_id": marker, "payload": {}})
                else:
                    opened.worker.trigger({"function_id": "rows::say", "payload": {"text": marker}})
                seen = page.evaluate("() => window.seen")
                late.setdefault(name, []).append(seen - began * 1000)
        page.close()
    for name, values in late.items():
        print(f"{name}: p50 {statistics.median(values):.0f} ms, p95 {p95(values):.0f} ms, longest {max(values):.0f} ms")
    return [Bar(f"{name} → on the screen, p95, ms", p95(values), 500, 200) for name, values in late.items()]


# -- memory -------------------------------------------------------------------------------------------------------

PUSHED = """class extends EventTarget {
  // The server's side of the push channel, as fast as the page takes it
  static OPEN = 1;
  readyState = 0;
  subs = new Map();
  constructor() { super(); window.pushed = this; setTimeout(() => { this.readyState = 1; this.onopen?.({}); this.tell({ t: "hello", engine: { connected: true } }); }, 0); }
  tell(message) { this.onmessage?.({ data: JSON.stringify(message) }); }
  send(text) {
    const asked = JSON.parse(text);
    if (asked.op !== "sub") return;
    this.subs.set(asked.topic, { id: asked.id, rev: 1 });
    this.tell({ t: "reset", id: asked.id, rev: 1, rows: [], total: 0 });
  }
  close() {}
}"""
STREAMED = """async ([kind, count, from]) => {
  const topic = window.pushed.subs.get(kind);
  for (let n = from; n < from + count; n += 100) {
    const rows = Array.from({ length: 100 }, (_, i) => kind === "logs"
      ? { timestamp_unix_nano: (1.7e12 + n + i) * 1e6, observed_timestamp_unix_nano: 0, severity_number: 9, severity_text: "INFO", body: `line ${n + i} of a log, with some more text`, attributes: { order: `o-${n + i}` }, trace_id: (n + i).toString(16).padStart(32, "0"), span_id: null, resource: {}, service_name: "shop" }
      : { trace_id: (n + i).toString(16).padStart(32, "0"), span_id: (n + i).toString(16).padStart(16, "0"), parent_span_id: null, name: `call orders::place ${n + i}`, start_time_unix_nano: (1.7e12 + n + i) * 1e6, end_time_unix_nano: (1.7e12 + n + i + 5) * 1e6, status: "ok", attributes: [], events: [], links: [], service_name: "shop" });
    const gone = kind === "logs" ? [] : Array.from({ length: 100 }, (_, i) => (n + i - 500).toString(16).padStart(32, "0")).filter((_, i) => n + i >= 500);
    window.pushed.tell(kind === "logs"
      ? { t: "append", id: topic.id, from: topic.rev, rev: topic.rev + 100, rows, skipped: 0 }
      : { t: "delta", id: topic.id, from: topic.rev, rev: topic.rev + 100, set: rows, del: gone, total: 500 });
    topic.rev += 100;
    await new Promise(requestAnimationFrame);
  }
}"""


def heap_mb(session: CDPSession) -> float:
    for _ in range(3):
        session.send("HeapProfiler.collectGarbage")
    return float(session.send("Runtime.getHeapUsage")["usedSize"]) / 2**20


def memory(browser: Browser, quick: bool) -> list[Bar]:
    events = EVENTS // 4 if quick else EVENTS
    found = []
    with place() as opened:
        for kind in ("logs", "traces"):
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            page.add_init_script(f"window.WebSocket = {PUSHED}")
            page.goto(f"{opened.url}/{kind}")
            page.wait_for_function("kind => window.pushed?.subs.has(kind)", arg=kind)
            session = page.context.new_cdp_session(page)
            sizes = []
            done = 0
            for count in (events, 3 * events):
                page.evaluate(STREAMED, [kind, count, done])
                done += count
                sizes.append(heap_mb(session))
            nodes = json.dumps(page.evaluate("() => document.querySelectorAll('*').length"))
            print(
                f"{kind}: {sizes[0]:.1f} MiB after {events:,} events, {sizes[1]:.1f} after {4 * events:,}; {nodes} elements"
            )
            found.append(Bar(f"heap of the page of {kind}, 4 N ÷ N", sizes[1] / sizes[0], 1.1, 1.02))
            found.append(Bar(f"heap of the page of {kind}, MiB", sizes[1], 300, 100))
            page.close()
    return found


# -- what looking costs the engine --------------------------------------------------------------------------------


def looking(browser: Browser, quick: bool) -> list[Bar]:
    """Rounds without and with a page on Traces alternate: the machine is as busy in both."""
    ratios = []
    with place() as opened, ThreadPoolExecutor(1) as caller:
        opened.worker.register_function("bench::echo", lambda data: data)
        opened.worker.list_functions()
        for _ in range(4 if quick else 12):
            closed = us_a_call(opened, caller)
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            page.goto(f"{opened.url}/traces")
            page.get_by_text("bench::echo").first.wait_for()
            ratios.append(us_a_call(opened, caller) / closed)
            page.close()
            print(f"{closed:.0f} us a call, {ratios[-1]:.2f} times that with the page", flush=True)
    return [Bar("engine CPU a call, page on Traces ÷ closed", statistics.median(ratios), 1.10, 1.03)]


def us_a_call(opened: Place, caller: ThreadPoolExecutor) -> float:
    before = opened.engine.cpu_ns()
    calls = caller.submit(asyncio.run, paced(f"ws://127.0.0.1:{opened.engine.port}")).result()
    return float((opened.engine.cpu_ns() - before) / calls / 1000)


async def paced(url: str) -> int:
    """Calls that are traces of their own; how many were made."""
    async with iii.connect_worker(url, iii.InitOptions(worker_name="caller", otel={"enabled": True})) as worker:
        began, calls = time.perf_counter(), 0
        while (passed := time.perf_counter() - began) < ROUND_S:
            due = int(passed * CALLS_S) - calls
            call: iii.TriggerRequest = {"function_id": "bench::echo", "payload": {"n": calls}}
            await asyncio.gather(*[worker.trigger_async(call) for _ in range(due)])
            calls += due
            await asyncio.sleep(0.005)
    return calls


QUESTIONS = {"looking": looking, "scroll": scroll, "screen": screen, "memory": memory}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", choices=QUESTIONS)
    told = parser.parse_args()
    program = shutil.which("chromium")
    if program is None:
        sys.exit("console_pages: chromium is not installed")
    bars: list[Bar] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for name, question in QUESTIONS.items():
            if told.only in (None, name):
                print(f"-- {name}")
                bars += question(browser, told.quick)
        browser.close()
    show(bars)


if __name__ == "__main__":
    main()
