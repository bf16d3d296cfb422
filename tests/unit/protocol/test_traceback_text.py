"""Exceptions as text (core 3, 9; newcomer c): the frames that matter, and no more work than what is shown."""

import traceback
from typing import Any

import pytest

from iii.protocol.traceback_text import TRACEBACK_CHARACTERS, traceback_text
from tests.hostile import EXCEPTIONS

NOTHING: dict[str, int] = {}


class Counted(Exception):
    asked = 0

    def __str__(self) -> str:
        Counted.asked += 1
        return "counted"


def raised(error: Exception) -> Exception:
    try:
        raise error
    except Exception as same:
        return same


def deep(levels: int) -> Any:
    return NOTHING["missing"] if levels == 0 else deep(levels - 1)


def test_core_3c_fifty_thousand_causes_cost_what_is_shown_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = 0
    extract = traceback.StackSummary.extract

    def counting(*arguments: Any, **named: Any) -> traceback.StackSummary:
        nonlocal frames
        frames += 1
        return extract(*arguments, **named)

    monkeypatch.setattr(traceback.StackSummary, "extract", counting)
    error = raised(Counted())
    for _ in range(50_000):
        later = raised(Counted())
        later.__cause__ = error
        error = later
    text = traceback_text(error)
    assert Counted.asked == text.count("Counted: counted") == 4
    assert frames == 4


def test_newcomer_c_the_last_frames_are_kept_and_the_first_ones() -> None:
    try:
        deep(30)
    except KeyError as error:
        lines = traceback_text(error).splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[1].endswith("in test_newcomer_c_the_last_frames_are_kept_and_the_first_ones")
    assert "  … (12 frames left out)" in lines
    assert lines[-2].strip().startswith('return NOTHING["missing"] if levels == 0')
    assert lines[-1] == "KeyError: 'missing'"


def test_causes_groups_and_notes_are_told() -> None:
    try:
        try:
            raise ValueError("first")
        except ValueError as error:
            error.add_note("seen on the way")
            raise ExceptionGroup("several", [raised(KeyError(number)) for number in range(5)]) from error
    except ExceptionGroup as group:
        text = traceback_text(group)
    wanted = (
        "ValueError: first\nseen on the way",
        "The error above was the direct cause of the next one:",
        "ExceptionGroup: several (5 sub-exceptions)",
        "  Error 3 of 5 in the group:",
        "  KeyError: 2",
        "… (2 errors of the group left out)",
    )
    assert all(each in text for each in wanted), text


@pytest.mark.parametrize("number", range(len(EXCEPTIONS)))
def test_core_3a_whatever_an_error_does_it_has_a_text_of_a_bounded_size(number: int) -> None:
    text = traceback_text(EXCEPTIONS[number]())
    assert text.encode()
    assert len(text) < TRACEBACK_CHARACTERS + 100


def test_a_group_within_groups_has_an_end() -> None:
    group: Exception = ValueError("inner")
    for _ in range(500):
        group = ExceptionGroup("outer", [group, group, group])
    assert len(traceback_text(group)) < TRACEBACK_CHARACTERS + 100
