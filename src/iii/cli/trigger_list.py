"""`iii trigger list`: which triggers call what (02 §5.9)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from iii.cli.address import ENVIRONMENT, add_address_options, add_watch_option, address_of
from iii.cli.parser import Parser
from iii.protocol.names import LIST_REGISTERED_TRIGGERS

if TYPE_CHECKING:
    from iii.cli.asking import Asking

_PROGRAM = "iii trigger list"
_DESCRIPTION = """\
Lists the triggers that are registered: what calls which function. 'iii trigger fire' runs the function of one.

columns:
  TYPE       trigger type, such as http, cron, subscribe
  FUNCTION   function called
  CONFIG     beginning of the trigger's config
  WORKER     worker that serves the function
  TRIGGER    id of the trigger; (pending): no worker provides its type"""
_EXAMPLES = f"""\
examples:
  {_PROGRAM}
  {_PROGRAM} --type cron
  {_PROGRAM} --function orders::create --json

{ENVIRONMENT}"""


def build_parser() -> Parser:
    """All options of the command."""
    parser = Parser(_PROGRAM, _DESCRIPTION, f"{_PROGRAM} [options]", _EXAMPLES)
    parser.add_argument("--type", metavar="TYPE", help="only triggers of this type")
    parser.add_argument("--function", metavar="ID", help="only triggers of this function")
    parser.add_argument("--all", action="store_true", help="also triggers of the engine's own functions")
    parser.add_argument("--search", metavar="TEXT", help="only triggers whose id, type or function contains TEXT")
    parser.add_argument("--json", action="store_true", help="print all triggers with all fields as a JSON list")
    add_watch_option(parser)
    add_address_options(parser)
    return parser


def run(arguments: list[str]) -> int:
    """`iii trigger list …`"""
    parser = build_parser()
    options = parser.parse(arguments)
    address = address_of(options, parser)

    from iii.cli.watched import shown

    request = {
        "trigger_type": options.type, "function_id": options.function, "search": options.search,
        "include_internal": options.all, "include_pending": True,
    }  # fmt: skip
    return shown(address, "trigger", partial(_lines, request=request, as_json=options.json), watch=options.watch)


async def _lines(ask: Asking, request: dict[str, Any], *, as_json: bool) -> list[str]:
    from iii.cli.output import json_text, table_lines

    rows = (await ask(LIST_REGISTERED_TRIGGERS, request))["registered_triggers"]
    rows.sort(key=lambda row: (row["trigger_type"], row["function_id"], row["id"]))
    if as_json:
        return [json_text(rows)]
    cells = [
        [
            row["trigger_type"],
            row["function_id"],
            row["config_summary"],
            row["worker_name"],
            f"{row['id']} (pending)" if row.get("state") == "pending" else row["id"],
        ]
        for row in rows
    ]
    return table_lines(["TYPE", "FUNCTION", "CONFIG", "WORKER", "TRIGGER"], cells) if cells else ["No triggers."]
