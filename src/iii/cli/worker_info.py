"""`iii worker info`: one worker, with what it serves and what calls it (02 §5.5)."""

from __future__ import annotations

from typing import Any

from iii.cli.address import ENVIRONMENT, add_address_options, address_of
from iii.cli.parser import Parser, fail
from iii.cli.worker_name import add_worker_options, worker_named

_PROGRAM = "iii worker info"
_DESCRIPTION = (
    "Shows one worker or module of the engine: what it is, its functions, its trigger types, and its triggers."
)
_EXAMPLES = f"examples:\n  {_PROGRAM} orders\n  {_PROGRAM} iii-queue --json\n\n{ENVIRONMENT}"
_WORKER_INFO = "engine::workers::info"


def build_parser() -> Parser:
    """All options and arguments of the command."""
    parser = Parser(_PROGRAM, _DESCRIPTION, f"{_PROGRAM} ID|NAME [options]", _EXAMPLES)
    add_worker_options(parser)
    parser.add_argument("--json", action="store_true", help="print the answer of the engine as JSON")
    add_address_options(parser)
    return parser


def run(arguments: list[str]) -> int:
    """`iii worker info …`"""
    parser = build_parser()
    options = parser.parse(arguments)
    address = address_of(options, parser)

    from iii.cli.engine_call import ask
    from iii.cli.known import worker_meant
    from iii.cli.output import json_text
    from iii.protocol.errors import InvocationError

    try:
        info = ask(address, "worker", _WORKER_INFO, worker_named(options)).result
    except InvocationError as error:
        near = worker_meant(address, "worker", options.worker) if error.code == "NOT_FOUND" else ""
        return fail(f"{error.code}: {error.message}{near.replace(', did', ' Did')}")
    print(json_text(info) if options.json else "\n".join(_lines(info)))
    return 0


def _lines(info: dict[str, Any]) -> list[str]:
    from iii.cli.output import one_text, table_lines
    from iii.cli.worker import facts_of

    row = info["worker"]
    lines = [f"{name + ':':<13} {one_text(str(value))}" for name, value in facts_of(row).items()]
    described = [[each["function_id"], each.get("description") or ""] for each in info["functions"]]
    if described:
        lines += ["", *table_lines(["FUNCTION", "DESCRIPTION"], described)]
    types = [[each["id"], each.get("description") or ""] for each in info["trigger_types"]]
    if types:
        lines += ["", *table_lines(["TRIGGER TYPE", "DESCRIPTION"], types)]
    bound = [
        [each["trigger_type"], each["function_id"], each["config_summary"], each["id"]]
        for each in info["registered_triggers"]
    ]
    if bound:
        lines += ["", *table_lines(["TYPE", "FUNCTION", "CONFIG", "TRIGGER"], bound)]
    return lines
