"""What a log record is before anyone hears of it (06 §10.1)."""

import pytest

from tests.unit.modules.observability.log_records import record


@pytest.mark.parametrize(
    ("number", "name"),
    [(1, "TRACE"), (4, "TRACE"), (5, "DEBUG"), (9, "INFO"), (16, "WARN"), (17, "ERROR"), (24, "FATAL"), (0, ""), (-1, ""), (99, "")],
)  # fmt: skip
def test_06_check_19_a_severity_without_a_name_gets_it_from_its_number(number: int, name: str) -> None:
    assert record(severity_number=number).severity_text == name
    assert record(severity_number=number, severity_text="warn").severity_text == "warn"


def test_06_check_20_escapes_of_terminals_are_taken_out_and_ids_of_zeros_are_none() -> None:
    made = record(
        "\x1b[31mred\x1b[0m \x1b]8;;http://x\x07link\x1b]8;;\x1b\\",
        attributes={"\x1bkey": "\x1b[1mbold", "deep": {"list": ["\x1b[2Kgone", 3]}},
        trace_id="0" * 32,
        span_id="",
    )
    assert made.body == "red link"
    assert made.attributes == {"\x1bkey": "bold", "deep": {"list": ["gone", 3]}}
    assert (made.trace_id, made.span_id) == (None, None)


def test_06_check_18_values_of_secret_names_are_redacted_at_any_depth() -> None:
    attributes = {
        "Authorization": "Bearer x",
        "authorization_url": "https://x",
        "log.data": {"items": [{"Password": "p"}]},
    }
    assert record(attributes=attributes).attributes == {
        "Authorization": "[REDACTED]", "authorization_url": "https://x", "log.data": {"items": [{"Password": "[REDACTED]"}]},
    }  # fmt: skip


def test_what_is_nested_without_end_is_left_as_it_is() -> None:
    deep: list[object] = []
    for _ in range(5_000):
        deep = [deep]
    assert record(attributes={"deep": deep}).attributes["deep"]
