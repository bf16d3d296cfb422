"""How much of a log record is written: what it quotes comes from outside and may have 64 MiB (core 9)."""

import logging
import traceback
from collections.abc import Mapping

VALUE_CHARACTERS = 200  # of one thing that a message of ours quotes, or of one field
TEXT_CHARACTERS = 2_000  # of what a worker logs itself
LINE_CHARACTERS = 4_000
RECORD_CHARACTERS = 16_000  # all lines: a traceback, a tree of fields
_ITEMS = 20  # of a field that has members
_LEVELS = 3
_CAUSES = 4  # errors of one traceback
_FRAMES = 15  # of each, the innermost


def cut(text: str, characters: int) -> str:
    """The text, or its beginning and how long it is."""
    return text if len(text) <= characters else f"{text[:characters]}… ({len(text)} characters)"


def traceback_text(error: BaseException) -> str:
    """The traceback of an error and of those that it came from, oldest first, of a size that can be written.

    The library's own looks at each line of each error's text.
    """
    chain = [error]
    while len(chain) < _CAUSES and (before := _before(chain[-1])) is not None and before not in chain:
        chain.append(before)
    parts = [
        f"Traceback (most recent call last):\n{''.join(traceback.format_tb(each.__traceback__, -_FRAMES))}"
        f"{type(each).__qualname__}: {cut(_text(each), TEXT_CHARACTERS)}"
        for each in reversed(chain)
    ]
    return cut_middle("\n\n".join(parts))


def _text(value: object) -> str:
    try:
        return str(value)
    except Exception:
        return f"({type(value).__name__}, whose text cannot be made)"


def _before(error: BaseException) -> BaseException | None:
    return error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def cut_middle(text: str) -> str:
    """The text without its middle: the last line of a traceback says what went wrong."""
    if len(text) <= LINE_CHARACTERS:
        return text
    return f"{text[: LINE_CHARACTERS - 1_000]}\n… ({len(text)} characters)\n{text[-1_000:]}"


def cut_arguments(record: logging.LogRecord) -> None:
    """Cut what the record's message quotes, in place."""
    own_words = record.name == "iii.worker"
    limit = TEXT_CHARACTERS if own_words else VALUE_CHARACTERS
    if isinstance(record.msg, str):
        record.msg = cut(record.msg, TEXT_CHARACTERS)
    if isinstance(record.args, tuple):
        record.args = tuple(_cut_argument(value, limit) for value in record.args)


def _cut_argument(value: object, characters: int) -> object:
    if value is None or isinstance(value, (int, float)):
        return value
    if isinstance(value, (str, BaseException)):
        text = _text(value)
        return text if len(text) <= characters else cut(text, characters)
    return bounded(value)


def bounded(value: object, levels: int = _LEVELS) -> object:
    """A copy of JSON-like data of a size that can be written."""
    if isinstance(value, str):
        return cut(value, VALUE_CHARACTERS)
    if isinstance(value, bytes):
        return value[:VALUE_CHARACTERS]
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
