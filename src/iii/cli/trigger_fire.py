"""`iii trigger fire`: run what a trigger calls now, as if its event had happened (07 §8.1)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from iii.cli.address import ENVIRONMENT, add_address_options, address_of
from iii.cli.parser import CommandFailed, Parser, fail, suggestion
from iii.protocol.names import LIST_REGISTERED_TRIGGERS, SUBSCRIBE

if TYPE_CHECKING:
    from msgspec import Raw

    from iii.cli.asking import Asking

_PROGRAM = "iii trigger fire"
_DESCRIPTION = """\
Calls the function of a trigger now, with what the trigger would send, and prints its result. The trigger's condition
is not asked.

  TRIGGER     id of the trigger: 'iii trigger list' shows all
  KEY=VALUE   of what happened, by type of the trigger:
              cron                                  nothing: it is due now
              http                                  members of the body, and the parameters of the path
              subscribe, durable:subscriber, queue  members of the message
              all others                            give the whole event with --json"""
_EXAMPLES = f"""\
examples:
  {_PROGRAM} 0b1f3c4d-5e6f-4a7b-8c9d-0e1f2a3b4c5d
  {_PROGRAM} on-order id=7 total=12.5
  {_PROGRAM} on-state --json '{{"event_type": "state:updated", "scope": "orders", "key": "7"}}'

{ENVIRONMENT}

exit codes: 0 answered (nothing is printed for null), 1 the call failed, 2 wrong usage"""
_MESSAGES = (SUBSCRIBE, "durable:subscriber", "queue")
_parameters = re.compile(r":([^/]+)").findall


def build_parser() -> Parser:
    """All options and arguments of the command."""
    parser = Parser(_PROGRAM, _DESCRIPTION, f"{_PROGRAM} TRIGGER [KEY=VALUE …] [options]", _EXAMPLES)
    parser.add_argument("trigger", metavar="TRIGGER", help="id of the trigger")
    parser.add_argument("pairs", metavar="KEY=VALUE", nargs="*", help="members of the body, the message or the event")
    parser.add_argument("--json", metavar="JSON", help="the body, the message or the event as JSON")
    add_address_options(parser)
    return parser


def run(arguments: list[str]) -> int:
    """`iii trigger fire …`"""
    parser = build_parser()
    options = parser.parse(arguments)
    address = address_of(options, parser)

    from iii.cli.engine_call import asked_several
    from iii.cli.output import json_text
    from iii.cli.payload import PayloadMistake, payload_of

    wanted = options.trigger
    try:
        given = payload_of(options.pairs, options.json)
    except PayloadMistake as error:
        return fail(str(error))
    nothing = not options.pairs and options.json is None

    async def fired(ask: Asking) -> Any:
        rows = await ask(LIST_REGISTERED_TRIGGERS, {"include_internal": True, "include_pending": True})
        found = {row["id"]: row for row in rows["registered_triggers"]}
        if wanted not in found:
            hint = suggestion(wanted, found) or "; 'iii trigger list' shows all"
            raise CommandFailed(f"unknown trigger '{wanted}'{hint}")
        row = found[wanted]
        event = _event(row, None if nothing else given)
        return await ask(row["function_id"], event, row["namespace"], row.get("metadata"))

    result = asked_several(address, "trigger", fired)
    if result is not None:
        print(json_text(result))
    return 0


def _event(trigger: dict[str, Any], given: Raw | None) -> object:
    """What the trigger sends. Raises CommandFailed: that cannot be made up."""
    kind, config = trigger["trigger_type"], trigger.get("config")
    config = config if isinstance(config, dict) else {}
    match kind:
        case "cron":
            if given is not None:
                raise CommandFailed("a cron trigger sends nothing but its times; leave KEY=VALUE and --json out")
            now = datetime.now(UTC).isoformat()
            # Not the id that the schedule sends: nobody is to take the run for one that was due
            return {"trigger": "cron", "job_id": "iii-cli", "scheduled_time": now, "actual_time": now}
        case "http":
            return _request(config, given)
        case _ if given is None and kind not in _MESSAGES:
            raise CommandFailed(f"what a trigger of type '{kind}' sends cannot be made up; give the event with --json")
    return {} if given is None else given


def _request(config: dict[str, Any], given: Raw | None) -> dict[str, Any]:
    import msgspec

    path, method = str(config.get("api_path", "")), str(config.get("http_method") or "GET").upper()
    path = path if path.startswith("/") else f"/{path}"
    body: Any = None if given is None else msgspec.json.decode(given)
    names = _parameters(path)
    members = body if isinstance(body, dict) else {}
    if missing := [name for name in names if name not in members]:
        raise CommandFailed(f"the path {path} has parameters: give {' '.join(f'{name}=…' for name in missing)}")
    parameters = {name: str(members.pop(name)) for name in names}
    return {
        "query_params": {}, "path_params": parameters, "headers": {}, "path": path, "method": method,
        "body": body or None if names else body, "trigger": {"type": "http", "path": path, "method": method},
    }  # fmt: skip
