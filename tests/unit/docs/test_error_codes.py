"""Each code that a caller can see is declared once, with what it means and what to do, and none is declared in vain."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import iii
from docs.generator.errors_page import error_rows
from docs.generator.source import modules
from iii.protocol.errors import ErrorCode, InvocationError

SOURCE = Path(iii.__file__).parent
TREES = {path: ast.parse(path.read_text()) for path in sorted(SOURCE.rglob("*.py"))}
MAKERS = {"InvocationError", "ErrorBody", "Failure", "RegistrationRejected", "answer", "failure", "refusal", "_failing"}
SHOWN = re.compile(r"(?:[a-z]+_)+[a-z]+|(?:[A-Z]+_)*[A-Z]+")  # what a code looks like


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def literal_codes(tree: ast.AST) -> Iterator[str]:
    """Codes that are given as a text where an error is made, instead of by their declaration."""
    for call in calls(tree):
        if ast.unparse(call.func).rpartition(".")[2] in MAKERS:
            given = [*call.args[:2], *(each.value for each in call.keywords if each.arg == "code")]
            for value in given:
                if isinstance(value, ast.Constant) and isinstance(value.value, str) and SHOWN.fullmatch(value.value):
                    yield f"line {call.lineno}: {value.value}"


@pytest.mark.parametrize("text", ["InvocationError('a_b', 'x')", "failure(404, 'NOT_FOUND', 'x')", "M(code='A')"])
def test_a_literal_code_is_found(text: str) -> None:
    assert [*literal_codes(ast.parse(text.replace("M(", "RegistrationRejected(")))]


def test_every_code_that_is_raised_is_declared() -> None:
    found = {str(path.relative_to(SOURCE)): [*literal_codes(tree)] for path, tree in TREES.items()}
    assert {path: codes for path, codes in found.items() if codes} == {}


def test_no_code_is_declared_in_vain() -> None:
    names = Counter[str]()
    for tree in TREES.values():
        for node in ast.walk(tree):
            if isinstance(node, (ast.Name, ast.Attribute)) and isinstance(node.ctx, ast.Load):
                names[ast.unparse(node).removesuffix(".code").rpartition(".")[2]] += 1
    declared = {
        name
        for module in modules()
        for name, value in vars(module).items()
        if isinstance(value, ErrorCode)
        or (isinstance(value, type) and issubclass(value, InvocationError) and value is not InvocationError)
    }
    assert len(declared) > 50
    assert [name for name in sorted(declared) if not names[name]] == []


def test_every_code_says_what_to_do_in_a_sentence() -> None:
    rows = error_rows()
    assert len(rows) > 50
    for row in rows:
        for text in (row.means, row.do):
            assert text[:1].isupper() or text[0] == "`", row
            assert text.endswith("."), row


def test_00_4_1_every_code_is_in_the_table_of_the_specification() -> None:
    chapter = (SOURCE.parents[1] / "docs" / "spec" / "00-overview.md").read_text()
    table = chapter.partition("### 4.1 ")[2].partition("### 4.2 ")[0]
    assert [row.code for row in error_rows() if f"`{row.code}`" not in table] == []
