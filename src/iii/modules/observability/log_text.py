"""What a log record must be before anyone hears of it, whoever made it (06 §10.1)."""

from typing import Any

from iii.modules.observability.records import LogRecord
from iii.modules.observability.redaction import REDACTED, redacted_value
from iii.protocol.log_line import without_escapes

SEVERITIES = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")  # four numbers each, from 1
_LEVELS = 64  # of members within members that are looked at; whatever is below is not kept


def complete(record: LogRecord) -> None:
    """Give it the name of its severity, take escapes of terminals and values of secret names from it; in place."""
    if not record.severity_text:
        record.severity_text = severity_name(record.severity_number)
    if "\x1b" in record.body:
        record.body = without_escapes(record.body)
    _clean_members(record.attributes, _LEVELS)
    if record.trace_id is not None:
        record.trace_id = _id(record.trace_id)
    if record.span_id is not None:
        record.span_id = _id(record.span_id)


def severity_name(number: int) -> str:
    """`ERROR` for 17 to 20 and so on; empty for a number that none has."""
    return SEVERITIES[(number - 1) // 4] if 1 <= number <= 24 else ""


def _clean_members(members: dict[str, Any], levels: int) -> None:
    for key, value in members.items():
        kept = redacted_value(key, value)
        if kept is not value:
            members[key] = kept
        elif type(value) is str:
            if "\x1b" in value:
                members[key] = without_escapes(value)
        elif type(value) is dict or type(value) is list:
            if levels:
                _clean_inside(value, levels - 1)
            else:
                members[key] = REDACTED


def _clean_inside(value: dict[str, Any] | list[Any], levels: int) -> None:
    if isinstance(value, dict):
        _clean_members(value, levels)
        return
    for index, item in enumerate(value):
        if type(item) is str:
            if "\x1b" in item:
                value[index] = without_escapes(item)
        elif type(item) is dict or type(item) is list:
            if levels:
                _clean_inside(item, levels - 1)
            else:
                value[index] = REDACTED


def _id(text: str) -> str | None:
    """Empty and all zeros mean that there is none."""
    return text if text.strip("0") else None
