"""`iii logs`: log records of workers and of the engine, as they are or as they come (06 §10.4)."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from iii.cli.address import ENVIRONMENT, Address, add_address_options, address_of
from iii.cli.durations import seconds_of
from iii.cli.parser import Parser, fail
from iii.cli.services import LOOKED_AT, no_service
from iii.cli.trace_ids import LIST_LOGS, NoSuchTrace, trace_id_of, typed_trace_id, wrong_trace_id

if TYPE_CHECKING:
    from iii.cli.asking import Asking

PROGRAM = "iii logs"
_DESCRIPTION = """\
Prints the log records that the engine keeps, of workers and of its own, oldest first: time, severity, service, text, attributes."""
_EXAMPLES = f"""\
examples:
  {PROGRAM}
  {PROGRAM} -f --level warn
  {PROGRAM} --worker orders --limit 20
  {PROGRAM} --level warn --since 10m
  {PROGRAM} --trace 0af76519
  {PROGRAM} -f --json | jq .body

{ENVIRONMENT}"""
LEVELS = {"trace": 1, "debug": 5, "info": 9, "warn": 13, "error": 17, "fatal": 21}
_LIMIT = 100
_MOST = 1_000_000
_POLL_S = 0.5
_AT_ONCE = 1_000  # records of one answer while following
_OF_THE_ENGINE = (
    "file",
    "line",
    "target",
    "event",
    "stacktrace",
)  # attributes that only --json shows, or as lines below


def build_parser() -> Parser:
    """All options of the command."""
    parser = Parser(PROGRAM, _DESCRIPTION, f"{PROGRAM} [-f] [options]", _EXAMPLES)
    parser.add_argument("-f", "--follow", action="store_true", help="go on with each record that comes, until Ctrl-C")
    parser.add_argument("--level", metavar="LEVEL", help=f"only records of this severity or above: {', '.join(LEVELS)}")
    parser.add_argument("--worker", metavar="NAME", help="only records whose service name contains NAME")
    parser.add_argument("--trace", metavar="ID", help="only records of one trace: its id, or the beginning of it")
    parser.add_argument(
        "--since",
        type=seconds_of,
        metavar="AGE",
        help="of those there are, only those of the last AGE: 90s, 10m, 2h, 1d",
    )
    parser.add_argument(
        "--limit", type=int, default=_LIMIT, metavar="N", help=f"the newest N of those there are (default: {_LIMIT})"
    )
    parser.add_argument(
        "--json", action="store_true", help="print each record as one line of JSON, with all that it has"
    )
    add_address_options(parser)
    return parser


def run(arguments: list[str]) -> int:
    """`iii logs …`"""
    parser = build_parser()
    options = parser.parse(arguments)
    if not 0 <= options.limit <= _MOST:
        parser.error(f"--limit: expected a whole number from 0 to {_MOST}, got {options.limit}")
    wanted = _wanted(options, parser)
    since = {} if options.since is None else {"start_time": int((time.time() - options.since) * 1000)}
    address = address_of(options, parser)

    from iii.cli.engine_call import asked_several

    answer = asked_several(address, "logs", partial(_there, wanted=wanted, since=since, options=options))
    show = partial(_show, as_json=options.json, with_trace=not options.trace)
    for record in reversed(answer["logs"]):
        show(record)
    if hint := answer.get("hint"):
        _say(hint)
    elif not (answer["logs"] or options.follow or options.trace):
        _say(_nothing(options, answer["total"]))
    return asyncio.run(_follow(address, wanted, answer["cursor"], show)) if options.follow else 0


def _wanted(options: argparse.Namespace, parser: Parser) -> dict[str, Any]:
    asked: dict[str, Any] = {}
    if options.level is not None:
        if options.level.lower() not in LEVELS:
            parser.error(f"--level: expected one of {', '.join(LEVELS)}, got '{options.level}'")
        asked["severity_min"] = LEVELS[options.level.lower()]
    if options.worker is not None:
        asked["service_name"] = options.worker
    if options.trace is not None:
        asked["trace_id"] = typed_trace_id(options.trace)
        if asked["trace_id"] is None:
            parser.error(f"--trace: {wrong_trace_id(options.trace)}")
    return asked


def _nothing(options: argparse.Namespace, total: int) -> str:
    from iii.cli.output import counted

    if total:
        return f"{counted(total, 'log record')} kept; --limit {options.limit} shows none of them"
    if options.worker or options.level or options.since is not None:
        return "No log records match; 'iii logs' shows all."
    return "No log records are kept."


async def _there(
    ask: Asking, wanted: dict[str, Any], since: dict[str, Any], options: argparse.Namespace
) -> dict[str, Any]:
    """The records that are there; of a trace of which only the beginning was typed, `wanted` gets the whole id."""
    answer: dict[str, Any] = await ask(LIST_LOGS, {**wanted, **since, "limit": options.limit})
    if options.worker and not answer["total"]:
        newest = (await ask(LIST_LOGS, {"limit": LOOKED_AT}))["logs"]
        answer["hint"] = no_service("log records", options.worker, newest)
    if options.trace is None or answer["total"]:
        return answer
    all_of_trace = await ask(LIST_LOGS, {"trace_id": wanted["trace_id"], "limit": 0})
    if not all_of_trace["total"]:
        try:
            trace_id = await trace_id_of(ask, wanted["trace_id"])
        except NoSuchTrace as unknown:
            if not options.follow:
                raise
            _say(f"{unknown}; waiting for its records")
            return answer
        if trace_id != wanted["trace_id"]:
            wanted["trace_id"] = trace_id
            answer = await ask(LIST_LOGS, {**wanted, **since, "limit": options.limit})
    if not answer["total"]:
        _say(f"trace {wanted['trace_id']} has no log records{' that match' if len(wanted) + len(since) > 1 else ''}")
    return answer


async def _follow(address: Address, asked: dict[str, Any], cursor: int, show: Callable[[dict[str, Any]], None]) -> int:
    """Each record once, whatever its time says; an engine that is away is waited for, as the SDK's own lines say."""
    from iii import InvocationError, InvocationTimeout, RegistrationRejected, connect_worker
    from iii.cli.command_worker import worker_options
    from iii.protocol.address import masked

    options = worker_options(address, "logs")
    try:
        async with connect_worker(address.url, options) as worker:
            while True:
                await asyncio.sleep(_POLL_S)
                request = {**asked, "after": cursor, "limit": _AT_ONCE}
                try:
                    answer = await worker.trigger_async(
                        {"function_id": LIST_LOGS, "payload": request, "timeout_ms": address.timeout_ms}
                    )
                except InvocationTimeout:  # it is asked again
                    continue
                cursor = answer["cursor"]
                if answer["missed"]:
                    _say(f"{answer['missed']} records were forgotten before they could be read")
                for record in answer["logs"]:
                    show(record)
    except RegistrationRejected as error:
        return fail(f"the engine at {masked(address.url)} refused this command: {error}")
    except InvocationError as error:
        return fail(f"{error.code}: {error.message}")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _show(record: dict[str, Any], as_json: bool, with_trace: bool) -> None:
    from iii.cli.output import json_line

    print(json_line(record) if as_json else line(record, with_trace=with_trace), flush=True)


def line(record: dict[str, Any], *, details: bool = False, with_trace: bool = False) -> str:
    """One record for people; a stack trace stands below it.

    Args:
        details: whether the place in the source that wrote it is shown: it is longer than what was written.
        with_trace: whether the id of its trace is shown, for `iii trace`: not where all have the same.
    """
    from iii.protocol.log_line import moment, one_line

    attributes = dict(record["attributes"])
    at = moment((record["timestamp_unix_nano"] or record["observed_timestamp_unix_nano"]) / 1e9)
    part = attributes.pop("service.name", None)
    for key in ("trace_id", "span_id"):  # Node clients repeat them
        if attributes.get(key) == record.get(key):
            attributes.pop(key, None)
    if with_trace and record.get("trace_id"):
        attributes["trace_id"] = record["trace_id"]
    names = " ".join(str(name) for name in (record["service_name"], part) if name)
    trace = str(attributes.get("stacktrace", ""))
    own = record.get("instrumentation_scope_name") == "tracing"
    shown = [
        f"{key}={json.dumps(value, ensure_ascii=False)}"
        for key, value in attributes.items()
        if not (own and key in _OF_THE_ENGINE) and (details or not key.startswith("code."))
    ]
    values = f" ({', '.join(shown)})" if shown else ""
    text = one_line(f"[{at}] [{record['severity_text']}] {names} {record['body']}{values}")
    below = [f"    {one_line(each)}" for each in trace.splitlines()] if own else []
    return "\n".join([text, *below])
