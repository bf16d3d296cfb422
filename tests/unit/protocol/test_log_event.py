"""A log event is declared once; a line of it is its sentence, with the values as fields (06 §11)."""

import ast
import logging
import re
from pathlib import Path

import pytest

import iii
from docs.generator.log_events_page import fields_by_event, log_events
from iii.protocol.log_event import LogEvent, LogText, declared
from iii.protocol.log_line import level_name

SOURCE = Path(iii.__file__).parent
SAYING = {"debug", "info", "warning", "error", "exception", "critical", "log"}
# Lines that workers and commands write, not we
OTHERS_WORDS = {"modules/exec/output.py", "modules/observability/logs/console.py", "sdk/logger.py"}

SAID = LogEvent("test_log_event", "test.said", logging.WARNING, "Said {times} times", means="A test said it.")
HAPPENED = LogEvent("iii.test_log_event", "test.happened", logging.WARNING, "Test happened", means="A test ran.")


@pytest.mark.parametrize("level", ["DEBUG", "INFO", "ERROR"])
def test_levels_are_called_as_the_library_calls_them(level: str) -> None:
    assert level_name(getattr(logging, level)) == logging.getLevelName(getattr(logging, level)) == level


def test_a_level_that_a_program_has_added_has_its_name() -> None:
    logging.addLevelName(27, "NOTICE")
    assert [level_name(number) for number in (5, 27, 28, 30, 50)] == ["TRACE", "NOTICE", "Level 28", "WARN", "ERROR"]


def test_a_line_has_the_sentence_and_its_values_as_fields(caplog: pytest.LogCaptureFixture) -> None:
    HAPPENED(name="a b", count=1, reason="broken")
    (record,) = caplog.records
    assert isinstance(record.msg, LogText)
    assert record.msg.sentence == "Test happened"
    assert record.__dict__["event"] == "test.happened"
    assert record.__dict__["fields"] == {"name": "a b", "count": 1, "reason": "broken"}
    assert (record.name, record.funcName) == (
        "iii.test_log_event",
        "test_a_line_has_the_sentence_and_its_values_as_fields",
    )


def test_who_shows_no_fields_sees_the_values_in_the_text(caplog: pytest.LogCaptureFixture) -> None:
    HAPPENED(name="a\nb", count=1, api_key="s3cret", none=None)
    HAPPENED()
    assert caplog.messages == [r'Test happened (name="a\nb", count=1, api_key=[hidden], none=null)', "Test happened"]


def test_a_promised_sentence_has_its_values_in_it(caplog: pytest.LogCaptureFixture) -> None:
    SAID(times="{count}", count=3)
    assert caplog.messages == ["Said {count} times (count=3)"]
    assert caplog.records[0].msg == "Said {count} times"  # log handlers of programs expect a text


def test_a_line_may_have_a_level_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    HAPPENED(None, logging.INFO)
    HAPPENED(None, logging.ERROR)
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_an_error_comes_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    HAPPENED(ValueError("why"))
    assert "ValueError: why" in caplog.text


def test_nothing_is_made_of_a_value_below_the_level(caplog: pytest.LogCaptureFixture) -> None:
    asked: list[str] = []

    class Value:
        def __str__(self) -> str:
            asked.append("for its text")
            return ""

    caplog.set_level(logging.ERROR, "iii.test_log_event")
    HAPPENED(value=Value())
    assert (caplog.records, asked) == ([], [])


def test_a_name_is_declared_once() -> None:
    with pytest.raises(ValueError, match=r"'test\.happened' is declared twice"):
        LogEvent("iii.elsewhere", "test.happened", logging.INFO, "Another", means="Nothing.")


def test_a_module_may_be_imported_again() -> None:
    again = LogEvent(HAPPENED.source, "test.happened", logging.INFO, "Another", means="Nothing.")
    assert declared["test.happened"] is again
    declared["test.happened"] = HAPPENED


def test_no_module_declares_a_name_twice() -> None:
    """An import would not notice."""
    nodes = (node for file in SOURCE.rglob("*.py") for node in ast.walk(ast.parse(file.read_text())))
    calls = [node for node in nodes if isinstance(node, ast.Call) and ast.unparse(node.func) == "LogEvent"]
    names = [ast.unparse(call.args[1]) for call in calls]
    assert len(names) > 200
    assert sorted(set(names)) == sorted(names)


def test_events_are_named_and_explained() -> None:
    fields = fields_by_event()
    for event in log_events():
        assert set(re.findall(r"{(\w+)}", event.sentence)) <= set(fields[event.name])
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*\.[a-z]+(_[a-z]+)*", event.name)
        assert event.means.endswith(".")
        assert event.do == "" or event.do.endswith(".")
        assert "%" not in event.sentence
        assert event.do or event.level < logging.ERROR, f"{event.name}: what does an operator do?"


def test_every_line_of_the_log_is_an_event() -> None:
    found = {
        str(path.relative_to(SOURCE))
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in SAYING
        and re.search(r"(^|[._])(log|logger|logging|fallback)$", ast.unparse(node.func.value))
    }
    assert found <= {"protocol/log_event.py", *OTHERS_WORDS}
