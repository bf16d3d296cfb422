"""Placeholders in values: filled when a value is read, never in what is stored (18 §2.3)."""

import math
import re
from collections.abc import Mapping
from typing import Any

import msgspec
import yaml

from iii.protocol.placeholders import ENGINE_VERSION_DEFAULT, PLACEHOLDER
from iii.protocol.versions import PACKAGE_VERSION
from iii.storage.yaml_text import compose, construct

_BEGIN = b"${"
_LEADING_ZEROS = re.compile(r"[-+]?0[0-9]+")  # a number to our loader, and a text to whoever wrote it
_LONGEST_SCALAR = 64 * 1024  # characters; longer ones stay texts
_INT_64 = range(-(2**63), 2**64)


class Filled(msgspec.Struct, frozen=True):
    """A value with its placeholders filled.

    Attributes:
        value: JSON.
        missing: variables that are not set and have no default; their placeholders stay.
    """

    value: bytes
    missing: tuple[str, ...] = ()


def filled(value: bytes, environment: Mapping[str, str]) -> Filled:
    """The JSON with every placeholder in its texts replaced; names of members stay as they are."""
    if _BEGIN not in value:
        return Filled(value)
    missing: dict[str, None] = {}
    result = _filled(msgspec.json.decode(value), environment, missing)
    return Filled(msgspec.json.encode(result), tuple(missing))


def _filled(value: Any, environment: Mapping[str, str], missing: dict[str, None]) -> Any:
    match value:
        case str() if "${" in value:
            return _text(value, environment, missing)
        case list():
            return [_filled(item, environment, missing) for item in value]
        case dict():
            return {key: _filled(item, environment, missing) for key, item in value.items()}
        case _:
            return value


def _text(text: str, environment: Mapping[str, str], missing: dict[str, None]) -> Any:
    def replace(found: re.Match[str]) -> str:
        name, default = found.groups()
        if name in environment:
            return environment[name]
        if default is None:
            missing[name] = None
            return found[0]
        return PACKAGE_VERSION if default == ENGINE_VERSION_DEFAULT else str(default)

    whole = PLACEHOLDER.fullmatch(text.strip())
    if whole is None:
        return PLACEHOLDER.sub(replace, text)
    value = replace(whole)
    return text if value == whole[0] else scalar(value)


def scalar(text: str) -> Any:
    """What YAML 1.2 reads the text as: a number, a truth value, null, a flow list or mapping, or the text itself."""
    bare = text.strip()
    if not bare or len(bare) > _LONGEST_SCALAR or _LEADING_ZEROS.fullmatch(bare):
        return text if bare else ""
    try:
        node = compose(text)
        value = None if node is None else construct(node)
        whole = node is not None and node.end_mark.index - node.start_mark.index == len(bare)
        if not whole or (isinstance(value, (list, dict)) and bare[0] not in "[{"):
            return text
        if isinstance(value, str):
            return value if bare[0] in "\"'" else text
        if isinstance(value, float) and not math.isfinite(value):
            return None
        if isinstance(value, int) and value not in _INT_64:
            return text
        return msgspec.json.decode(msgspec.json.encode(value))
    except (yaml.YAMLError, msgspec.MsgspecError, RecursionError, TypeError, ValueError, OverflowError):
        return text
