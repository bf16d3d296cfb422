"""`iii trace ID`: one trace as a waterfall (19 §4)."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from iii.cli.address import ENVIRONMENT, add_address_options, address_of
from iii.cli.parser import Parser
from iii.cli.trace_ids import (
    LIST_LOGS,
    LIST_TRACES,
    TRACE_TREE,
    NoSuchTrace,
    trace_id_of,
    typed_trace_id,
    wrong_trace_id,
)

if TYPE_CHECKING:
    from iii.cli.asking import Asking

PROGRAM = "iii trace"
_DESCRIPTION = """\
Shows one trace: its spans, each below the one that caused it, on one time line, with what failed.

  ID   of the trace, or its beginning; a traceparent header will do"""
_EXAMPLES = f"""\
examples:
  {PROGRAM} 0af7651916cd43dd8448eb211c80319c
  {PROGRAM} 0af76519 --logs
  {PROGRAM} 0af76519 --details

{ENVIRONMENT}"""
_LIMIT = 500
_MOST = 100_000
_LOGS = 1_000


def build_parser() -> Parser:
    """All options and arguments of the command."""
    parser = Parser(PROGRAM, _DESCRIPTION, f"{PROGRAM} ID [options]", _EXAMPLES)
    parser.add_argument("words", nargs="*", help=argparse.SUPPRESS)
    parser.add_argument("--logs", action="store_true", help="also the log records of the trace, below their spans")
    parser.add_argument("--details", action="store_true", help="also attributes, events and stack traces of each span")
    parser.add_argument(
        "--limit",
        type=int,
        default=_LIMIT,
        metavar="N",
        help=f"at most N spans and {_LOGS} records (default: {_LIMIT})",
    )
    parser.add_argument("--json", action="store_true", help="print the tree, and with --logs the records, as JSON")
    add_address_options(parser)
    return parser


def run(arguments: list[str]) -> int:
    """`iii trace …`"""
    parser = build_parser()
    options = parser.parse(arguments)
    if len(options.words) != 1:
        given = "is missing" if not options.words else f"is one argument, got {len(options.words)}"
        parser.error(f"ID {given}; 'iii traces' lists ids")
    if not 0 < options.limit <= _MOST:
        parser.error(f"--limit: expected a whole number from 1 to {_MOST}, got {options.limit}")
    wanted = typed_trace_id(options.words[0])
    if wanted is None:
        parser.error(wrong_trace_id(options.words[0]))
    address = address_of(options, parser)

    from iii.cli.engine_call import asked_several
    from iii.cli.output import json_text
    from iii.cli.waterfall import Waterfall

    trace_id, roots, logs = asked_several(address, "trace", partial(_found, wanted=wanted, logs=options.logs))
    if options.json:
        print(json_text({"trace_id": trace_id, "roots": roots, **({"logs": logs} if options.logs else {})}))
    else:
        waterfall = Waterfall(roots, logs, details=options.details, limit=options.limit)
        print("\n".join(waterfall.lines(trace_id)))
    return 0


async def _found(ask: Asking, wanted: str, logs: bool) -> tuple[str, list[dict[str, Any]], list[dict[str, Any]]]:
    """The trace's whole id, its tree, and its log records, oldest first."""
    trace_id = await trace_id_of(ask, wanted)
    roots = await _tree(ask, trace_id)
    if not roots:
        raise NoSuchTrace(wanted)  # it has left meanwhile
    records = (await ask(LIST_LOGS, {"trace_id": trace_id, "limit": _LOGS}))["logs"] if logs else []
    return trace_id, roots, records[::-1]


async def _tree(ask: Asking, trace_id: str) -> list[dict[str, Any]]:
    """As the engine makes it; one too deep for a JSON answer is put together here."""
    from iii.protocol.errors import InvocationError

    try:
        roots: list[dict[str, Any]] = (await ask(TRACE_TREE, {"trace_id": trace_id}))["roots"]
        return roots
    except InvocationError as error:
        request = {"trace_id": trace_id, "search_all_spans": True, "include_internal": True, "limit": _MOST}
        spans = (await ask(LIST_TRACES, request))["spans"]
        if not spans:
            raise
        print(
            f"the tree of this trace is not available ({error.code}); shown without 'collapse_spans'", file=sys.stderr
        )
        return nested(spans)


def nested(spans: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Trees of spans in the order of their start."""
    by_id = {span["span_id"]: {**span, "children": []} for span in spans}
    roots: list[dict[str, Any]] = []
    for span in by_id.values():
        parent = by_id.get(span["parent_span_id"] or "")
        (roots if parent is None else parent["children"]).append(span)
    return roots
