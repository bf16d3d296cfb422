"""`iii state`: look at shared state, and set a value (issue 5; 05 §1)."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

from iii.cli.address import ENVIRONMENT, Address, add_address_options, address_of
from iii.cli.parser import USAGE_ERROR, Parser, fail, suggestion
from iii.cli.payload import value_of

if TYPE_CHECKING:
    from iii import Worker

PROGRAM = "iii state"
_MODULE = "iii-state"
_DESCRIPTION = """\
Reads and writes the values that workers share.

  get SCOPE KEY          print a value as JSON; exit code 1 if the key is unknown
  set SCOPE KEY VALUE    set a value; VALUE is read as JSON if it is valid JSON (2, true, null, '{"a": 1}'), else as text
  delete SCOPE KEY       remove a key; succeeds for an unknown key too
  list                   print all scopes
  list SCOPE             print all keys of a scope with their values, a line each
  watch SCOPE [KEY]      print a line for each change, until Ctrl-C: time, what happened, key, new value"""
_EXAMPLES = f"""\
examples:
  {PROGRAM} set orders status open
  {PROGRAM} get orders status
  {PROGRAM} list orders --json
  {PROGRAM} list orders --keys
  {PROGRAM} watch orders

{ENVIRONMENT}

exit codes: 0 done, 1 unknown key or the call failed, 2 wrong usage"""
_USAGE = {
    "get": "SCOPE KEY",
    "set": "SCOPE KEY VALUE",
    "delete": "SCOPE KEY",
    "list": "[SCOPE]",
    "watch": "SCOPE [KEY]",
}


def build_parser() -> Parser:
    """All options and arguments of the command."""
    parser = Parser(
        PROGRAM, _DESCRIPTION, f"{PROGRAM} get|set|delete|list|watch [SCOPE [KEY [VALUE]]] [options]", _EXAMPLES
    )
    parser.add_argument("words", nargs="*", help="subcommand and its arguments")
    parser.add_argument(
        "--json",
        action="store_true",
        help="list: print a JSON object of keys and values, or a JSON list; watch: print changes as lines of JSON",
    )
    parser.add_argument("--keys", action="store_true", help="list SCOPE: print only the keys, of a scope of any size")
    add_address_options(parser)
    return parser


def run(arguments: list[str]) -> int:
    """`iii state …`"""
    parser = build_parser()
    options = parser.parse(arguments)
    address = address_of(options, parser)

    from iii.cli.engine_call import in_words
    from iii.protocol.errors import InvocationError

    try:
        match options.words:
            case ["get", scope, key]:
                return _get(address, scope, key)
            case ["set", scope, key, value]:
                return _set(address, scope, key, value)
            case ["delete", scope, key]:
                return _delete(address, scope, key)
            case ["list"]:
                return _scopes(address, options.json)
            case ["list", scope] if options.keys:
                return _keys(address, scope, options.json)
            case ["list", scope]:
                return _entries(address, scope, options.json)
            case ["watch", scope, *keys] if len(keys) <= 1:
                return _watch(address, scope, keys[0] if keys else None, options.json)
            case []:
                parser.print_help()
                return USAGE_ERROR
            case words:
                parser.refuse_words(words, _USAGE)
    except InvocationError as error:
        hint = f"; for the keys alone: {PROGRAM} list SCOPE --keys" if error.code == "SNAPSHOT_CAPACITY" else ""
        return fail(f"{in_words(error, _MODULE)}{hint}")


def _ask(address: Address, function_id: str, payload: dict[str, Any]) -> Any:
    from iii.cli.engine_call import ask

    return ask(address, "state", function_id, payload).result


def _pages(address: Address, scope: str) -> list[tuple[str, Any]]:
    """All keys and values, out of one snapshot."""
    from iii.cli.engine_call import ask

    entries: list[tuple[str, Any]] = []
    first = {"scope": scope, "limit": 1000, "max_bytes": 8_000_000}

    def following(page: Any) -> object | None:
        entries.extend((key, value) for key, value in page["entries"])
        cursor = page["next_cursor"]
        return None if cursor is None else {**first, "cursor": cursor}

    ask(address, "state", "state::list_entries", first, following=following)
    return entries


def _get(address: Address, scope: str, key: str) -> int:
    from iii.cli.output import json_text

    value = _ask(address, "state::get", {"scope": scope, "key": key})
    if value is None and _is_missing(address, scope, key):
        return fail(f"unknown key '{key}' in scope '{scope}'{_meant(address, scope, key)}")
    print(json_text(value))
    return 0


def _meant(address: Address, scope: str, key: str | None = None) -> str:
    """The key of the scope that was meant, or the scope."""
    from iii.cli.known import SCOPES, meant

    keys = [] if key is None else _ask(address, "state::list_keys", {"scope": scope})["keys"]
    return suggestion(key or "", keys) if keys else meant(address, "state", scope, SCOPES)


def _is_missing(address: Address, scope: str, key: str) -> bool:
    """Whether there is no such key; a stored null is read like one that is missing."""
    never = "no value, only a question of iii state"  # what is not equal to that stays as it is
    question = {"scope": scope, "key": key, "expected_value": never, "new_value": never}
    return bool(_ask(address, "state::compare_and_set", question)["outcome"] == "not_found")


def _set(address: Address, scope: str, key: str, text: str) -> int:
    _ask(address, "state::set", {"scope": scope, "key": key, "value": value_of(text)})
    return 0


def _delete(address: Address, scope: str, key: str) -> int:
    _ask(address, "state::delete", {"scope": scope, "key": key})
    return 0


def _keys(address: Address, scope: str, as_json: bool) -> int:
    from iii.cli.output import json_text, print_table

    keys = _ask(address, "state::list_keys", {"scope": scope})["keys"]
    if as_json:
        print(json_text(keys))
    elif keys:
        print_table(["KEY"], [[key] for key in keys])
    else:
        print(f"No keys in scope '{scope}'{_meant(address, scope) or '.'}")
    return 0


def _scopes(address: Address, as_json: bool) -> int:
    from iii.cli.output import json_text, print_table

    scopes = _ask(address, "state::list_groups", {})["groups"]
    if as_json:
        print(json_text(scopes))
    elif scopes:
        print_table(["SCOPE"], [[scope] for scope in scopes])
    else:
        print("No scopes.")
    return 0


def _entries(address: Address, scope: str, as_json: bool) -> int:
    from iii.cli.output import json_text, print_table

    entries = _pages(address, scope)
    if as_json:
        print(json_text(dict(entries), sort_keys=False))
    elif entries:
        print_table(["KEY", "VALUE"], [[key, json.dumps(value, ensure_ascii=False)] for key, value in entries])
    else:
        print(f"No keys in scope '{scope}'{_meant(address, scope) or '.'}")
    return 0


def _watch(address: Address, scope: str, key: str | None, as_json: bool) -> int:
    from iii.cli.following import Followed, follow

    def show(event: Any) -> None:
        print(json.dumps(event) if as_json else _line(event), flush=True)

    async def tell(worker: Worker) -> None:
        answer = await worker.trigger_async({"function_id": "state::list_groups", "payload": {}})
        if scope not in answer["groups"]:
            near = suggestion(scope, answer["groups"]) or "; waiting for its first change"
            print(f"scope '{scope}' has no keys yet{near}", file=sys.stderr, flush=True)

    config = {"scope": scope} | ({} if key is None else {"key": key})
    follow(address, Followed("state", "state", config, show, tell, _MODULE))
    return 0


def _line(event: dict[str, Any]) -> str:
    from iii.protocol.names import without_control_characters

    kind = str(event["event_type"]).rpartition(":")[2]
    value = event["old_value"] if kind == "deleted" else event["new_value"]
    text = "  ".join(
        [time.strftime("%H:%M:%S%z"), f"{kind:7}", str(event["key"]), json.dumps(value, ensure_ascii=False)]
    )
    return without_control_characters(text)
