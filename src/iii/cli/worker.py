"""`iii worker`: who is connected (07 §8.1, 02 §5.4), and taking a worker out of service (P12)."""

from iii.cli.listing import Listing, Row, Table, run_listing, with_namespace
from iii.protocol.names import LIST_WORKERS

_COLUMNS = """\
  STATUS      connected (not yet announced), available, busy (handles calls), or draining (out of service)
  FUNCTIONS   number of functions that the worker serves
  ACTIVE      number of calls that the worker handles right now
  CPU, MEMORY last report: share of one core, and resident memory; - without a report
  CONNECTED   time since the worker connected"""


def run(arguments: list[str]) -> int:
    """`iii worker …`"""
    if arguments and arguments[0] == "drain":
        from iii.cli import worker_drain

        return worker_drain.run(arguments[1:])
    listing = Listing(
        noun="worker",
        description="Lists the workers that are connected to the engine.",
        columns=_COLUMNS,
        all_help="also the modules that run inside the engine",
        function_id=LIST_WORKERS,
        member="workers",
        table=workers_table,
        empty="No workers.",
        others={"drain": ("drain ID|NAME [options]", "Takes a worker out of service; what it runs may end.")},
    )
    return run_listing(listing, arguments)


def workers_table(rows: list[Row], now_ms: int) -> Table:
    rows.sort(key=lambda row: (row.get("internal") is True, str(row.get("name") or ""), row["connected_at_ms"]))
    head = ["NAME", "STATUS", "RUNTIME", "VERSION", "FUNCTIONS", "ACTIVE", "CPU", "MEMORY", "CONNECTED", "ID"]
    return with_namespace(rows, Table(head, [_cells(row, now_ms) for row in rows]))


def _cells(row: Row, now_ms: int) -> list[str]:
    metrics = row.get("latest_metrics") or {}
    cpu, memory = metrics.get("cpu_percent"), metrics.get("memory_rss")
    return [
        str(row.get("name") or "-"),
        str(row["status"]),
        str(row.get("runtime") or "-"),
        str(row.get("version") or "-"),
        str(row["function_count"]),
        str(row["active_invocations"]),
        "-" if cpu is None else f"{cpu:.1f} %",
        "-" if memory is None else f"{memory / 2**20:.0f} MiB",
        age(now_ms - row["connected_at_ms"]),
        str(row["id"]),
    ]


def age(milliseconds: int) -> str:
    """A duration in its largest whole unit: `42 s`, `7 min`, `3 h`, `12 d`."""
    seconds = max(0, milliseconds // 1000)
    for unit_s, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= unit_s:
            return f"{seconds // unit_s} {name}"
    return f"{seconds} s"
