"""`iii function info`: one function, as its worker registered it, and what triggers it (02 §5.3)."""

from __future__ import annotations

import json
from typing import Any

from iii.cli.address import ENVIRONMENT, add_address_options, address_of
from iii.cli.parser import Parser, fail
from iii.protocol.names import FUNCTION_INFO

_PROGRAM = "iii function info"
_DESCRIPTION = "Shows one function: who serves it, what it takes and returns, and which triggers call it."
_EXAMPLES = f"examples:\n  {_PROGRAM} orders::create\n  {_PROGRAM} orders::create --json\n\n{ENVIRONMENT}"


def build_parser() -> Parser:
    """All options and arguments of the command."""
    parser = Parser(_PROGRAM, _DESCRIPTION, f"{_PROGRAM} ID [options]", _EXAMPLES)
    parser.add_argument("function_id", metavar="ID", help="id of the function")
    parser.add_argument("-n", "--namespace", metavar="NS", help="namespace of the function (default: any)")
    parser.add_argument("--json", action="store_true", help="print the answer of the engine as JSON")
    add_address_options(parser)
    return parser


def run(arguments: list[str]) -> int:
    """`iii function info …`"""
    parser = build_parser()
    options = parser.parse(arguments)
    address = address_of(options, parser)

    from iii.cli.engine_call import ask
    from iii.cli.function_help import print_info
    from iii.cli.known import functions_like, meant
    from iii.cli.output import json_text
    from iii.protocol.errors import InvocationError

    wanted = options.function_id
    request = {"function_id": wanted} | ({} if options.namespace is None else {"namespace": options.namespace})
    try:
        info = ask(address, "function", FUNCTION_INFO, request).result
    except InvocationError as error:
        near = ""
        if error.code == "NOT_FOUND":
            near = meant(address, "function", wanted, functions_like(wanted)).replace(", did", " Did")
        return fail(f"{error.code}: {error.message}{near}")
    if options.json:
        print(json_text(info))
        return 0
    print_info(info)
    _print_triggers(info)
    return 0


def _print_triggers(info: dict[str, Any]) -> None:
    from iii.cli.output import print_table

    bound = [
        [str(each.get("trigger_type")), json.dumps(each.get("config"), ensure_ascii=False), str(each.get("id"))]
        for each in info.get("registered_triggers") or ()
    ]
    if bound:
        print()
        print_table(["TRIGGERED BY", "CONFIG", "TRIGGER"], bound)
