"""The reference pages say all that there is to say: every option, every key."""

from pathlib import Path

import msgspec
import pytest

from iii.cli import listing, serve, trigger
from iii.cli.parser import Parser
from iii.server.catalogue import CATALOGUE, KnownModule

REFERENCE = Path(__file__).parents[3] / "docs" / "reference"


@pytest.mark.parametrize("parser", [serve.build_parser(), trigger.build_parser()], ids=lambda parser: str(parser.prog))
def test_every_option_is_documented(parser: Parser) -> None:
    text = (REFERENCE / "cli.md").read_text()
    assert [name for name in parser.option_strings() if f"`{name}" not in text] == []


def test_every_option_of_lists_is_documented() -> None:
    text = (REFERENCE / "cli.md").read_text()
    parser = listing.build_parser(
        listing.Listing("x", "", "", "", "", "", lambda rows, now: listing.Table([], [])), "x"
    )
    assert [name for name in parser.option_strings() if f"`{name}" not in text] == []


@pytest.mark.parametrize("row", [row for row in CATALOGUE if row.provided], ids=lambda row: str(row.name))
def test_every_module_and_old_class_is_documented(row: KnownModule) -> None:
    text = (REFERENCE / "configuration.md").read_text()
    assert [name for name in (row.name, *row.classes) if f"`{name}`" not in text] == []


@pytest.mark.parametrize(
    "row", [row for row in CATALOGUE if row.listens and row.provided], ids=lambda row: str(row.name)
)
def test_every_key_of_a_listener_is_documented_with_its_default(row: KnownModule) -> None:
    text = (REFERENCE / "configuration.md").read_text()
    section = text.partition(f"### {row.name}")[2].partition("\n#")[0]
    for field in msgspec.structs.fields(row.config_type()):
        (line,) = [line for line in section.splitlines() if line.startswith(f"| `{field.encode_name}` |")]
        assert isinstance(field.default, msgspec.Struct) or str(field.default) in line
