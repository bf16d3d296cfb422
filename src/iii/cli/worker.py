"""`iii worker`: who is connected (07 §8.1, 02 §5.4), and taking a worker out of service (P12)."""

from collections.abc import Callable
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

from iii.cli.listing import Listing, Row, Table, run_listing, with_namespace
from iii.protocol.names import LIST_WORKERS

_SILENT_MS = 30_000
_COLUMNS = """\
  STATUS      connected (not yet announced), available, busy (handles calls), or draining (out of service)
  FUNCTIONS   number of functions that the worker serves
  ACTIVE      number of calls that the worker handles right now
  CPU, MEMORY last report: share of one core, and resident memory; - without a report
  CONNECTED   time since the worker connected
  SILENT      time since anything was heard of the worker, which is pinged every 20 s; - below 30 s"""

_OTHERS = {
    "info": ("info ID|NAME [options]", "Shows one worker: its functions, trigger types and triggers."),
    "drain": ("drain ID|NAME [options]", "Takes a worker out of service; what it runs may end."),
    "disconnect": ("disconnect ID|NAME [options]", "Ends the connection of a worker; its client reconnects."),
}


def run(arguments: list[str]) -> int:
    """`iii worker …`"""
    if arguments and arguments[0] in _OTHERS:
        command: Callable[[list[str]], int] = import_module(f"iii.cli.worker_{arguments[0]}").run
        return command(arguments[1:])
    listing = Listing(
        noun="worker",
        description="Lists the workers that are connected to the engine.",
        columns=_COLUMNS,
        all_help="also the modules that run inside the engine",
        function_id=LIST_WORKERS,
        member="workers",
        table=workers_table,
        empty="No workers.",
        others=_OTHERS,
    )
    return run_listing(listing, arguments)


def workers_table(rows: list[Row], now_ms: int) -> Table:
    rows.sort(key=lambda row: (row.get("internal") is True, str(row.get("name") or ""), row["connected_at_ms"]))
    head = ["NAME", "STATUS", "RUNTIME", "VERSION", "FUNCTIONS", "ACTIVE", "CPU", "MEMORY", "CONNECTED", "SILENT", "ID"]
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
        _silence(row),
        str(row["id"]),
    ]


def _silence(row: Row) -> str:
    silent_ms = row.get("silent_ms") or 0
    return age(silent_ms) if silent_ms >= _SILENT_MS else "-"


def facts_of(row: Row) -> dict[str, Any]:
    """What is known of one worker, by name, for people."""
    metrics = row.get("latest_metrics") or {}
    cpu, memory = metrics.get("cpu_percent"), metrics.get("memory_rss")
    facts = {
        "name": row.get("name"), "id": row["id"], "description": row.get("description"), "status": row["status"],
        "namespace": row.get("namespace"), "runtime": row.get("runtime"), "version": row.get("version"),
        "os": row.get("os"), "pid": row.get("pid"), "address": row.get("ip_address"),
        "connected": datetime.fromtimestamp(row["connected_at_ms"] / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC"), "silent": _silence(row).replace("-", "") or None,
        "active calls": row["active_invocations"], "cpu": None if cpu is None else f"{cpu:.1f} %",
        "memory": None if memory is None else f"{memory / 2**20:.0f} MiB",
    }  # fmt: skip
    return {name: value for name, value in facts.items() if value is not None}


def age(milliseconds: int) -> str:
    """A duration in its largest whole unit: `42 s`, `7 min`, `3 h`, `12 d`."""
    seconds = max(0, milliseconds // 1000)
    for unit_s, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= unit_s:
            return f"{seconds // unit_s} {name}"
    return f"{seconds} s"
