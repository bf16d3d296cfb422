"""`iii cron`: schedules, when they are due, and a run before that (04 §12)."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from iii.cli.address import ENVIRONMENT, Address, add_address_options, add_watch_option, address_of
from iii.cli.parser import USAGE_ERROR, Parser, fail
from iii.protocol.names import LIST_TRIGGERS

if TYPE_CHECKING:
    from iii.cli.asking import Asking

PROGRAM = "iii cron"
_DESCRIPTION = """\
Lists schedules, works out when an expression is due, and runs what a schedule calls before it is due.

  list               list the schedules that are registered, the next one first
  next EXPRESSION    print the next times of an expression; without an engine
  fire FUNCTION      call the function of a schedule now, as if it were due; prints its result

columns of list:
  NEXT (UTC)   the next three times; - if it is never due again, or the expression is not a cron expression
  EXPRESSION   cron expression, as registered
  TIMEZONE     time zone of the expression
  FUNCTION     function called"""
_NEXT = 3
_MOST = 1000
_RFC_3339 = "%Y-%m-%dT%H:%M:%SZ"
_USAGE = {"list": "", "next": "EXPRESSION", "fire": "FUNCTION"}


def build_parser() -> Parser:
    """All options and arguments of the command."""
    examples = f"examples:\n  {PROGRAM} list\n  {PROGRAM} next '0 9 * * mon-fri' --timezone Europe/Berlin\n  {PROGRAM} fire reports::nightly"
    parser = Parser(
        PROGRAM,
        _DESCRIPTION,
        f"{PROGRAM} list|next|fire [EXPRESSION|FUNCTION] [options]",
        f"{examples}\n\n{ENVIRONMENT}",
    )
    parser.add_argument("words", nargs="*", help="subcommand and its argument")
    parser.add_argument(
        "--timezone", metavar="ZONE", default="UTC", help="next: IANA time zone of the expression (default: UTC)"
    )
    parser.add_argument("--count", metavar="N", type=_count, default=5, help="next: how many times (default: 5)")
    parser.add_argument(
        "--quartz", action="store_true", help="count days of the week from 1 (Sunday), as `day_of_week: quartz`"
    )
    parser.add_argument("--json", action="store_true", help="print the schedules as a JSON list")
    add_watch_option(parser)
    add_address_options(parser)
    return parser


def run(arguments: list[str]) -> int:
    """`iii cron …`"""
    parser = build_parser()
    options = parser.parse(arguments)
    match options.words:
        case []:
            parser.print_help()
            return USAGE_ERROR
        case ["list"]:
            from iii.cli.watched import shown

            lines = partial(_lines, as_json=options.json, quartz=options.quartz)
            return shown(address_of(options, parser), "cron", lines, watch=options.watch)
        case ["next", expression]:
            return _print_next(expression, options)
        case ["fire", function_id]:
            return _fire(address_of(options, parser), function_id)
        case words:
            parser.refuse_words(words, _USAGE)


def _count(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= _MOST:
        raise argparse.ArgumentTypeError(f"expected a number from 1 to {_MOST}, got '{text}'")
    return int(text)


def _print_next(text: str, options: argparse.Namespace) -> int:
    from zoneinfo import ZoneInfo

    from iii.cli.output import json_text
    from iii.protocol.cron_expression import Expression, InvalidExpression

    try:
        zone = ZoneInfo(options.timezone)
    except (KeyError, ValueError, OSError):
        return fail(f"--timezone: unknown time zone '{options.timezone}'; name one like Europe/Berlin or UTC")
    try:
        expression = Expression(text, zone, "quartz" if options.quartz else "documented")
    except InvalidExpression as error:
        return fail(f"'{text}': {error}")
    times = list(expression.upcoming(datetime.now(UTC), options.count))
    if options.json:
        print(json_text([each.strftime(_RFC_3339) for each in times]))
    elif times:
        print("\n".join(each.astimezone(zone).strftime("%a %Y-%m-%d %H:%M:%S %Z") for each in times))
    else:
        print("Never.")
    return 0


def _fire(address: Address, function_id: str) -> int:
    """What the schedule itself would send, but for its id: nobody is to take the run for one that was due."""
    from iii.cli.engine_call import ask
    from iii.cli.known import function_meant
    from iii.cli.output import json_text
    from iii.protocol.errors import InvocationError

    now = datetime.now(UTC).isoformat()
    event = {"trigger": "cron", "job_id": "iii-cli", "scheduled_time": now, "actual_time": now}
    try:
        result = ask(address, "cron", function_id, event).result
    except InvocationError as error:
        near = function_meant(address, "cron", function_id, error.code)
        return fail(f"{error.code}: {error.message}{near}")
    if result is not None:
        print(json_text(result))
    return 0


async def _lines(ask: Asking, *, as_json: bool, quartz: bool) -> list[str]:
    from iii.cli.output import json_text, table_lines

    triggers = (await ask(LIST_TRIGGERS, {"dialect": "legacy", "include_internal": True}))["triggers"]
    schedules = _schedules(triggers, datetime.now(UTC), quartz=quartz)
    if as_json:
        return [json_text(schedules)]
    cells = [
        [", ".join(map(_shown, each["next"])) or "-", each["expression"], each["timezone"], each["function"]]
        for each in schedules
    ]
    return table_lines(["NEXT (UTC)", "EXPRESSION", "TIMEZONE", "FUNCTION"], cells) if cells else ["No schedules."]


def _schedules(triggers: list[dict[str, Any]], now: datetime, *, quartz: bool) -> list[dict[str, Any]]:
    schedules = []
    for trigger in triggers:
        config = trigger.get("config")
        if trigger.get("trigger_type") == "cron" and isinstance(config, dict):
            expression, zone = str(config.get("expression")), str(config.get("timezone") or "UTC")
            schedules.append(
                {
                    "next": _next(expression, zone, now, quartz),
                    "expression": expression,
                    "timezone": zone,
                    "function": trigger["function_id"],
                    "trigger": trigger["id"],
                }
            )
    return sorted(schedules, key=lambda each: (not each["next"], each["next"], each["function"]))


def _next(expression: str, zone: str, now: datetime, quartz: bool) -> list[str]:
    """RFC 3339; none for a schedule of a worker's own type of that name, which may mean something else."""
    from zoneinfo import ZoneInfo

    from iii.protocol.cron_expression import Expression, InvalidExpression

    try:
        parsed = Expression(expression, ZoneInfo(zone), "quartz" if quartz else "documented")
    except (InvalidExpression, KeyError, ValueError, OSError):
        return []
    return [each.strftime(_RFC_3339) for each in parsed.upcoming(now, _NEXT)]


def _shown(time: str) -> str:
    return time.removesuffix("Z").replace("T", " ")
