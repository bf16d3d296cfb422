"""Two looks at an engine, and what happened between them (19 §5)."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from iii.cli.durations import duration_text
from iii.cli.listing import Row, Table
from iii.cli.output import counted
from iii.protocol.names import ENGINE_PREFIX, LIST_FUNCTIONS, LIST_METRICS, LIST_WORKERS

if TYPE_CHECKING:
    from iii.cli.asking import Asking

_QUEUES_ASKED = 50
_WORKERS = ("NAME", "STATUS", "FUNCTIONS", "ACTIVE", "CPU", "MEMORY", "CONNECTED", "SILENT")


class Sample(NamedTuple):
    """What an engine says of itself at one moment; of functions by their id."""

    at: float
    me: str | None
    timestamp_ms: int
    functions: dict[str, Row]
    of_workers: frozenset[str]
    workers: list[Row]
    queues: dict[str, Row]


async def sampled(ask: Asking, *, every: bool) -> Sample:
    """A look at it; `every`: at its modules too."""
    metrics = await ask(LIST_METRICS, {"include_functions": True, "metric_name": " "})  # no metrics of workers
    at = time.monotonic()
    functions = (await ask(LIST_FUNCTIONS, {"dialect": "legacy", "of_workers": True}))["functions"]
    workers = (await ask(LIST_WORKERS, {"dialect": "legacy", "include_internal": every}))["workers"]
    return Sample(
        at,
        ask.worker_id,
        metrics["timestamp"],
        {row["function_id"]: row for row in metrics["functions"]},
        frozenset(row["function_id"] for row in functions),
        workers,
        await _queues(ask),
    )


async def _queues(ask: Asking) -> dict[str, Row]:
    """None, if the engine does not run the module."""
    from iii.protocol.errors import FunctionNotFound

    try:
        names = sorted({row["name"] for row in await ask("engine::queue::list_topics", {})})
    except FunctionNotFound:
        return {}
    return {name: await ask("engine::queue::topic_stats", {"topic": name}) for name in names[:_QUEUES_ASKED]}


class FunctionActivity(NamedTuple):
    """One function between two looks; times are upper bounds in seconds, None without a call that ended.

    Attributes:
        calls, errors: with those that were refused, as no worker served the function.
        missing: calls were refused, and no worker serves it now.
    """

    function_id: str
    calls_per_s: float
    errors_per_s: float
    running: int
    p50: float | None
    p95: float | None
    p99: float | None
    calls: int
    errors: int
    missing: bool

    @property
    def cells(self) -> list[str]:
        times = [_at_most(each) for each in (self.p50, self.p95, self.p99)]
        rates = [_rate(self.calls_per_s), _rate(self.errors_per_s) if self.errors_per_s else ""]
        name = f"{self.function_id} (no worker)" if self.missing else self.function_id
        return [name, *rates, str(self.running), *times, str(self.calls), str(self.errors or "")]


class EngineActivity:
    """
    Args:
        every: whether functions of the engine itself are shown.
    """

    def __init__(self, before: Sample, now: Sample, *, every: bool) -> None:
        self._now = now
        self._seconds = max(now.at - before.at, 1e-3)
        self.functions = [
            _between(
                before.functions.get(key), row, self._seconds, missing=key not in now.of_workers and _refused(row) > 0
            )
            for key, row in now.functions.items()
            if every or key in now.of_workers or (_refused(row) and not key.startswith(ENGINE_PREFIX))
        ]
        self.workers = [row for row in now.workers if row.get("id") != now.me]

    def summary(self) -> str:
        """In one line."""
        rate, errors = (sum(getattr(row, name) for row in self.functions) for name in ("calls_per_s", "errors_per_s"))
        share = f", {100 * errors / rate:.3g} % failed" if rate and errors else ""
        return f"{counted(len(self.workers), 'worker')}, {_rate(rate)} calls/s{share}, over {self._seconds:.1f} s"

    def tables(self, sort: str) -> Iterator[tuple[str, Table]]:
        """Functions, workers, queues."""
        head = ["FUNCTION", "CALLS/S", "ERRORS/S", "RUNNING", "P50", "P95", "P99", "CALLS", "ERRORS"]
        yield "functions", Table(head, [row.cells for row in self._ordered(sort)])
        yield "workers", self._workers()
        names = {"JOBS": "depth", "RUNNING": "in_flight", "DELAYED": "delayed", "DEAD": "dlq_depth"}
        rows = [[name, *(str(stats.get(key, 0)) for key in names.values())] for name, stats in self._now.queues.items()]
        waits = [", ".join(stats.get("waiting_for") or ()) for stats in self._now.queues.values()]
        if any(waits):
            rows = [[*row, cell] for row, cell in zip(rows, waits, strict=True)]
        yield "queues", Table(["QUEUE", *names, *(["WAITS FOR"] if any(waits) else [])], rows)

    def as_json(self, sort: str) -> dict[str, Any]:
        """For programs; times in seconds, as upper bounds."""
        return {
            "seconds": round(self._seconds, 3),
            "functions": [
                {key: value if value != math.inf else None for key, value in row._asdict().items()}
                for row in self._ordered(sort)
            ],
            "workers": self.workers,
            "queues": self._now.queues,
        }

    def _ordered(self, sort: str) -> list[FunctionActivity]:
        keys: dict[str, Callable[[FunctionActivity], float]] = {
            "rate": lambda row: row.calls_per_s, "calls": lambda row: row.calls, "error-rate": lambda row: row.errors_per_s,
            "errors": lambda row: row.errors, "running": lambda row: row.running, "p99": lambda row: row.p99 or 0.0,
        }  # fmt: skip
        if sort == "name":
            return sorted(self.functions, key=lambda row: row.function_id)
        return sorted(self.functions, key=lambda row: (-keys[sort](row), -row.calls, row.function_id))

    def _workers(self) -> Table:
        from iii.cli.worker import workers_table

        table = workers_table(list(self.workers), self._now.timestamp_ms)
        places = [table.head.index(name) for name in _WORKERS]
        return Table(list(_WORKERS), [[cells[at] for at in places] for cells in table.rows])


def _refused(row: Row) -> int:
    """Calls that did not begin, as no worker served the function; older engines do not tell."""
    refused: int = row.get("not_found", 0)
    return refused


def _between(before: Row | None, now: Row, seconds: float, *, missing: bool) -> FunctionActivity:
    if before is None or before["calls"] > now["calls"]:  # the engine was started again
        before = {"calls": 0, "error": 0, "bucket_counts": [0] * len(now["bucket_counts"])}
    counts = [b - a for a, b in zip(before["bucket_counts"], now["bucket_counts"], strict=True)]
    p50, p95, p99 = (percentile(now["bounds_s"], counts, share) for share in (0.5, 0.95, 0.99))
    calls, errors = (now[name] + _refused(now) for name in ("calls", "error"))
    calls_before, errors_before = (before[name] + _refused(before) for name in ("calls", "error"))
    rates = (calls - calls_before) / seconds, (errors - errors_before) / seconds
    return FunctionActivity(now["function_id"], *rates, now["running"], p50, p95, p99, calls, errors, missing)


def percentile(bounds: list[float], counts: list[int], share: float) -> float | None:
    """The bound below which this share lies; infinite in the last bucket."""
    total = sum(counts)
    wanted = math.ceil(total * share)
    for bound, count in zip([*bounds, math.inf], counts, strict=True):
        wanted -= count
        if total and wanted <= 0:
            return bound
    return None


def _at_most(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    return "more" if seconds == math.inf else f"≤ {duration_text(round(seconds * 1e9))}"


def _rate(number: float) -> str:
    return f"{number:.1f}" if number < 100 else f"{number:,.0f}"
