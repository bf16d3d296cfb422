"""The wire test vectors show rules of chapter 01 that exist there."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.wire_vectors import vectors

CHAPTER = (Path(__file__).parents[3] / "docs" / "spec" / "01-protocol.md").read_text()
FILES = ("from-workers", "from-engine", "refused", "sessions")


def definitions(rule: str) -> Iterator[str]:
    """How the chapter begins what a rule cites, as patterns."""
    match rule.removeprefix("01 ").split(maxsplit=1):
        case ["check" | "checks", numbers]:
            yield from (rf"^- \*\*{number}\*\* " for number in numbers.split(", "))
        case [section] if section.startswith("§"):
            yield rf"^#+ {re.escape(section[1:])} "
        case _:
            yield rf"^\*\*{rule}\*\* "


@pytest.mark.parametrize("rule", sorted({vector["rule"] for file in FILES for vector in vectors(file)}))
def test_the_rule_of_a_vector_exists(rule: str) -> None:
    for definition in definitions(rule):
        assert re.search(definition, CHAPTER, re.MULTILINE), rule
