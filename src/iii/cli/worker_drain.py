"""`iii worker drain`: take a worker out of service, and wait until it has left (P12)."""

import argparse
from typing import Any

from iii.cli.address import ENVIRONMENT, add_address_options, address_of
from iii.cli.parser import Parser, fail
from iii.cli.worker_name import add_worker_options, worker_named
from iii.protocol.limits import DRAIN_MS, LONGEST_DRAIN_S
from iii.protocol.names import DRAIN_WORKER

_PROGRAM = "iii worker drain"
_DESCRIPTION = """\
Takes a worker out of service: its functions and triggers go to other owners at once, calls that it runs
may end, then its connection is closed. Waits for that.

A worker of this SDK ends then. Other clients connect again, and serve nothing until their process is
restarted."""
_EXAMPLES = f"""\
examples:
  {_PROGRAM} orders
  {_PROGRAM} 0b1f3c4d-5e6f-4a7b-8c9d-0e1f2a3b4c5d --timeout-s 120

{ENVIRONMENT}

exit codes: 0 drained, 1 not connected, calls were cut off, or the call failed, 2 wrong usage"""


def build_parser() -> Parser:
    """All options and arguments of the command."""
    parser = Parser(_PROGRAM, _DESCRIPTION, f"{_PROGRAM} ID|NAME [options]", _EXAMPLES)
    add_worker_options(parser)
    parser.add_argument(
        "--timeout-s",
        type=_seconds,
        default=DRAIN_MS / 1000,
        metavar="N",
        help=f"longest time for what the worker runs, in seconds (default: {DRAIN_MS // 1000})",
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    add_address_options(parser)
    return parser


def run(arguments: list[str]) -> int:
    """`iii worker drain …`"""
    parser = build_parser()
    options = parser.parse(arguments)
    address = address_of(options, parser)
    limit_ms = round(options.timeout_s * 1000)
    request = {**worker_named(options), "timeout_ms": limit_ms}

    from iii.cli.engine_call import ask
    from iii.cli.known import worker_meant
    from iii.protocol.errors import FunctionNotFound, InvocationError

    try:
        answer = ask(address._replace(timeout_ms=address.timeout_ms + limit_ms), "worker", DRAIN_WORKER, request)
    except FunctionNotFound:
        return fail("this engine cannot drain workers; update it")
    except InvocationError as error:
        near = worker_meant(address, "worker", options.worker) if error.code == "NOT_FOUND" else ""
        return fail(f"{error.code}: {error.message}{near.replace(', did', ' Did')}")
    return _tell(answer.result, as_json=options.json)


def _tell(drained: dict[str, Any], *, as_json: bool) -> int:
    from iii.cli.output import json_text

    label = f"'{drained['worker_name'] or drained['worker_id']}'"
    if as_json:
        print(json_text(drained))
    if not drained["finished"]:
        count = drained["calls_failed"]
        calls = "1 call was" if count == 1 else f"{count} calls were"
        return fail(f"worker {label} is out of service, but {calls} cut off; drain with a longer --timeout-s")
    if not as_json:
        print(f"Worker {label} is out of service; everything that it ran has ended.")
        if drained["reconnects"]:
            print("Its client connects again and serves nothing: stop its process.")
    return 0


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= LONGEST_DRAIN_S:
        raise argparse.ArgumentTypeError(f"expected seconds from 0 to {LONGEST_DRAIN_S}, got '{text}'")
    return seconds
