"""Texts for operators and users use the words they search for: the forms that CONTRIBUTING.md rules out are nowhere in them."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import iii

SOURCE = Path(iii.__file__).parent
ROOT = SOURCE.parents[1]
FORBIDDEN = re.compile(
    r"(?<!there )\b(?:is|are) no (?!longer)|\bnobody\b|\bwhoever\b|\banew\b|\bis there again\b|\bwhat waited\b|\bwhat became\b|"
    r"\bof before\b|\b(?:is|are) told\b(?! apart)|\blike it was\b|\bis of none\b|\bit stays\b(?! in\b)|\b(?:trying|connecting) again\b|"
    r"\b(?:it|what|one that) cannot be (?:read|told|kept|ended)\b",
    re.IGNORECASE,
)


def texts(path: Path) -> Iterator[ast.Constant]:
    """The strings of a module, docstrings left out: those are for readers of the code."""
    tree = ast.parse(path.read_text())
    bare = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in bare:
            yield node


def test_no_text_of_the_program_has_a_forbidden_form() -> None:
    found = [
        f"{path.relative_to(SOURCE)}:{text.lineno}: {text.value!r}"
        for path in sorted(SOURCE.rglob("*.py"))
        for text in texts(path)
        if FORBIDDEN.search(str(text.value))
    ]
    assert found == []


@pytest.mark.parametrize(
    "path", [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))], ids=lambda path: str(path.relative_to(ROOT))
)
def test_no_page_has_a_forbidden_form(path: Path) -> None:
    lines = enumerate(path.read_text().splitlines(), 1)
    assert [f"{number}: {line}" for number, line in lines if FORBIDDEN.search(line)] == []
