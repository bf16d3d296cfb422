"""`iii health`: whether an engine is well, for people and for scripts (issue 15; 06 §13)."""

from typing import Any

from iii.cli.address import ENVIRONMENT, add_address_options, address_of
from iii.cli.output import json_line, json_text, one_text
from iii.cli.parser import Parser
from iii.protocol.names import HEALTH_CHECK

PROGRAM = "iii health"
_DESCRIPTION = """\
Tells whether an engine is well, and its parts.

exit codes: 0 healthy, 1 degraded or not reached, 2 wrong usage"""


def build_parser() -> Parser:
    """All options of the command."""
    parser = Parser(PROGRAM, _DESCRIPTION, f"{PROGRAM} [options]", f"examples:\n  {PROGRAM} --json\n\n{ENVIRONMENT}")
    parser.add_argument("--json", action="store_true", help="print what `engine::health::check` answers")
    add_address_options(parser)
    return parser


def run(arguments: list[str]) -> int:
    """`iii health …`"""
    parser = build_parser()
    options = parser.parse(arguments)
    address = address_of(options, parser)

    from iii.cli.engine_call import asked

    health = asked(address, "health", HEALTH_CHECK, {}).result
    if options.json:
        print(json_text(health))
    else:
        print(f"{health['status']}: iii {health['version']}")
        for name, part in sorted(health["components"].items()):
            details = part["details"] or {}
            _print_part(name, part["status"], details.get("reason") or _figures(details))
            if (archive := details.get("archive", {})).get("archive", "disabled") != "disabled":
                _print_part("trace storage", archive["archive"], archive["last_error"] or _figures(archive))
    return 0 if health["status"] == "healthy" else 1


def _figures(details: dict[str, Any]) -> str:
    return ", ".join(
        f"{key} {json_line(value) if isinstance(value, bool) else value}"
        for key, value in details.items()
        if key != "archive" and value is not None
    )


def _print_part(name: str, status: str, more: str) -> None:
    print(one_text(f"  {name}: {status}{f' ({more})' if more else ''}"))
