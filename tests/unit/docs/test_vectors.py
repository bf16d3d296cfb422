"""The wire test vectors show rules of the chapters on the wire, 01, 10 and 21, that exist there."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.wire_vectors import vectors

SPEC = Path(__file__).parents[3] / "docs" / "spec"
CHAPTERS = {
    chapter[:2]: (SPEC / chapter).read_text() for chapter in ("01-protocol.md", "10-cancelling.md", "21-observe.md")
}
FILES = ("from-workers", "from-engine", "refused", "sessions")


def definitions(rule: str) -> Iterator[str]:
    """How its chapter begins what a rule cites, as patterns; a decision is of either."""
    match rule.split(maxsplit=2):
        case [_, "check" | "checks", numbers]:
            yield from (rf"^- \*\*{number}\*\* " for number in numbers.split(", "))
        case [_, section]:
            yield rf"^#+ {re.escape(section.removeprefix('§'))} "
        case _:
            yield rf"^\*\*{rule}\*\* "


@pytest.mark.parametrize("rule", sorted({vector["rule"] for file in FILES for vector in vectors(file)}))
def test_the_rule_of_a_vector_exists(rule: str) -> None:
    chapter = CHAPTERS.get(rule[:2], "\n".join(CHAPTERS.values()))
    for definition in definitions(rule):
        assert re.search(definition, chapter, re.MULTILINE), rule
