"""`iii stream tail`: the events of a group as they happen (issue 5; 05 §5.1)."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import sys
import time
from typing import TYPE_CHECKING, Any

from iii.cli.address import ENVIRONMENT, Address, add_address_options, address_of
from iii.cli.parser import USAGE_ERROR, Parser, fail, suggestion

if TYPE_CHECKING:
    from iii import TriggerRequest, Worker

PROGRAM = "iii stream"
_DESCRIPTION = """\
Follows a group of a stream: prints a line for each event, until Ctrl-C.

  tail NAME GROUP    events of one group: time, type (create, update, delete, or a custom type), item, data
  tail NAME          events of all groups"""
_EXAMPLES = f"""\
examples:
  {PROGRAM} tail chat room-1
  {PROGRAM} tail chat --json | jq .event

{ENVIRONMENT}"""


def build_parser() -> Parser:
    """All options and arguments of the command."""
    parser = Parser(PROGRAM, _DESCRIPTION, f"{PROGRAM} tail NAME [GROUP] [options]", _EXAMPLES)
    parser.add_argument("words", nargs="*", help="subcommand and its arguments")
    parser.add_argument("--json", action="store_true", help="print each event as one line of JSON")
    add_address_options(parser)
    return parser


def run(arguments: list[str]) -> int:
    """`iii stream …`"""
    parser = build_parser()
    options = parser.parse(arguments)
    address = address_of(options, parser)
    match options.words:
        case ["tail", name, *groups] if len(groups) <= 1:
            return asyncio.run(_tail(address, name, groups[0] if groups else None, options.json))
        case []:
            parser.print_help()
            return USAGE_ERROR
        case ["tail", *_]:
            parser.error(f"wrong number of arguments; usage: {PROGRAM} tail NAME [GROUP]")
        case [verb, *_]:
            parser.refuse_command(verb, ["tail"])
    return 0


async def _tail(address: Address, name: str, group: str | None, as_json: bool) -> int:
    from iii import InitOptions, InvocationError, RegistrationRejected, connect_worker
    from iii.cli.engine_call import WHERE
    from iii.protocol.address import masked

    os.environ.pop("III_WORKER_NAME", None)  # meant for a worker
    os.environ.pop("III_NAMESPACE", None)
    options = InitOptions(
        worker_name=f"iii-cli:stream:{platform.node()}:{os.getpid()}",
        connect_timeout_ms=address.timeout_ms,
        enable_metrics_reporting=False,
        otel={"enabled": False},
    )
    try:
        async with connect_worker(address.url, options) as worker:
            if worker.get_connection_state() != "connected":
                return fail(f"cannot connect to {masked(address.url)}. {WHERE}")
            request: TriggerRequest = {"function_id": "stream::list_groups", "payload": {"stream_name": name}}
            if not await worker.trigger_async(request):
                await _tell_that_it_is_empty(worker, name)
            function_id = f"iii-cli::stream-tail::{os.getpid()}"

            async def show(event: Any) -> None:
                print(json.dumps(event) if as_json else line(event, with_group=group is None), flush=True)

            worker.register_function(function_id, show, metadata={"internal": True})
            config = {"stream_name": name, "group_id": group}
            worker.register_trigger({"type": "stream", "function_id": function_id, "config": config})
            await asyncio.Event().wait()
    except RegistrationRejected as error:
        return fail(f"the engine at {masked(address.url)} refused this command: {error}")
    except InvocationError as error:
        return fail(f"{error.code}: {error.message}")
    except ConnectionError as error:
        return fail(f"cannot connect to {masked(address.url)}: {error}. {WHERE}")
    return 0


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
