"""What commands print (07 §8.2)."""

import errno

import pytest

from iii.cli.asking import reason
from iii.cli.output import figure, json_text, print_table
from iii.cli.parser import fail
from iii.cli.worker import age


def test_07_s8_2_json_is_pretty_and_sorted() -> None:
    assert json_text({"b": [1], "a": "ü"}) == '{\n  "a": "ü",\n  "b": [\n    1\n  ]\n}'


def test_07_s8_2_json_cannot_steer_a_terminal() -> None:
    assert json_text("a\x1b\u009b\u202e\u2028\n") == '"a\\u001b\\u009b\\u202e\\u2028\\n"'


@pytest.mark.parametrize(
    ("value", "shown"),
    [(3.000000001, "3"), (0.1166306845, "0.1166"), (39_014_400, "39014400"), (1234.56, "1235"), (float("nan"), "nan")],
)
def test_a_figure_has_as_many_digits_as_mean_something(value: float, shown: str) -> None:
    assert figure(value) == shown


def test_a_table_read_by_a_program_is_never_cut(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["NAME", "ACTIVE"], [["x" * 300, "1"], ["[bold]y", "20"], ["a\x1b[31m\nb", "3"]])
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["NAME", "ACTIVE"],
        ["x" * 300, "1"],
        ["[bold]y", "20"],
        ["a[31mb", "3"],
    ]


def test_columns_stand_below_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["NAME", "ACTIVE", "ID"], [["日本", "1", "a"], ["abc", "20", "b"]])
    assert capsys.readouterr().out == "NAME  ACTIVE  ID\n日本       1  a\nabc       20  b\n"


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [(-5, "0 s"), (59_999, "59 s"), (60_000, "1 min"), (7_199_000, "1 h"), (90_000_000, "1 d")],
)
def test_an_age_is_in_its_largest_unit(milliseconds: int, text: str) -> None:
    assert age(milliseconds) == text


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (f"[Errno {errno.ECONNREFUSED}] Connect call failed", "connection refused"),
        (f"Multiple exceptions: [Errno {errno.ECONNREFUSED}] Connect, [Errno {errno.EPERM}] …", "connection refused"),
        ("[Errno -2] Name or service not known", "name or service not known"),
        ("upgrade refused with 404", "upgrade refused with 404"),
        ("TimeoutError", "no answer from an iii engine"),
    ],
)
def test_07_check_64_a_connection_error_reads_well(error: str, text: str) -> None:
    assert reason(error) == text


def test_an_error_in_the_words_of_others_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert fail("worker '\x1b]0;own\x07\u202e' is\nnot here") == 1
    assert capsys.readouterr().err == "Error: worker '\\x1b]0;own\\x07\\u202e' is\nnot here\n"
