"""`iii codegen python|typescript`: write a client of the functions that can be called (12 §2)."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from iii.cli.address import ENVIRONMENT, add_address_options, address_of
from iii.cli.codegen import python_types, typescript
from iii.cli.codegen.names import one_line
from iii.cli.codegen.python import python_module
from iii.cli.codegen.schemas import SchemaReader
from iii.cli.codegen.shapes import Declaration, FunctionShape
from iii.cli.parser import Parser, fail, suggestion
from iii.protocol.names import DEFAULT_NAMESPACE, LIST_FUNCTIONS, is_blank

Write = Callable[[str, str, Sequence[FunctionShape], dict[str, Declaration]], str]

_PROGRAM = "iii codegen"
LANGUAGES: dict[str, tuple[Write, frozenset[str]]] = {
    "python": (python_module, python_types.OWN_NAMES),
    "typescript": (typescript.typescript_module, typescript.OWN_NAMES),
}
_OF_TRIGGERS = ("http::", "cron::", "subscribe::", "on_queue::", "on_state::", "on_stream::")  # as decorators name them
_EXAMPLES = f"""\
examples:
  {_PROGRAM} python --match 'orders::*' -o orders_client.py
  {_PROGRAM} typescript --match 'orders::*' --match 'users::*' -o client.ts"""


def run(arguments: list[str]) -> int:
    """`iii codegen …`"""
    parser = build_parser()
    options = parser.parse(arguments)
    if options.language not in LANGUAGES:
        parser.refuse_command(options.language, list(LANGUAGES))
    if is_blank(options.namespace):
        parser.error("--namespace: expected a name, got nothing")
    address = address_of(options, parser)

    from iii.cli.engine_call import asked

    request = {"include_internal": options.all, "of_workers": not options.all, "dialect": "legacy"}
    rows = asked(address, "codegen", LIST_FUNCTIONS, request).result["functions"]
    if options.match is None:
        rows = [row for row in rows if not str(row["function_id"]).startswith(_OF_TRIGGERS)]
    patterns = options.match or ["*"]
    chosen = [
        row
        for row in rows
        if (row.get("namespace") or DEFAULT_NAMESPACE) == options.namespace
        and _matches(str(row["function_id"]), patterns)
    ]
    if not chosen:
        what = " and ".join(map(repr, patterns))
        known = [] if "*" in patterns[0] else [str(row["function_id"]) for row in rows]
        near = suggestion(patterns[0], known) or "; 'iii function list' shows all"
        return fail(f"no function matches {what} in namespace '{options.namespace}'{near}")
    return _written(generated(options.language, _head(options), options.namespace, chosen), options.output, len(chosen))


def build_parser() -> Parser:
    """All options."""
    parser = Parser(
        _PROGRAM,
        "Writes a module with which a program calls functions of other workers, with their types.",
        f"{_PROGRAM} python|typescript [options]",
        f"{_EXAMPLES}\n\n{ENVIRONMENT}",
    )
    parser.add_argument("language", metavar="LANGUAGE", help=" or ".join(LANGUAGES))
    parser.add_argument(
        "--match",
        metavar="PATTERN",
        action="append",
        help="only functions whose id matches; * stands for any characters; may be repeated (default: all but those that "
        "the decorators of routes and events have named, such as cron::NAME)",
    )
    parser.add_argument(
        "-n",
        "--namespace",
        metavar="NS",
        default=DEFAULT_NAMESPACE,
        help="namespace of the functions (default: default)",
    )
    parser.add_argument("--all", action="store_true", help="also the engine's own functions")
    parser.add_argument("-o", "--output", metavar="FILE", help="write to FILE (default: standard output)")
    add_address_options(parser)
    return parser


def generated(language: str, head: str, namespace: str, rows: Sequence[dict[str, Any]]) -> str:
    """The same text for the same functions, in whatever order they are listed."""
    write, reserved = LANGUAGES[language]
    reader = SchemaReader(reserved)
    functions = [reader.function(row) for row in sorted(rows, key=lambda row: str(row["function_id"]))]
    return write(head, namespace, functions, reader.declarations)


def _matches(function_id: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(function_id, pattern) for pattern in patterns)


def _head(options: argparse.Namespace) -> str:
    command = [_PROGRAM, options.language]
    command += [f"--match {shlex.quote(pattern)}" for pattern in options.match or ()]
    command += [f"--namespace {shlex.quote(options.namespace)}"] if options.namespace != DEFAULT_NAMESPACE else []
    command += ["--all"] if options.all else []
    return one_line(f"Functions of other workers. Made by `{' '.join(command)}`: do not edit, run that again.")


def _written(text: str, output: str | None, functions: int) -> int:
    if output is None:
        sys.stdout.write(text)
        return 0
    try:
        Path(output).write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        return fail(f"cannot write {output}: {error.strerror or error}")
    print(f"{output}: {functions} function{'' if functions == 1 else 's'}")
    return 0
