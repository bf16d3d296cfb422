"""How much of a log record is written: what it quotes comes from outside and may have 64 MiB (core 9)."""

import logging
from collections.abc import Mapping
from math import isfinite

from iii.protocol.quoted import QUOTED_CHARACTERS, shortened

TEXT_CHARACTERS = 2_000  # of what a worker logs itself
LINE_CHARACTERS = 4_000  # Longest line of the log.
TRACEBACK_CHARACTERS = 6_000  # with what a worker sent as its own
RECORD_CHARACTERS = 16_000  # Longest text of one log record, with its stack trace.
_ITEMS = 20  # of a field that has members
_LEVELS = 3


def _text(value: object) -> str:
    try:
        return str(value)
    except Exception:
        return f"({type(value).__name__}, whose text cannot be made)"


def cut_arguments(record: logging.LogRecord) -> None:
    """Cut what the record's message quotes, in place."""
    own_words = record.name == "iii.worker"
    limit = TEXT_CHARACTERS if own_words else QUOTED_CHARACTERS
    if isinstance(record.msg, str):
        record.msg = shortened(record.msg, TEXT_CHARACTERS)
    if isinstance(record.args, tuple):
        record.args = tuple(_cut_argument(value, limit) for value in record.args)


def _cut_argument(value: object, characters: int) -> object:
    if value is None or isinstance(value, (int, float)):
        return value
    if isinstance(value, (str, BaseException)):
        text = _text(value)
        return text if len(text) <= characters else shortened(text, characters)
    return bounded(value)


def bounded(value: object, levels: int = _LEVELS) -> object:
    """A copy of JSON-like data of a size that can be written."""
    if isinstance(value, str):
        return shortened(value, QUOTED_CHARACTERS)
    if isinstance(value, bytes):
        return value[:QUOTED_CHARACTERS]
    if isinstance(value, float) and not isfinite(value):
        return str(value)  # JSON has no such numbers
    if isinstance(value, Mapping):
        if not levels:
            return f"… ({len(value)} members)"
        shown = {
            bounded(key): bounded(item, levels - 1)
            for key, item, _ in zip(value, value.values(), range(_ITEMS), strict=False)
        }
        return shown if len(value) <= _ITEMS else {**shown, "…": f"{len(value) - _ITEMS} more"}
    if isinstance(value, (list, tuple)):
        if not levels:
            return f"… ({len(value)} items)"
        items = [bounded(item, levels - 1) for item in value[:_ITEMS]]
        return items if len(value) <= _ITEMS else [*items, f"… ({len(value) - _ITEMS} more)"]
    return value
