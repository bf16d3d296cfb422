"""What `iii worker list` and `iii function list` have in common: ask, then a table or JSON."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from iii.cli.address import ENVIRONMENT, add_address_options, add_watch_option, address_of
from iii.cli.output import json_text, table_lines
from iii.cli.parser import Parser, unknown_command, usage_error

if TYPE_CHECKING:
    from iii.cli.asking import Asking

Row = dict[str, Any]


class Table(NamedTuple):
    """Column names and cells."""

    head: list[str]
    rows: list[list[str]]


class Listing(NamedTuple):
    """One `iii NOUN list`.

    Attributes:
        noun: `worker`.
        description: of the help.
        columns: what the columns mean, for the help.
        all_help: what `--all` adds.
        function_id: of the engine's function that lists.
        member: of its answer that has the rows.
        table: rows to show, given the rows and the engine's clock in ms.
        request: further members of the request.
        without_all: further ones without `--all`.
        empty: what is printed when there are no rows.
        others: further commands of the noun, with their usage and what they do.
    """

    noun: str
    description: str
    columns: str
    all_help: str
    function_id: str
    member: str
    table: Callable[[list[Row], int], Table]
    empty: str
    request: Mapping[str, Any] = MappingProxyType({})
    without_all: Mapping[str, Any] = MappingProxyType({})
    others: Mapping[str, tuple[str, str]] = MappingProxyType({})


def run_listing(listing: Listing, arguments: list[str]) -> int:
    """`iii NOUN …`; `others` are run elsewhere."""
    program = f"iii {listing.noun}"
    if not arguments or arguments[0] in ("-h", "--help"):
        commands = {"list": ("list [options]", listing.description), **listing.others}
        usages = "\n       ".join(f"{program} {usage}" for usage, _ in commands.values())
        width = max(map(len, commands)) + 2
        told = "\n".join(f"  {name:<{width}} {told}" for name, (_, told) in commands.items())
        print(f"usage: {usages}\n\n{told}\n\n'{program} list --help' tells more")
        return 0 if arguments else 2
    if arguments[0] != "list":
        return usage_error(program, unknown_command(program, arguments[0], ["list", *listing.others]))
    parser = build_parser(listing, f"{program} list")
    return _list(listing, parser.parse(arguments[1:]), parser)


def build_parser(listing: Listing, program: str) -> Parser:
    """All options of a list command."""
    examples = f"examples:\n  {program}\n  {program} --json\n  {program} --url ws://10.0.0.7:49134"
    parser = Parser(
        program,
        f"{listing.description}\n\ncolumns:\n{listing.columns}",
        f"{program} [options]",
        f"{examples}\n\n{ENVIRONMENT}",
    )
    parser.add_argument("--all", action="store_true", help=listing.all_help)
    parser.add_argument("--search", metavar="TEXT", help="only rows whose name, id or description contains TEXT")
    parser.add_argument("--json", action="store_true", help="print all rows with all fields as a JSON list")
    add_watch_option(parser)
    add_address_options(parser)
    return parser


def _list(listing: Listing, options: argparse.Namespace, parser: Parser) -> int:
    address = address_of(options, parser)

    from iii.cli.watched import shown

    request = {"include_internal": options.all, "dialect": "legacy", **listing.request}
    request |= {} if options.all else listing.without_all

    async def lines(ask: Asking) -> list[str]:
        answer = await ask(listing.function_id, request)
        rows = [row for row in answer[listing.member] if row.get("id") != ask.worker_id]
        if options.search:
            rows = [row for row in rows if _contains(row, options.search.lower())]
        if options.json:
            return [json_text(rows)]
        return table_lines(*listing.table(rows, answer.get("timestamp", 0))) if rows else [listing.empty]

    return shown(address, listing.noun, lines, watch=options.watch)


def _contains(row: Row, text: str) -> bool:
    return any(text in str(row.get(key) or "").lower() for key in ("name", "id", "function_id", "description"))


def with_namespace(rows: list[Row], table: Table) -> Table:
    """Add the namespace as second column if not all rows are in `default`."""
    if all(row.get("namespace") in (None, "default") for row in rows):
        return table
    head = [table.head[0], "NAMESPACE", *table.head[1:]]
    return Table(
        head,
        [[cells[0], str(row.get("namespace") or ""), *cells[1:]] for row, cells in zip(rows, table.rows, strict=True)],
    )
