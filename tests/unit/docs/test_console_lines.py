"""What pages tell people to type is understood by the command line, and what they say they will see is in the source."""

import ast
import re
import shlex
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import iii
from iii.cli import COMMANDS

SOURCE = Path(iii.__file__).parent
ROOT = SOURCE.parents[1]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
BLOCK = re.compile(r"^ *```console\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
PROMPT = re.compile(r"^ *[$#] (.*)$")
NAMES = ("iii", "/opt/iii/.venv/bin/iii")
SAMPLES = {"NAME", "FUNCTION", "ID"}  # stand for what the reader has


def typed(page: Path) -> Iterator[list[str]]:
    """The words of each `iii …` in the console blocks of a page."""
    for block in BLOCK.findall(page.read_text()):
        for line in re.sub(r"\\\n\s*", "", block).splitlines():
            found = PROMPT.match(line)
            if found is None or "$(iii" in line:
                continue
            try:
                words = shlex.split(found[1], comments=True)
            except ValueError:
                continue  # goes on in the next lines
            yield from commands(words)


def commands(words: list[str]) -> Iterator[list[str]]:
    """Parts between `&&`, `|` and the like; from `iii` on, also behind the words of another program."""
    part: list[str] = []
    for word in (*words, ";"):
        if word in ("&&", "||", "|", ";", "&", "<", ">", ">>"):
            if (
                start := next((at for at, each in enumerate(part) if each in NAMES and _is_command(part, at)), None)
            ) is not None:
                yield part[start + 1 :]
            part = []
        else:
            part.append(word)


def _is_command(part: list[str], at: int) -> bool:
    """Whether it is the program, not the name of a service, an image or a user."""
    before = part[:at]
    return not before or before[-1] in ("--", "sudo") or all("=" in each for each in before)


LINES = [(page, words) for page in PAGES for words in typed(page)]


def test_there_are_many() -> None:
    assert len(LINES) > 80
    assert any(words[:2] == ["store", "backup"] for _, words in LINES)


@pytest.mark.parametrize(
    ("page", "words"), LINES, ids=[f"{page.stem}: iii {' '.join(words)}"[:90] for page, words in LINES]
)
def test_a_command_of_a_page_is_understood(page: Path, words: list[str]) -> None:
    if not words or words[0].startswith("-"):
        import_module("iii.cli.serve").build_parser().parse(words)
        return
    command, *rest = words
    assert command in COMMANDS, f"{page.name} has 'iii {command}'"
    module = import_module(COMMANDS[command])
    if rest[-1:] in (["--help"], ["-h"]) or not hasattr(module, "build_parser"):
        return
    parsed = module.build_parser().parse(rest)
    usage = getattr(module, "_USAGE", None)
    if usage and getattr(parsed, "words", None):
        assert parsed.words[0] in usage, f"{page.name} has 'iii {command} {parsed.words[0]}'"


ERRORS = ROOT / "docs" / "how-to" / "errors-you-will-see.md"
VALUE = re.compile(
    r"@app\.\w+ takes|, in parentheses|\w+\.yaml|'[^']*'|\b\d[\d.:]*\b|\bdata/\S+|…|\b[a-z]+://\S+|\bX\b|\([^)]*\)|,? ?did you mean"
)


def texts() -> str:
    """All strings of the program."""
    trees = (ast.parse(path.read_text()) for path in SOURCE.rglob("*.py"))
    found = (node.value for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return "\n".join(each for each in found if isinstance(each, str))


def test_a_message_of_the_page_of_errors_is_one_of_the_program() -> None:
    known = texts()
    rows = re.findall(r"^\| `([^`]+)`(?:: `([^`]+)`)?(?: \(`[^`]+`\))? ?(?:[^|]*)\|", ERRORS.read_text(), re.M)
    shown = [each for row in rows for each in row if each]
    assert len(shown) > 40
    missing = []
    for text in shown:
        parts = [part.strip(" ,:$`") for part in VALUE.split(text)]
        if not any(part in known for part in parts if len(part) > 4):
            missing.append(text)
    assert missing == []
