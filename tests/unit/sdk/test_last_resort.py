"""Log lines of a program that has set up no logging have date, zone and level; one that has gets the records (newcomer d)."""

import io
import logging
import re
import sys
from collections.abc import Iterator

import pytest

from iii.sdk.log_output import LastResort, set_up


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    made = logging.getLogger("iii_of_this_test")
    made.propagate = False
    made.addHandler(LastResort())
    yield made
    made.handlers.clear()


def test_a_line_has_its_moment_and_level_and_lines_below_are_indented(
    logger: logging.Logger, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LastResort, "_others", lambda *_: False)  # those of pytest
    logger.info("not told")
    logger.warning("first\nsecond")
    try:
        raise ValueError("why")
    except ValueError:
        logger.exception("failed")
    logger.error("")
    first, second, failed, *trace, empty = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} \+0000\] \[WARN\] iii_of_this_test first", first)
    assert second == "    second"
    assert failed.endswith("[ERROR] iii_of_this_test failed")
    assert trace[0].startswith("    Traceback")
    assert trace[-1] == "    ValueError: why"
    assert empty.endswith("iii_of_this_test ")


def test_a_program_with_handlers_gets_the_records(
    logger: logging.Logger, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = logging.StreamHandler(io.StringIO())
    logger.addHandler(kept)
    logger.error("theirs")
    logger.removeHandler(kept)
    monkeypatch.setattr(sys, "stderr", None)
    logger.error("nowhere to go")
    assert capsys.readouterr().err == ""


def test_a_standard_error_that_fails_costs_nothing(logger: logging.Logger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LastResort, "_others", lambda *_: False)
    broken = io.StringIO()
    monkeypatch.setattr(sys, "stderr", broken)
    monkeypatch.setattr(broken, "flush", lambda: 1 // 0)
    monkeypatch.setattr(logging, "raiseExceptions", False)
    logger.error("told as far as it goes")


def test_it_is_set_up_once() -> None:
    set_up()
    set_up()
    assert sum(isinstance(each, LastResort) for each in logging.getLogger("iii").handlers) == 1


def test_handlers_of_the_program_further_up_count(capsys: pytest.CaptureFixture[str]) -> None:
    parent = logging.getLogger("iii_of_this_program")
    kept = logging.StreamHandler(io.StringIO())
    parent.addHandler(kept)
    below = logging.getLogger("iii_of_this_program.below")
    below.addHandler(LastResort())
    below.error("theirs")
    parent.removeHandler(kept)
    assert "theirs" in kept.stream.getvalue()
    assert capsys.readouterr().err == ""
