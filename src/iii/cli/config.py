"""`iii config …`: look at a configuration file, and at what an engine runs with (18 §4)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from iii.cli.address import ENVIRONMENT, Address, add_address_options, address_of
from iii.cli.parser import USAGE_ERROR, CommandFailed, Parser

if TYPE_CHECKING:
    from iii.server.config_file import ServerConfig

PROGRAM = "iii config"
DEFAULT_PATH = "config.yaml"
_DESCRIPTION = f"""\
Looks at a configuration file, and compares it with a running engine. FILE is {DEFAULT_PATH} unless it is named.

  check [FILE]        report all mistakes, each with file and line, and what is probably not meant
  show [FILE]         print what every module would run with, and where each value comes from; secrets are hidden
  show --running      print the same of the engine that runs
  diff [FILE]         print what the engine that runs would change if it read the file now"""
_EXAMPLES = f"""\
examples:
  {PROGRAM} check
  {PROGRAM} check deploy/production.yaml && systemctl reload iii
  {PROGRAM} show --json
  {PROGRAM} diff --port 49134

exit codes: 0 the file is right, or there is no difference, 1 it has mistakes, or there is one, 2 wrong usage
docs: docs/how-to/configure.md, docs/reference/configuration.md

{ENVIRONMENT}"""
_USAGE = {"check": "[FILE]", "show": "[FILE]", "diff": "[FILE]"}


def build_parser() -> Parser:
    """All options and arguments of the command."""
    parser = Parser(PROGRAM, _DESCRIPTION, f"{PROGRAM} check|show|diff [FILE] [--json]", _EXAMPLES)
    parser.add_argument("words", nargs="*", help="subcommand and file")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--host", help="address of all listeners, as the engine would be started with it")
    parser.add_argument("--running", action="store_true", help="for show: ask the engine that runs")
    add_address_options(parser)
    return parser


def run(arguments: list[str]) -> int:
    """`iii config …`"""
    parser = build_parser()
    options = parser.parse(arguments)
    match options.words:
        case []:
            parser.print_help()
            return USAGE_ERROR
        case [verb, *_] if verb not in _USAGE:
            parser.refuse_command(verb, _USAGE)
        case [_, _, other, *_]:
            parser.error(f"unexpected argument '{other}'")
        case ["show", *file] if options.running:
            if file:
                parser.error("FILE and --running are both given; keep one")
            return _print_rows(_running(address_of(options, parser)), options.json)
        case [verb, *file]:
            path = Path(file[0] if file else DEFAULT_PATH)
            if verb == "check":
                return _check(path, options.host, options.json)
            rows = _rows(path, options.host)
            return (
                _print_rows(rows, options.json)
                if verb == "show"
                else _diff(_running(address_of(options, parser)), rows, options.json)
            )
    return 0


def _loaded(path: Path, host: str | None) -> tuple[ServerConfig | None, list[str]]:
    """The file, or its mistakes."""
    from iii.protocol.start_failure import StartFailure
    from iii.server import config_file
    from iii.server.config_text import NoConfigFile

    try:
        return config_file.load(path, host=host), []
    except NoConfigFile as error:
        return None, [f"{error.what}; name the file, as in '{PROGRAM} check FILE'"]
    except StartFailure as error:
        return None, str(error).splitlines()


def _check(path: Path, host: str | None, as_json: bool) -> int:
    from iii.cli.output import json_text

    config, mistakes = _loaded(path, host)
    warnings = list(config.warnings) if config is not None else []
    if as_json:
        print(json_text({"file": str(path), "mistakes": mistakes, "warnings": warnings}))
        return 1 if mistakes else 0
    for mistake in mistakes:
        print(f"error: {mistake}")
    for warning in warnings:
        print(f"warning: {warning}")
    if config is not None:
        print(f"{path}: no mistakes found, {len(config.entries)} modules")
    return 1 if mistakes else 0


class OptionRow(NamedTuple):
    """One option of one module; its value without what may be a secret."""

    module: str
    key: str
    value: Any
    origin: str


def _rows(path: Path, host: str | None) -> list[OptionRow]:
    """Of a file. Raises CommandFailed."""
    from iii.server.effective import effective

    config, mistakes = _loaded(path, host)
    if config is None:
        raise CommandFailed("\n".join(mistakes))
    found = effective(config.entries).items()
    return [OptionRow(module, value.key, value.public, value.origin) for module, values in found for value in values]


def _running(address: Address) -> list[OptionRow]:
    """Of an engine. Raises CommandFailed."""
    from iii.cli.engine_call import asked

    return [OptionRow(**option) for option in asked(address, "config", "configuration::running", {}).result["options"]]


def _print_rows(rows: list[OptionRow], as_json: bool) -> int:
    from iii.cli.output import json_line, json_text, print_table

    if as_json:
        print(json_text([row._asdict() for row in rows], sort_keys=False))
    else:
        cells = [[row.module, row.key, row.origin, json_line(row.value)] for row in rows]
        print_table(
            ["MODULE", "KEY", "ORIGIN", "VALUE"], cells
        )  # values last: a list may be long, and would widen every line
    return 0


def _diff(running: list[OptionRow], wanted: list[OptionRow], as_json: bool) -> int:
    """Exit code 1 if there is a difference, as `diff` has it."""
    from iii.cli.output import json_line, json_text, print_table
    from iii.server.takes_effect import takes_effect

    now, then = ({(row.module, row.key): row for row in rows} for rows in (running, wanted))
    differences = [
        (place, now.get(place), then.get(place))
        for place in dict.fromkeys((*now, *then))
        if (now[place].value if place in now else None) != (then[place].value if place in then else None)
    ]
    running_modules, wanted_modules = ({row.module for row in rows} for rows in (running, wanted))

    def counts(module: str, key: str) -> str:
        if module not in running_modules:
            return "when the module starts"
        return takes_effect(module, key).value if module in wanted_modules else "when the module stops"

    if as_json:
        print(json_text([
            {
                "module": module, "key": key, "running": old and old.value, "file": new and new.value,
                "origin": new and new.origin, "takes_effect": counts(module, key),
            }
            for (module, key), old, new in differences
        ], sort_keys=False))  # fmt: skip
    elif differences:
        cells = [
            [
                *place,
                *(json_line(row.value) if row else "-" for row in (old, new)),
                new.origin if new else "-",
                counts(*place),
            ]
            for place, old, new in differences
        ]
        print_table(["MODULE", "KEY", "RUNNING", "FILE", "ORIGIN", "TAKES EFFECT"], cells)
    else:
        print("No difference.")
    return 1 if differences else 0
