"""`iii traces`: the traces that the engine keeps, newest or slowest first (19 §3)."""

from __future__ import annotations

import argparse
import time
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from iii.cli.address import ENVIRONMENT, add_address_options, address_of
from iii.cli.durations import duration_text, milliseconds_of, seconds_of
from iii.cli.parser import Parser
from iii.cli.services import LOOKED_AT, no_service
from iii.cli.trace_ids import LIST_TRACES

if TYPE_CHECKING:
    from iii.cli.asking import Asking

PROGRAM = "iii traces"
_DESCRIPTION = """\
Lists the traces that the engine keeps, the newest first: a trace is all that one request, job or tick caused.

columns:
  TRACE      id, or its beginning, for 'iii trace'
  STARTED    when its first span began
  DURATION   of its first span
  ERRORS     spans of the trace that failed
  SERVICE    service of the worker, or the engine
  NAME       of its first span"""
_EXAMPLES = f"""\
examples:
  {PROGRAM}
  {PROGRAM} --slow 500ms
  {PROGRAM} --errors --since 1h
  {PROGRAM} --name orders::create --attribute customer=7

{ENVIRONMENT}"""
_LIMIT = 20
_MOST = 1_000
_LOOKED_AT = 1_000  # spans that show which traces match


def build_parser() -> Parser:
    """All options of the command."""
    parser = Parser(PROGRAM, _DESCRIPTION, f"{PROGRAM} [options]", _EXAMPLES)
    parser.add_argument(
        "--slow", nargs="?", type=milliseconds_of, const=0.0, metavar="MS",
        help="the slowest first; only those that took at least MS, if given (250, 250ms, 1.5s)",
    )  # fmt: skip
    parser.add_argument("--errors", action="store_true", help="only traces in which a span failed")
    parser.add_argument(
        "--worker", metavar="NAME", help="only traces with a span of a service whose name contains NAME"
    )
    parser.add_argument("--name", metavar="TEXT", help="only traces with a span whose name contains TEXT")
    parser.add_argument(
        "--attribute",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="only traces with a span with this attribute",
    )
    parser.add_argument("--since", type=seconds_of, metavar="AGE", help="only those of the last AGE: 90s, 10m, 2h, 1d")
    parser.add_argument("--all", action="store_true", help="also calls of the engine's own functions")
    parser.add_argument(
        "--limit", type=int, default=_LIMIT, metavar="N", help=f"at most N traces (default: {_LIMIT}, at most {_MOST})"
    )
    parser.add_argument(
        "--json", action="store_true", help="print the first span of each, with all fields, as a JSON list"
    )
    add_address_options(parser)
    return parser


def run(arguments: list[str]) -> int:
    """`iii traces …`"""
    parser = build_parser()
    options = parser.parse(arguments)
    if not 0 < options.limit <= _MOST:
        parser.error(f"--limit: expected a whole number from 1 to {_MOST}, got {options.limit}")
    for pair in options.attribute:
        if not pair.partition("=")[1]:
            parser.error(f"--attribute: expected KEY=VALUE, got '{pair}'")
    address = address_of(options, parser)

    from iii.cli.engine_call import asked_several
    from iii.cli.output import json_text, print_table

    rows, errors, hint = asked_several(address, "traces", partial(_found, options=options))
    if options.json:
        print(json_text(rows))
    elif rows:
        head = ["TRACE", "STARTED", "DURATION", "ERRORS", "SERVICE", "NAME"]
        print_table(head, [_cells(row, errors[row["trace_id"]]) for row in rows])
    else:
        print(hint or _nothing(options))
    return 0


class _Found(NamedTuple):
    """First spans, how many spans of each of their traces failed, and why there are none, if that is known."""

    rows: list[dict[str, Any]]
    errors: Counter[str]
    hint: str | None


async def _found(ask: Asking, options: argparse.Namespace) -> _Found:
    everywhere: dict[str, Any] = {"search_all_spans": True, "include_internal": True, "sort_order": "desc"}
    request: dict[str, Any] = {"limit": options.limit * 2, "sort_order": "desc", "include_internal": options.all}
    if options.since is not None:
        request["start_time"] = everywhere["start_time"] = int((time.time() - options.since) * 1000)
    for each in _narrowing(options):
        known = {"trace_ids": request["trace_ids"]} if "trace_ids" in request else {}
        answer = await ask(LIST_TRACES, {**everywhere, **each, **known, "limit": _LOOKED_AT})
        request["trace_ids"] = list(dict.fromkeys(row["trace_id"] for row in answer["spans"]))
    if options.slow is not None:
        request |= {"sort_by": "duration", "min_duration_ms": options.slow}
    rows = (await ask(LIST_TRACES, request))["spans"]
    if incomplete := [
        row["trace_id"] for row in rows if row["parent_span_id"]
    ]:  # the first span may be beyond the limit
        whole = {"trace_ids": incomplete, "include_internal": options.all, "limit": _LOOKED_AT}
        rows += (await ask(LIST_TRACES, whole))["spans"]
    rows = _one_of_each(rows)[: options.limit]
    if not rows:
        newest = (await ask(LIST_TRACES, {**everywhere, "limit": LOOKED_AT}))["spans"] if options.worker else []
        return _Found([], Counter(), no_service("traces", options.worker or "", newest))
    failed = {**everywhere, "status": "error", "trace_ids": [row["trace_id"] for row in rows], "limit": _LOOKED_AT}
    spans = (await ask(LIST_TRACES, failed))["spans"]
    return _Found(rows, Counter(row["trace_id"] for row in spans), None)


def _narrowing(options: argparse.Namespace) -> list[dict[str, Any]]:
    """What some span of each trace has to be; not one span all of it."""
    return [
        *([{"service_name": options.worker}] if options.worker else []),
        *([{"name": options.name}] if options.name else []),
        *({"attributes": [pair.split("=", 1)]} for pair in options.attribute),
        *([{"status": "error"}] if options.errors else []),
    ]


def _one_of_each(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A trace that is not complete yet has several spans without a known parent: the one that began first counts."""
    first: dict[str, dict[str, Any]] = {}
    for row in rows:
        other = first.setdefault(row["trace_id"], row)
        if row["start_time_unix_nano"] < other["start_time_unix_nano"]:
            first[row["trace_id"]] = row
    return list(first.values())


def _cells(row: dict[str, Any], errors: int) -> list[str]:
    from iii.protocol.log_line import moment

    took = "running" if row.get("pending") else duration_text(row["end_time_unix_nano"] - row["start_time_unix_nano"])
    started = moment(row["start_time_unix_nano"] / 1e9)
    return [row["trace_id"], started, took, str(errors or ""), row["service_name"], row["name"]]


def _nothing(options: argparse.Namespace) -> str:
    chosen = options.errors or options.slow or options.worker or options.name or options.attribute or options.since
    if chosen:
        return "No traces match; 'iii traces' lists all."
    return "No traces are kept. Workers send spans if they have OpenTelemetry: see 'Find out what happened in a call' in docs/how-to/traces.md."
