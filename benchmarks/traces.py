"""Spans and log records: what keeping them costs, what lists of many cost, and what another client feels.

    python benchmarks/traces.py [--quick] [--only NAME]

Bars: 12 us of CPU a span that arrives (512 a frame); 1.5 KB of memory for a span of 1 KB; lists over 1,000,000 spans, in
memory or on disk, within 20 ms; 50 ms for another client while 100,000 spans a second arrive; 50 ms for a list over
100,000 log records. It needs Linux.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # started as a script
sys.path.remove(str(Path(__file__).parent))  # where http.py would hide the library of that name
import argparse
import gc
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from functools import partial
from typing import Any

from benchmarks.traces_load import MS, NOW_NS, Load, call_span, frame, worked

REQUESTS: dict[str, dict[str, Any]] = {
    "newest": {"sort_order": "desc"},
    "oldest, page 100": {"offset": 10_000},
    "service": {"service_name": "service-3", "sort_order": "desc"},
    "name": {"name": "orders/7", "sort_order": "desc"},
    "errors": {"status": "error", "search_all_spans": True, "sort_order": "desc"},
    "end_time": {"end_time": NOW_NS // MS + 40_000, "sort_order": "desc"},
    "end_time and service": {"end_time": NOW_NS // MS + 40_000, "service_name": "service-3", "sort_order": "desc"},
    "start_time": {"start_time": NOW_NS // MS + 60_000},
    "long ones": {"min_duration_ms": 95},
    "longest": {"sort_by": "duration", "sort_order": "desc"},
    "by name": {"sort_by": "name"},
    "attributes": {"attributes": [["customer", "10"]], "sort_order": "desc"},
    "attributes anywhere": {"attributes": [["customer", "7"]], "search_all_spans": True, "sort_order": "desc"},
    "names anywhere": {"name": "orders/7/3", "search_all_spans": True, "sort_order": "desc"},
    "attributes, common": {"attributes": [["http.method", "GET"]], "sort_order": "desc"},
    "attributes anywhere, common": {
        "attributes": [["http.method", "GET"]],
        "search_all_spans": True,
        "sort_order": "desc",
    },
    "attributes anywhere, none": {"attributes": [["customer", "none"]], "search_all_spans": True, "sort_order": "desc"},
    "names anywhere, common": {"name": "orders", "search_all_spans": True, "sort_order": "desc"},
    "without attributes": {"exclude_attributes": [["customer", "10"]], "sort_order": "desc"},
    "long ones anywhere": {"min_duration_ms": 95, "search_all_spans": True, "sort_order": "desc"},
    "long and named anywhere": {
        "min_duration_ms": 95,
        "name": "orders/7/3",
        "search_all_spans": True,
        "sort_order": "desc",
    },
    "long, by name": {"min_duration_ms": 50, "sort_by": "name"},
    "long with attributes, shortest first": {
        "min_duration_ms": 50,
        "attributes": [["http.method", "GET"]],
        "sort_by": "duration",
    },
    "rare by duration anywhere": {
        "attributes": [["customer", "7"]],
        "sort_by": "duration",
        "search_all_spans": True,
        "sort_order": "desc",
    },
    "half of the names and a service, anywhere": {
        "name": "3",
        "service_name": "service-3",
        "start_time": NOW_NS // MS + 60_000,
        "search_all_spans": True,
    },
    "longest anywhere": {"sort_by": "duration", "search_all_spans": True, "sort_order": "desc"},
    "window anywhere": {
        "start_time": NOW_NS // MS + 60_000,
        "end_time": NOW_NS // MS + 70_000,
        "search_all_spans": True,
        "sort_order": "desc",
    },
    "traces": {"trace_ids": [f"{number:032x}" for number in range(100)], "search_all_spans": True},
}


def observed(**config: Any) -> Any:
    from tests.unit.modules.observability.observed_engine import ObservedEngine

    return ObservedEngine(**config)


def rss_kb() -> int:
    return int(Path("/proc/self/status").read_text().partition("VmRSS:")[2].split()[0])


def cpu_us(count: int, work: Callable[[], None]) -> float:
    before = time.process_time()
    work()
    return (time.process_time() - before) / count * 1e6


# -- each in a process of its own ---------------------------------------------------------------------------------


def kept(quick: bool) -> dict[str, float]:
    """CPU of a span, as the engine makes them and as they arrive."""
    from iii.modules.observability.signals import Source
    from iii.protocol.telemetry import TelemetryKind

    count = 50_000 if quick else 300_000
    own = observed()
    tell = own.module.signals.spans
    spans = [call_span(number) for number in range(count)]

    def engine_spans() -> None:
        for at in range(count):
            tell((spans[at],), Source.ENGINE)
            if at % 1000 == 0:
                own.clock.advance(0)

    found = {"one traced call": cpu_us(count, engine_spans)}
    frames = [frame(512)[4:] for _ in range(count // 512)]
    arrived = own.engine.core.telemetry

    def arriving() -> None:
        for each in frames:
            arrived(TelemetryKind.SPANS, each)
            own.clock.advance(0)

    found["one span that arrives"] = cpu_us(512 * len(frames), arriving)
    return found


def remembered(quick: bool) -> dict[str, float]:
    """Bytes of a span in memory, and lists over many."""
    import msgspec

    from iii.modules.observability.spans.functions import listing
    from iii.modules.observability.spans.requests import TracesListInput
    from iii.modules.observability.spans.selection import Selection
    from iii.modules.observability.spans.store import SpanStore

    count = 100_000 if quick else 1_000_000
    store, load = SpanStore(count, 10**11), Load()
    sizes = len(msgspec.json.encode(load.span(12345)))
    before = rss_kb()
    for spans in load.spans(0, count):
        store.add(spans)
    gc.collect()
    found = {f"KB of a span of {sizes} bytes": (rss_kb() - before) / count}
    gc.freeze()
    for name, request in REQUESTS.items():
        selection = Selection(msgspec.convert(request, TracesListInput), NOW_NS + 10**12)
        times = [worked(listing(store, selection)) for _ in range(3)]
        found[f"memory: {name}"] = min(each.all_ms for each in times)
        found[f"memory: {name}, longest step"] = min(each.step_ms for each in times)
    return found


def archived(quick: bool) -> dict[str, float]:
    """CPU of a span that is written to the disk, and lists over many there."""
    from iii.modules.observability.spans.archive.schema import MIGRATIONS
    from iii.modules.observability.spans.archive.tables import ArchivedSpan, Tables
    from iii.modules.observability.spans.row import Packer
    from iii.storage.connections import CACHE_KIB

    count, tables, packer, found = 100_000 if quick else 1_000_000, Tables(10**12), Packer(), dict[str, float]()
    with ExitStack() as opened:
        folder = opened.enter_context(tempfile.TemporaryDirectory())
        disk = opened.enter_context(closing(sqlite3.connect(f"{folder}/spans", isolation_level=None)))
        disk.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;" + ";".join(MIGRATIONS))
        disk.execute(f"PRAGMA cache_size = -{CACHE_KIB}")  # as the engine has it

        def written(entries: list[Any]) -> None:
            disk.execute("BEGIN")
            tables.add(disk, entries, 1)
            disk.execute("COMMIT")

        def sealed() -> None:
            while tables.seal(disk):
                pass

        batches = ([ArchivedSpan.of(packer.row(span)) for span in spans] for spans in Load().spans(0, count))
        found["one span on its way to the disk"] = sum(cpu_us(count, partial(written, each)) for each in batches)
        found["the same, for its block"] = cpu_us(count, sealed)
        found |= asked_of_disk(disk)
    return found


def asked_of_disk(disk: sqlite3.Connection) -> dict[str, float]:
    """Right at the start, when nothing is known of the blocks; once they were read ahead; and again, as a page that is looked at asks."""
    import msgspec

    from iii.modules.observability.spans.archive.known_blocks import KnownBlocks
    from iii.modules.observability.spans.archive.questions import Questions
    from iii.modules.observability.spans.requests import TracesListInput
    from iii.modules.observability.spans.selection import Selection
    from tests.unit.modules.observability.spans.blocks_on_disk import read_ahead

    found = dict[str, float]()

    def ask(selection: Selection, known: KnownBlocks) -> float:
        before = time.perf_counter()
        Questions(disk, [], known).listed(selection)
        return (time.perf_counter() - before) * 1e3

    for name, request in REQUESTS.items():
        selection = Selection(msgspec.convert(request, TracesListInput), NOW_NS + 10**12)
        times: dict[str, list[float]] = {", right at the start": [], ", blocks read ahead": [], "": []}
        for _ in range(3):
            read = KnownBlocks()
            found["reading blocks ahead, CPU, ms"] = cpu_us(1_000, partial(read_ahead, disk, read))
            for which, known in zip(times, (KnownBlocks(), read, read), strict=True):
                times[which].append(ask(selection, known))
        found |= {f"disk: {name}{which}": min(each) for which, each in times.items()}
    return found


SECTIONS = {"kept": kept, "remembered": remembered, "archived": archived}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--section", default="", help="in this process")
    asked = parser.parse_args()
    for name, section in SECTIONS.items():
        if asked.section == name:
            for what, value in section(asked.quick).items():
                print(f"{what:60} {value:10.2f}", flush=True)
        elif not asked.section and asked.only in name:
            subprocess.run([sys.executable, *sys.argv, "--section", name], check=True)


if __name__ == "__main__":
    main()
