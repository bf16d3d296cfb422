"""`iii config …`: look at a configuration file without running it (18 §4)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from iii.cli.parser import USAGE_ERROR, Parser

if TYPE_CHECKING:
    from iii.server.config_file import ServerConfig

PROGRAM = "iii config"
DEFAULT_PATH = "config.yaml"
_DESCRIPTION = f"""\
Looks at a configuration file without running an engine. FILE is {DEFAULT_PATH} unless it is named.

  check [FILE]        report all mistakes, each with file and line, and what is probably not meant
  show [FILE]         print what every module would run with, and where each value comes from; secrets are hidden"""
_EXAMPLES = f"""\
examples:
  {PROGRAM} check
  {PROGRAM} check deploy/production.yaml && systemctl reload iii
  {PROGRAM} show --json

exit codes: 0 the file is right, 1 it has mistakes, 2 wrong usage
docs: docs/how-to/configure.md, docs/reference/configuration.md"""
_USAGE = {"check": "[FILE]", "show": "[FILE]"}


def build_parser() -> Parser:
    """All options and arguments of the command."""
    parser = Parser(PROGRAM, _DESCRIPTION, f"{PROGRAM} check|show [FILE] [--json]", _EXAMPLES)
    parser.add_argument("words", nargs="*", help="subcommand and file")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--host", help="address of all listeners, as the engine would be started with it")
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
        case [verb, *file]:
            path = Path(file[0] if file else DEFAULT_PATH)
            return (_check if verb == "check" else _show)(path, options.host, options.json)
    return 0


def _loaded(path: Path, host: str | None) -> tuple[ServerConfig | None, list[str]]:
    """The file, or its mistakes."""
    from iii.protocol.start_failure import StartFailure
    from iii.server import config_file

    try:
        return config_file.load(path, host=host), []
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


def _show(path: Path, host: str | None, as_json: bool) -> int:
    from iii.cli.output import json_line, json_text, print_table
    from iii.cli.parser import fail
    from iii.server.effective import effective

    config, mistakes = _loaded(path, host)
    if config is None:
        return fail("\n".join(mistakes))
    rows = [(module, value) for module, values in effective(config).items() for value in values]
    if as_json:
        table = [
            {"module": module, "key": value.key, "value": value.public, "origin": value.origin}
            for module, value in rows
        ]
        print(json_text(table, sort_keys=False))
    else:
        print_table(
            ["MODULE", "KEY", "VALUE", "ORIGIN"],
            [[module, value.key, json_line(value.public), value.origin] for module, value in rows],
        )
    return 0
