"""`iii stream`: items of streams, and their events as they happen (05 §4, §5.1)."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

from iii.cli.address import ENVIRONMENT, Address, add_address_options, address_of
from iii.cli.parser import USAGE_ERROR, Parser, fail, suggestion
from iii.cli.payload import value_of

if TYPE_CHECKING:
    from iii import TriggerRequest, Worker

PROGRAM = "iii stream"
_MODULE = "iii-stream"
_PAGE = 500  # subscribers that are printed
_DESCRIPTION = """\
Reads and writes the items of streams, and follows their events.

  list                          print all streams and their groups
  list NAME GROUP               print the items of a group as a JSON list
  get NAME GROUP ITEM           print an item as JSON; exit code 1 if it is unknown
  set NAME GROUP ITEM VALUE     set an item; VALUE is read as JSON if it is valid JSON, else as text
  delete NAME GROUP ITEM        remove an item; succeeds for an unknown item too
  send NAME GROUP TYPE [VALUE]  send an event that is not stored to all who follow the group
  subscribers [NAME [GROUP [ITEM]]]
                                print who follows a stream, a group or an item
  tail NAME [GROUP]             print a line for each event, until Ctrl-C: time, type (create, update, delete, or a custom
                                type), item, data"""
_EXAMPLES = f"""\
examples:
  {PROGRAM} list chat room-1
  {PROGRAM} set chat room-1 m1 '{{"text": "hello"}}'
  {PROGRAM} tail chat room-1
  {PROGRAM} tail chat --json | jq .event

{ENVIRONMENT}

exit codes: 0 done, 1 unknown item or the call failed, 2 wrong usage"""
_USAGE = {
    "list": "[NAME GROUP]", "get": "NAME GROUP ITEM", "set": "NAME GROUP ITEM VALUE", "delete": "NAME GROUP ITEM",
    "send": "NAME GROUP TYPE [VALUE]", "subscribers": "[NAME [GROUP [ITEM]]]", "tail": "NAME [GROUP]",
}  # fmt: skip


def build_parser() -> Parser:
    """All options and arguments of the command."""
    parser = Parser(PROGRAM, _DESCRIPTION, f"{PROGRAM} {'|'.join(_USAGE)} [NAME [GROUP …]] [options]", _EXAMPLES)
    parser.add_argument("words", nargs="*", help="subcommand and its arguments")
    parser.add_argument(
        "--json", action="store_true", help="tail: print each event as one line of JSON; list, subscribers: print JSON"
    )
    add_address_options(parser)
    return parser


def run(arguments: list[str]) -> int:
    """`iii stream …`"""
    parser = build_parser()
    options = parser.parse(arguments)
    address = address_of(options, parser)
    match options.words:
        case ["tail", name, *groups] if len(groups) <= 1:
            _tail(address, name, groups[0] if groups else None, options.json)
        case ["list"]:
            _streams(address, options.json)
        case ["list", name, group]:
            _print(_ask(address, "stream::list", name, group))
        case ["get", name, group, item]:
            return _get(address, name, group, item)
        case ["set", name, group, item, value]:
            _ask(address, "stream::set", name, group, item_id=item, data=value_of(value))
        case ["delete", name, group, item]:
            _ask(address, "stream::delete", name, group, item_id=item)
        case ["send", name, group, kind, *values] if len(values) <= 1:
            data = value_of(values[0]) if values else None
            _ask(address, "stream::send", name, group, type=kind, data=data)
        case ["subscribers", *names] if len(names) <= 3:
            _subscribers(address, names, options.json)
        case []:
            parser.print_help()
            return USAGE_ERROR
        case words:
            parser.refuse_words(words, _USAGE)
    return 0


def _ask(address: Address, function_id: str, name: str, group: str, **more: Any) -> Any:
    from iii.cli.engine_call import asked

    return asked(address, "stream", function_id, {"stream_name": name, "group_id": group, **more}, _MODULE).result


def _print(value: Any) -> None:
    from iii.cli.output import json_text

    print(json_text(value))


def _get(address: Address, name: str, group: str, item: str) -> int:
    value = _ask(address, "stream::get", name, group, item_id=item)
    if value is None:
        return fail(f"unknown item '{item}' in group '{group}' of stream '{name}'")
    _print(value)
    return 0


def _streams(address: Address, as_json: bool) -> None:
    from iii.cli.engine_call import asked
    from iii.cli.output import print_table

    rows = asked(address, "stream", "stream::list_all", {}, _MODULE).result["stream"]
    if as_json:
        _print(rows)
    elif rows:
        print_table(["STREAM", "GROUP"], [[row["id"], group] for row in rows for group in row["groups"]])
    else:
        print("No streams.")


def _subscribers(address: Address, names: list[str], as_json: bool) -> None:
    from iii.cli.engine_call import asked
    from iii.cli.output import print_table
    from iii.cli.worker import age

    request = {**dict(zip(("stream_name", "group_id", "item_id"), names, strict=False)), "limit": _PAGE}
    answer = asked(address, "stream", "engine::streams::subscribers", request, _MODULE).result
    rows, now_ms = answer["subscribers"], int(time.time() * 1000)
    if as_json:
        _print(rows)
        return
    if not rows:
        print("No subscribers.")
        return
    print_table(
        ["STREAM", "GROUP", "ITEM", "ADDRESS", "FOR", "ID"],
        [
            [
                row["stream_name"], row["group_id"], row["item_id"] or "-", row["ip_address"] or "-",
                age(now_ms - row["since_ms"]), row["id"],
            ]
            for row in rows
        ],
    )  # fmt: skip
    if answer["total"] > len(rows):
        print(f"… and {answer['total'] - len(rows)} more; name a stream and a group to see fewer")


def _tail(address: Address, name: str, group: str | None, as_json: bool) -> None:
    from iii.cli.following import Followed, follow

    def show(event: Any) -> None:
        print(json.dumps(event) if as_json else line(event, with_group=group is None), flush=True)

    async def tell(worker: Worker) -> None:
        request: TriggerRequest = {"function_id": "stream::list_groups", "payload": {"stream_name": name}}
        if not await worker.trigger_async(request):
            await _tell_that_it_is_empty(worker, name)

    config = {"stream_name": name, "group_id": group}
    follow(address, Followed("stream", "stream", config, show, tell, _MODULE))


async def _tell_that_it_is_empty(worker: Worker, name: str) -> None:
    """It may be followed before anybody writes, or be misspelt."""
    answer = await worker.trigger_async({"function_id": "stream::list_all", "payload": {}})
    near = suggestion(name, {str(row["id"]) for row in answer["stream"]})
    print(f"stream '{name}' has no items yet{near or '; waiting for its first event'}", file=sys.stderr, flush=True)


def line(event: dict[str, Any], with_group: bool) -> str:
    """One event for people: local time and its distance from UTC, kind, item, data."""
    from iii.protocol.names import without_control_characters

    kind, data = event["event"]["type"], event["event"].get("data")
    if kind == "event":
        kind, data = event["event"]["event"]["type"], event["event"]["event"].get("data")
    at = time.strftime("%H:%M:%S%z", time.localtime(event["timestamp"] / 1000))
    where = [event["groupId"]] if with_group else []
    item = event["id"] if event["id"] is not None else "-"
    text = "  ".join([at, f"{kind:8}", *where, item, json.dumps(data, ensure_ascii=False)])
    return without_control_characters(text)
