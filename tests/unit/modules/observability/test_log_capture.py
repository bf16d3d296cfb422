"""The engine's own lines as records (06 §10.2)."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from iii.engine.log_lines import LogLine
from iii.modules.observability.logs.capture import LogCapture
from iii.modules.observability.records import LogRecord


class Setting:
    """A capture whose loop is in the test's hand."""

    def __init__(self) -> None:
        self.due: list[Callable[[], None]] = []
        self.told: list[LogRecord] = []
        self.capture = LogCapture("iii", self.due.append, lambda: ("a" * 32, "b" * 16), self.told.extend)

    def turn(self) -> None:
        due, self.due[:] = self.due[:], []
        for each in due:
            each()


def line(
    message: str = "m", level: int = 30, source: str = "iii.engine.x", stacktrace: str = "", **fields: Any
) -> LogLine:
    return LogLine(7, level, source, "x.y", message, fields, "x.py", 12, stacktrace)


@pytest.fixture
def setting() -> Setting:
    return Setting()


def test_06_10_2_values_are_json_and_absent_ones_are_left_out(setting: Setting) -> None:
    setting.capture(line(level=40, queue="emails", attempts=3, nobody=None, stacktrace="Traceback"))
    assert setting.told == []  # whoever logs may hold a lock
    setting.turn()
    (record,) = setting.told
    assert record.attributes == {
        "queue": "emails", "attempts": 3, "event": "x.y", "target": "iii.engine.x", "file": "x.py", "line": 12, "stacktrace": "Traceback",
    }  # fmt: skip
    assert (record.severity_text, record.severity_number, record.body) == ("ERROR", 17, "m")
    assert (record.service_name, record.resource, record.instrumentation_scope_name) == (
        "iii",
        {"service.name": "iii"},
        "tracing",
    )
    assert (record.trace_id, record.span_id, record.timestamp_unix_nano) == ("a" * 32, "b" * 16, 7)


@pytest.mark.parametrize(
    ("level", "text", "number"),
    [(5, "TRACE", 1), (10, "DEBUG", 5), (20, "INFO", 9), (30, "WARN", 13), (50, "ERROR", 17), (25, "INFO", 9)],
)
def test_06_10_2_levels_have_their_numbers(setting: Setting, level: int, text: str, number: int) -> None:
    setting.capture(line(level=level))
    setting.turn()
    assert (setting.told[0].severity_text, setting.told[0].severity_number) == (text, number)


def test_what_workers_log_is_not_kept_twice(setting: Setting) -> None:
    setting.capture(line(source="iii.worker"))
    setting.turn()
    assert (setting.told, setting.due) == ([], [])


def test_a_line_of_another_thread_has_the_trace_that_it_names(setting: Setting) -> None:
    thread = threading.Thread(target=lambda: setting.capture(line(trace_id="c" * 32, span_id=5)))
    thread.start()
    thread.join()
    setting.turn()
    assert (setting.told[0].trace_id, setting.told[0].span_id) == ("c" * 32, None)
    assert not {"trace_id", "span_id"} & setting.told[0].attributes.keys()


def test_lines_that_come_while_others_are_told_wait_for_the_next_turn() -> None:
    due: list[Callable[[], None]] = []
    told: list[str] = []

    def tell(records: list[LogRecord]) -> None:
        told.extend(record.body for record in records)
        capture(line("caused"))

    capture = LogCapture("iii", due.append, lambda: None, tell)
    capture(line("1"))
    capture(line("2"))
    assert len(due) == 1
    due.pop()()
    assert told == ["1", "2"]
    assert len(due) == 1


def test_lines_that_the_loop_does_not_come_to_are_counted(setting: Setting) -> None:
    for _ in range(10_005):
        setting.capture(line())
    setting.turn()
    assert (len(setting.told), setting.capture.dropped) == (10_000, 5)
