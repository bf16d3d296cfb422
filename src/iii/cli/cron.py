"""`iii cron list`: schedules and when they are due (issue 6; 04 §12)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from iii.cli.address import ENVIRONMENT, add_address_options, address_of
from iii.cli.parser import USAGE_ERROR, Parser
from iii.protocol.names import LIST_TRIGGERS

PROGRAM = "iii cron"
_DESCRIPTION = """\
Lists the schedules that are registered, the next one first.

columns:
  NEXT (UTC)   the next three times; - if it is never due again, or the expression is not a cron expression
  EXPRESSION   cron expression, as registered
  TIMEZONE     time zone of the expression
  FUNCTION     function called"""
_NEXT = 3


def build_parser() -> Parser:
    """All options and arguments of the command."""
    examples = f"examples:\n  {PROGRAM} list\n  {PROGRAM} list --json"
    parser = Parser(PROGRAM, _DESCRIPTION, f"{PROGRAM} list [options]", f"{examples}\n\n{ENVIRONMENT}")
    parser.add_argument("words", nargs="*", help="subcommand: list")
    parser.add_argument(
        "--quartz", action="store_true", help="count days of the week from 1 (Sunday), as `day_of_week: quartz`"
    )
    parser.add_argument("--json", action="store_true", help="print the schedules as a JSON list")
    add_address_options(parser)
    return parser


def run(arguments: list[str]) -> int:
    """`iii cron …`"""
    parser = build_parser()
    options = parser.parse(arguments)
    if options.words == []:
        parser.print_help()
        return USAGE_ERROR
    if options.words != ["list"]:
        parser.refuse_command(options.words[0], ["list"])
    address = address_of(options, parser)

    from iii.cli.engine_call import asked
    from iii.cli.output import json_text, print_table

    request = {"dialect": "legacy", "include_internal": True}
    triggers = asked(address, "cron", LIST_TRIGGERS, request).result["triggers"]
    schedules = _schedules(triggers, datetime.now(UTC), quartz=options.quartz)
    if options.json:
        print(json_text(schedules))
    elif schedules:
        print_table(
            ["NEXT (UTC)", "EXPRESSION", "TIMEZONE", "FUNCTION"],
            [
                [", ".join(map(_shown, each["next"])) or "-", each["expression"], each["timezone"], each["function"]]
                for each in schedules
            ],
        )
    else:
        print("No schedules.")
    return 0


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
    return [each.strftime("%Y-%m-%dT%H:%M:%SZ") for each in parsed.upcoming(now, _NEXT)]


def _shown(time: str) -> str:
    return time.removesuffix("Z").replace("T", " ")
