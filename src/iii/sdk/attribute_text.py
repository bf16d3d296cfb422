"""Attributes and events of a span as OTLP JSON, each of a bounded size (08 §17.4).

They become text at once: whoever has the value may change it later, and it must not be held as long as the span.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import islice
from typing import Any

from iii.protocol.limits import SPAN_ATTRIBUTES, SPAN_VALUE_CHARACTERS
from iii.protocol.traceback_text import shown
from iii.sdk.otlp import any_value, encoded

_CACHED_CHARACTERS = 256  # of a text whose JSON is kept, so that the cache is bounded in bytes too


def attribute_text(key: str, value: Any) -> str:
    """Never raises."""
    if type(key) is not str:
        key = shown(key)
    kind = type(value)
    if kind is bool:
        described = f'"boolValue":{"true" if value else "false"}'
    elif kind is str:
        described = f'"stringValue":{_whole_text(value[:SPAN_VALUE_CHARACTERS])}'
    else:
        text = _whole_text(any_value(value))
        described = text[1:-1]
        if len(text) > SPAN_VALUE_CHARACTERS:
            described = f'"stringValue":{_whole_text(text[:SPAN_VALUE_CHARACTERS])}'
    return f'{{"key":{json_text(key[:SPAN_VALUE_CHARACTERS])},"value":{{{described}}}}}'


def attributes_text(pairs: Iterable[tuple[str, Any]]) -> str:
    """As the members of a list."""
    return ",".join([attribute_text(key, value) for key, value in pairs])


def event_text(name: str, time_ns: int, attributes: Mapping[str, Any]) -> str:
    """Never raises; of very many attributes the first ones count."""
    pairs = attributes_text(islice(attributes.items(), SPAN_ATTRIBUTES))
    if type(name) is not str:
        name = shown(name)
    return f'{{"name":{json_text(name[:SPAN_VALUE_CHARACTERS])},"timeUnixNano":"{time_ns}","attributes":[{pairs}]}}'


def json_text(text: str) -> str:
    """A text as JSON."""
    return _short_text(text) if len(text) <= _CACHED_CHARACTERS else _whole_text(text)


@lru_cache(maxsize=4096)
def _short_text(text: str) -> str:
    return _whole_text(text)


def _whole_text(value: Any) -> str:
    return encoded(value).decode()
