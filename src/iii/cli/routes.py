"""`iii routes`: what is bound to HTTP (issue 4; 03 §A3)."""

from __future__ import annotations

import argparse
from functools import partial
from typing import TYPE_CHECKING, Any

from iii.cli.address import ENVIRONMENT, add_address_options, add_watch_option, address_of
from iii.cli.output import json_text, served_by, table_lines
from iii.cli.parser import Parser
from iii.protocol.names import LIST_FUNCTIONS, LIST_OBSERVERS, LIST_TRIGGERS, ON_REQUEST

if TYPE_CHECKING:
    from iii.cli.asking import Asking

PROGRAM = "iii routes"
_DESCRIPTION = """\
Lists the HTTP routes and the functions behind them. Of several routes with the same method and path, the newest one serves.
Routes whose worker left are not listed; until it is back, requests for them get 503, for 30 s (route_grace_ms), then 404.

columns:
  METHOD     HTTP method
  PATH       path, as registered
  FUNCTION   function called
  WORKER     worker that serves the function; (3 copies): how many serve it together; - if no worker does: requests fail"""


def build_parser() -> Parser:
    """All options of the command."""
    examples = f"examples:\n  {PROGRAM}\n  {PROGRAM} --search users --json"
    parser = Parser(PROGRAM, _DESCRIPTION, f"{PROGRAM} [options]", f"{examples}\n\n{ENVIRONMENT}")
    parser.add_argument("--search", metavar="TEXT", help="only routes whose path or function contains TEXT")
    parser.add_argument("--json", action="store_true", help="print the routes as a JSON list")
    add_watch_option(parser)
    add_address_options(parser)
    return parser


def run(arguments: list[str]) -> int:
    """`iii routes …`"""
    parser = build_parser()
    options = parser.parse(arguments)
    address = address_of(options, parser)

    from iii.cli.watched import shown

    return shown(address, "routes", partial(_lines, options=options), watch=options.watch)


async def _lines(ask: Asking, options: argparse.Namespace) -> list[str]:
    request = {"dialect": "legacy", "include_internal": True}
    triggers = (await ask(LIST_TRIGGERS, request))["triggers"]
    counted = {**request, "include_replicas": True}
    functions = {row["function_id"]: row for row in (await ask(LIST_FUNCTIONS, counted))["functions"]}
    routes = _routes(triggers, functions) + await _observed(ask, functions)
    routes.sort(key=lambda route: (route["path"], route["method"], route["function"]))
    if options.search:
        text = options.search.lower()
        routes = [route for route in routes if text in route["path"].lower() or text in route["function"].lower()]
    if options.json:
        return [json_text(routes)]
    cells = [
        [route["method"], route["path"], route["function"], served_by(route["worker"], route["copies"])]
        for route in routes
    ]
    return table_lines(["METHOD", "PATH", "FUNCTION", "WORKER"], cells) if cells else ["No routes."]


def _routes(triggers: list[dict[str, Any]], functions: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """One for each trigger."""
    routes = []
    for trigger in triggers:
        config = trigger.get("config")
        if trigger.get("trigger_type") != "http" or not isinstance(config, dict):
            continue
        path = config.get("api_path")
        if isinstance(path, str):  # a provider of a worker's own may want other keys
            routes.append(
                _route(config.get("http_method"), path, trigger["function_id"], functions, "trigger", trigger["id"])
            )
    return routes


async def _observed(ask: Asking, functions: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """One for each observer of requests: routes of clients that have no triggers."""
    from iii.protocol.errors import InvocationError

    try:
        observers = (await ask(LIST_OBSERVERS, {"function_id": ON_REQUEST}))["observers"]
    except InvocationError:  # an engine that has none, or does not let us list them
        return []
    return [
        _route(each["args"].get("method"), str(each["args"].get("path")), each["target"]["function_id"], functions, "observer",
               each["id"])
        for each in observers
    ]  # fmt: skip


def _route(
    method: object, path: str, function_id: str, functions: dict[str, dict[str, Any]], kind: str, its_id: str
) -> dict[str, Any]:
    row = functions.get(function_id, {})
    return {
        "method": method.upper() if isinstance(method, str) else "GET",
        "path": path if path.startswith("/") else f"/{path}",
        "function": function_id,
        "worker": row.get("worker_name"),
        "copies": row.get("replicas", 1) if row else 0,
        kind: its_id,
    }
