"""The payload of `iii trigger` out of KEY=VALUE words and `--json` (07 §8.2)."""

from collections.abc import Sequence

import msgspec
from msgspec import Raw


class PayloadMistake(ValueError):
    """What is wrong with the words; text for the person who typed them."""


def payload_of(pairs: Sequence[str], json: str | None, flag: str = "--json") -> Raw:
    """The payload as JSON, numbers exactly as typed; `{}` if nothing is given.

    Args:
        pairs: words `KEY=VALUE`; a value that is JSON counts as JSON, anything else as text; a later key wins.
        json: any JSON value, an object if there are pairs too; pairs replace its members.
        flag: `--payload` for the old spelling, whose texts differ.
    """
    if json is None:
        return _encoded(dict(map(_pair, pairs)))
    try:
        value = _raw(json)
    except ValueError as error:
        start = "Invalid JSON payload:" if flag == "--payload" else f"{flag}: invalid JSON:"
        detail = str(error).removeprefix("JSON is malformed: ").replace("Input data was truncated", "unexpected end")
        raise PayloadMistake(f"{start} {detail}") from None
    if not pairs:
        return value
    try:
        members = msgspec.json.decode(value, type=dict[str, Raw])
    except msgspec.ValidationError:
        raise PayloadMistake(f"{flag} must be an object when combined with kv pairs") from None
    return _encoded(members | dict(map(_pair, pairs)))


def _pair(word: str) -> tuple[str, Raw]:
    key, mark, text = word.partition("=")
    if not mark:
        raise PayloadMistake(f"expected key=value, got '{word}'{_how_to_pass(word)}")
    if not key:
        raise PayloadMistake(f"payload key must not be empty (got '{word}')")
    return key, value_of(text)


def _how_to_pass(word: str) -> str:
    """What may have been meant."""
    if word[:1] in ("{", "["):
        return "; pass a JSON payload with --json"
    try:
        _raw(word)
    except ValueError:
        return f"; give the value a name, as in name={word}"
    return f"; give the value a name, as in value={word}, or make it the whole payload: --json {word}"


def value_of(text: str) -> Raw:
    """A VALUE that was typed: itself if it is JSON, else as text; so are NaN and 1e999, which JSON cannot say."""
    try:
        return _raw(text)
    except ValueError:
        return _encoded(text)


def _raw(text: str) -> Raw:
    """The text as one JSON value. Raises ValueError."""
    data = text.strip(" \t\r\n").encode()
    try:
        msgspec.json.decode(data)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return Raw(data)


def _encoded(value: object) -> Raw:
    return Raw(msgspec.json.encode(value))
