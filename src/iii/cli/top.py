"""`iii top`: what an engine does right now (19 §5)."""

from __future__ import annotations

import argparse
import asyncio
import sys
from functools import partial
from typing import TYPE_CHECKING

from iii.cli.address import ENVIRONMENT, Address, add_address_options, address_of
from iii.cli.durations import seconds_of
from iii.cli.parser import Parser

if TYPE_CHECKING:
    from iii.cli.asking import Asking
    from iii.cli.samples import EngineActivity

PROGRAM = "iii top"
_DESCRIPTION = """\
Shows what an engine does right now: workers, calls of each function, queues. On a terminal it goes on until Ctrl-C.

columns of functions:
  CALLS/S        calls that began, per second
  ERRORS/S       calls that failed, per second
  RUNNING        calls that run now
  P50, P95, P99  how long that part of the calls took at most, of those that ended meanwhile
  CALLS, ERRORS  calls since the engine's start, and those of them that failed

(no worker) behind a function: it is called, and no worker serves it
WAITS FOR of a queue names functions of its jobs that no worker serves, after 10 s."""
_EXAMPLES = f"""\
examples:
  {PROGRAM}
  {PROGRAM} --interval 5s --sort p99
  {PROGRAM} --sort errors      those that failed most since the engine's start first
  {PROGRAM} --once
  {PROGRAM} --json | jq .functions

{ENVIRONMENT}"""
SORTED_BY = ("rate", "calls", "error-rate", "errors", "running", "p99", "name")
_ROWS = 20
_LONGEST_S = 3_600.0
_SHORTEST_S = 0.2


def build_parser() -> Parser:
    """All options of the command."""
    parser = Parser(PROGRAM, _DESCRIPTION, f"{PROGRAM} [options]", _EXAMPLES)
    parser.add_argument(
        "--once", action="store_true", help="print once, of one interval; so it does for a file or a pipe"
    )
    parser.add_argument(
        "--interval", type=seconds_of, default=2.0, metavar="AGE", help="between two looks: 500ms, 5s, 1m (default: 2s)"
    )
    parser.add_argument(
        "--sort", default="rate", metavar="COLUMN", help=f"order of functions: {', '.join(SORTED_BY)} (default: rate)"
    )
    parser.add_argument(
        "--limit",
        type=int,
        default=_ROWS,
        metavar="N",
        help=f"at most N functions, workers and queues each (default: {_ROWS})",
    )
    parser.add_argument("--all", action="store_true", help="also functions of the engine itself, and its modules")
    parser.add_argument("--json", action="store_true", help="print once, as JSON")
    add_address_options(parser)
    return parser


def run(arguments: list[str]) -> int:
    """`iii top …`"""
    parser = build_parser()
    options = parser.parse(arguments)
    if options.sort not in SORTED_BY:
        parser.error(f"--sort: expected one of {', '.join(SORTED_BY)}, got '{options.sort}'")
    if not _SHORTEST_S <= options.interval <= _LONGEST_S:
        parser.error(f"--interval: expected 200ms to 1h, got {options.interval:g}s")
    if options.limit < 1:
        parser.error(f"--limit: expected a whole number of 1 or more, got {options.limit}")
    address = address_of(options, parser)

    from iii.cli.engine_call import asked_several

    once = options.once or options.json or not sys.stdout.isatty()
    return asked_several(address, "top", partial(_once if once else _live, options=options, address=address))


async def _once(ask: Asking, options: argparse.Namespace, address: Address) -> int:
    from iii.cli.output import json_text
    from iii.cli.samples import EngineActivity, sampled

    before = await sampled(ask, every=options.all)
    await asyncio.sleep(options.interval)
    activity = EngineActivity(before, await sampled(ask, every=options.all), every=options.all)
    if options.json:
        print(json_text(activity.as_json(options.sort), sort_keys=False))
    else:
        print("\n".join(_screen(activity, options, address, None)))
    return 0


async def _live(ask: Asking, options: argparse.Namespace, address: Address) -> int:
    from iii.cli.samples import EngineActivity, sampled
    from iii.cli.screen import Screen

    before = await sampled(ask, every=options.all)
    with Screen() as screen:
        screen.show(["one moment …"])
        while True:
            await asyncio.sleep(options.interval)
            now = await sampled(ask, every=options.all)
            screen.show(_screen(EngineActivity(before, now, every=options.all), options, address, screen.width))
            before = now


def _screen(activity: EngineActivity, options: argparse.Namespace, address: Address, width: int | None) -> list[str]:
    """All lines; of a terminal those that fit are shown."""
    from iii.cli.output import table_lines
    from iii.protocol.address import masked

    lines = [f"{masked(address.url)}  {activity.summary()}"]
    for name, table in activity.tables(options.sort):
        rows = table.rows[: options.limit]
        more = f" ({len(table.rows) - len(rows)} more)" if len(rows) < len(table.rows) else ""
        lines += (
            ["", f"{name}{more}", *table_lines(table.head, rows, plain=width is not None)]
            if rows
            else ["", f"{name}: none"]
        )
    return lines if width is None else [line[:width] for line in lines]
