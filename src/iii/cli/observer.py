"""`iii observer`: functions that run after calls of others, and whether they do (28 §5)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from iii.cli.address import ENVIRONMENT, Address, add_address_options, add_watch_option, address_of
from iii.cli.output import json_text, table_lines
from iii.cli.parser import USAGE_ERROR, Parser
from iii.protocol.names import LIST_OBSERVERS, OBSERVER

if TYPE_CHECKING:
    from iii.cli.asking import Asking

PROGRAM = "iii observer"
_STATES = ("pending", "active", "suspended", "error")
_DESCRIPTION = """\
Lists observers: functions that the engine calls after calls of other functions.

  list       list the observers of all workers
  info ID    print everything about one observer as JSON: filters, what it captures, why it does not deliver

columns of list:
  FUNCTION   function whose calls are observed
  ON         calls that end so: success, error, or complete for both
  TARGET     function that is called
  STATE      active, pending, suspended or error; with the reason
  FIRES      how many times the target was called
  DROPPED    how many times it was not, such as while its worker was away
  ID         id of the observer, for 'iii observer info'"""
_USAGE = {"list": "", "info": "ID"}


def build_parser() -> Parser:
    """All options and arguments of the command."""
    examples = f"examples:\n  {PROGRAM} list\n  {PROGRAM} list --function orders::create\n  {PROGRAM} info audit"
    parser = Parser(PROGRAM, _DESCRIPTION, f"{PROGRAM} list|info [ID] [options]", f"{examples}\n\n{ENVIRONMENT}")
    parser.add_argument("words", nargs="*", help="subcommand and its argument")
    parser.add_argument("--function", metavar="ID", help="list: only observers of this function")
    parser.add_argument("--state", choices=_STATES, help="list: only observers in this state")
    parser.add_argument("--search", metavar="TEXT", help="list: only rows whose function, target or id contains TEXT")
    parser.add_argument("--json", action="store_true", help="list: print all observers with all fields as a JSON list")
    add_watch_option(parser)
    add_address_options(parser)
    return parser


def run(arguments: list[str]) -> int:
    """`iii observer …`"""
    parser = build_parser()
    options = parser.parse(arguments)
    match options.words:
        case []:
            parser.print_help()
            return USAGE_ERROR
        case ["list"]:
            from iii.cli.watched import shown

            wanted = {"function_id": options.function, "state": options.state}
            lines = partial(_lines, wanted=wanted, search=options.search or "", as_json=options.json)
            return shown(address_of(options, parser), "observer", lines, watch=options.watch)
        case ["info", observer_id]:
            _info(address_of(options, parser), observer_id)
        case words:
            parser.refuse_words(words, _USAGE)
    return 0


async def _lines(ask: Asking, *, wanted: dict[str, str | None], search: str, as_json: bool) -> list[str]:
    request = {name: value for name, value in wanted.items() if value is not None}
    rows: list[dict[str, Any]] = (await ask(LIST_OBSERVERS, request))["observers"]
    rows = [row for row in rows if search.lower() in f"{row['function_id']} {_target(row)} {row['id']}".lower()]
    if as_json:
        return [json_text(rows)]
    if not rows:
        return ["No observers."]
    return table_lines(["FUNCTION", "ON", "TARGET", "STATE", "FIRES", "DROPPED", "ID"], sorted(map(_cells, rows)))


def _info(address: Address, observer_id: str) -> None:
    from iii.cli.engine_call import asked

    print(json_text(asked(address, "observer", OBSERVER, {"id": observer_id}).result["observer"]))


def _cells(row: dict[str, Any]) -> list[str]:
    reason = row.get("reason")
    return [
        _named(row["function_id"], row.get("namespace")),
        row["on"],
        _target(row),
        row["state"] if reason is None else f"{row['state']}: {reason['code']}",
        str(row["fires"]),
        str(sum((row.get("dropped") or {}).values())),
        row["id"],
    ]


def _target(row: dict[str, Any]) -> str:
    return _named(row["target"]["function_id"], row["target"].get("namespace"))


def _named(function_id: str, namespace: str | None) -> str:
    return function_id if namespace in (None, "default") else f"{function_id} in {namespace}"
