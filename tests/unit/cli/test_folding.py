"""Help fits the terminal (07 §8.1)."""

import pytest

from iii.cli import COMMANDS
from iii.cli.folding import folded
from tests.unit.cli.test_usage import run


@pytest.mark.parametrize("columns", [80, 100])
@pytest.mark.parametrize("command", ["", *COMMANDS, "worker drain", "worker list", "trigger list", "trigger fire"])
def test_07_s8_1_the_help_of_every_command_is_no_wider_than_the_terminal(
    command: str, columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    assert run(f"{command} --help") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines
    assert [line for line in lines if len(line) > columns and not line.startswith("  iii ")] == []


def test_a_line_goes_on_below_its_last_column() -> None:
    text = "columns:\n  NAME     one that is so long\n  A, B C   x\n\na text that is too long for this\n  and this goes on here"
    assert folded(text, 22).split("\n") == [
        "columns:", "  NAME     one that is", "           so long", "  A, B C   x", "", "a text that is too", "long for this",
        "  and this goes on", "  here",
    ]  # fmt: skip


def test_a_command_is_left_as_it_is() -> None:
    command = "  iii trigger math::add a=2 b=3    # adds"
    assert folded(command, 20) == command
