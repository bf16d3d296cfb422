"""The page of the command line has every option of it."""

from pathlib import Path

import pytest

from iii.cli import console, listing, logs, serve, top, trace, traces, trigger
from iii.cli.codegen import command as codegen
from iii.cli.parser import Parser

REFERENCE = Path(__file__).parents[3] / "docs" / "reference"


@pytest.mark.parametrize(
    "parser",
    [module.build_parser() for module in (serve, console, trigger, codegen, logs, traces, trace, top)],
    ids=lambda parser: str(parser.prog),
)
def test_every_option_is_documented(parser: Parser) -> None:
    text = (REFERENCE / "cli.md").read_text()
    assert [name for name in parser.option_strings() if f"`{name}" not in text] == []


def test_every_option_of_lists_is_documented() -> None:
    text = (REFERENCE / "cli.md").read_text()
    parser = listing.build_parser(
        listing.Listing("x", "", "", "", "", "", lambda rows, now: listing.Table([], []), ""), "x"
    )
    assert [name for name in parser.option_strings() if f"`{name}" not in text] == []
