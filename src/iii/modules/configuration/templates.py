"""Placeholders in values: filled when a value is read, never in what is stored (18 §2.3)."""

import math
import re
from collections.abc import Mapping
from functools import reduce
from typing import Any, TypeAlias

import msgspec
import yaml

from iii.protocol.json_text import BAD_JSON, nests_deeper_than
from iii.protocol.limits import CONFIGURATION_VALUE_BYTES
from iii.protocol.placeholders import ENGINE_VERSION_DEFAULT, PLACEHOLDER
from iii.protocol.versions import PACKAGE_VERSION
from iii.storage.yaml_text import compose, construct

_BEGIN = b"${"
_LEADING_ZEROS = re.compile(r"[-+]?0[0-9]+")  # a number to our loader, and a text to whoever wrote it
_LONGEST_SCALAR = 64 * 1024  # characters; longer ones stay texts
_YAML_CHARACTERS = 8 * 1024  # of lists and mappings of a value: the event loop waits up to 20 ms for them
_COSTLY = ("[", "{", "\n", "- ", "? ", ": ")  # what they, and texts that look like them, have
_LEVELS = 90  # of one that is JSON
_INT_64 = range(-(2**63), 2**64)
_sorted = msgspec.json.Encoder(order="sorted")
AS_TEXT = "${=text:}"  # fills to nothing, and keeps what is before it a text: no variable has such a name


class Filled(msgspec.Struct, frozen=True):
    """A value with its placeholders filled.

    Attributes:
        value: JSON.
        missing: variables that are not set and have no default; their placeholders stay.
        variables: name and value of those that were filled in.
    """

    value: bytes
    missing: tuple[str, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()


def filled(value: bytes, environment: Mapping[str, str]) -> Filled:
    """The JSON with every placeholder in its texts replaced; names of members stay as they are."""
    if _BEGIN not in value:
        return Filled(value)
    filling = _Filling(environment)
    result = filling.filled(msgspec.json.decode(value))
    return Filled(msgspec.json.encode(result), tuple(filling.missing), tuple(filling.used.items()))


def kept(value: bytes, before: bytes, environment: Mapping[str, str]) -> bytes:
    """The value with the placeholders of `before`, wherever it has what they fill to: it may have been read filled.

    A place is the names of members that lead to it. Items of lists may have moved, and there may be more of them.
    Raises TooManyPlaceholders.
    """
    if _BEGIN not in before:
        return value
    held, filling = _Held(), _Filling(environment)
    texts: list[tuple[_Place, str]] = []
    _find(msgspec.json.decode(before), (), texts)
    for place, text in texts:
        if (found := filling.filled(text)) != text:
            reduce(_Held.below, place, held).add(_numbers(place), text, found)
    return msgspec.json.encode(held.put_back(msgspec.json.decode(value), (), _Looks()))


class TooManyPlaceholders(Exception):
    """With them a value would be larger than any may be."""


_Place: TypeAlias = tuple[str | int, ...]
_Numbers: TypeAlias = tuple[int, ...]


class _Looks:
    """What is known of a value while placeholders are put back into it."""

    def __init__(self) -> None:
        self.sizes: dict[int, int] = {}
        self._left = CONFIGURATION_VALUE_BYTES

    def found(self, text: str) -> str:
        """A placeholder. Raises TooManyPlaceholders."""
        self._left -= len(text)
        if self._left < 0:
            raise TooManyPlaceholders
        return text


class _Held:
    """The placeholders at one place of a value, where items of a list are one place, and below it."""

    __slots__ = ("_anywhere", "_at", "_below", "_sizes")

    def __init__(self) -> None:
        self._at: dict[_Numbers, tuple[str, bytes]] = {}
        self._anywhere: dict[bytes, str] = {}
        self._sizes: set[int] = (
            set()
        )  # of what they fill to, if that is no scalar: only as large ones are encoded to be compared
        self._below: dict[str | None, _Held] = {}  # None: items of a list

    def below(self, step: str | int) -> "_Held":
        key = None if isinstance(step, int) else step
        below = self._below.get(key)
        if below is None:
            below = self._below[key] = _Held()
        return below

    def add(self, numbers: _Numbers, text: str, found: Any) -> None:
        result = _sorted.encode(found)
        self._at[numbers] = text, result
        self._anywhere.setdefault(result, text)
        if isinstance(found, (list, dict)):
            self._sizes.add(_size(found, {}))

    def put_back(self, value: Any, numbers: _Numbers, looks: _Looks) -> Any:
        """With the placeholders."""
        text = self._text(value, numbers, looks.sizes)
        if text is not None:
            return looks.found(text)
        below = self._below
        if isinstance(value, list) and None in below:
            items = below[None]
            return [items.put_back(item, (*numbers, number), looks) for number, item in enumerate(value)]
        if isinstance(value, dict):
            return {
                key: below[key].put_back(item, numbers, looks) if key in below else item for key, item in value.items()
            }
        return value

    def _text(self, value: Any, numbers: _Numbers, sizes: dict[int, int]) -> str | None:
        if not self._at or (
            isinstance(value, (list, dict)) and not (self._sizes and _size(value, sizes) in self._sizes)
        ):
            return None
        result = _sorted.encode(value)
        text, held = self._at.get(numbers, ("", b""))
        return text if held == result else self._anywhere.get(result)


def _size(value: Any, known: dict[int, int]) -> int:
    """How many values it is; `known` has those of other lists and mappings, by their `id`."""
    if not isinstance(value, (list, dict)):
        return 1
    size = known.get(id(value))
    if size is None:
        items = value.values() if isinstance(value, dict) else value
        size = known[id(value)] = 1 + sum([_size(item, known) for item in items])
    return size


def _find(value: Any, place: _Place, texts: list[tuple[_Place, str]]) -> None:
    if isinstance(value, (dict, list)):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            _find(item, (*place, key), texts)
    elif isinstance(value, str) and "${" in value:
        texts.append((place, value))


def _numbers(place: _Place) -> _Numbers:
    return tuple([step for step in place if isinstance(step, int)])


class _Filling:
    """One value's, with what was met on the way."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._read: dict[str, Any] = {}  # what texts are
        self._yaml_left = _YAML_CHARACTERS
        self.missing: dict[str, None] = {}
        self.used: dict[str, str] = {}

    def filled(self, value: Any) -> Any:
        match value:
            case str() if "${" in value:
                return self._text(value)
            case list():
                return [self.filled(item) for item in value]
            case dict():
                return {key: self.filled(item) for key, item in value.items()}
            case _:
                return value

    def _text(self, text: str) -> Any:
        whole = PLACEHOLDER.fullmatch(text.strip())
        if whole is None:
            return PLACEHOLDER.sub(self._replaced, text)
        value = self._replaced(whole)
        if value == whole[0]:
            return text
        if value not in self._read:
            self._read[value] = self._scalar(value)
        return self._read[value]

    def _scalar(self, text: str) -> Any:
        """As `scalar`; but what takes long has to be JSON, once there was much of it."""
        if not any(mark in text for mark in _COSTLY):
            return scalar(text)
        if len(text) > self._yaml_left:
            return _from_json(text)
        self._yaml_left -= len(text)
        return scalar(text)

    def _replaced(self, found: re.Match[str]) -> str:
        name, default = found.groups()
        if name in self._environment:
            self.used[name] = self._environment[name]
            return self.used[name]
        if default is None:
            self.missing[name] = None
            return found[0]
        return PACKAGE_VERSION if default == ENGINE_VERSION_DEFAULT else str(default)


def _from_json(text: str) -> Any:
    """A list or a mapping, or the text itself."""
    try:
        json = text.encode()
        if len(text) > _LONGEST_SCALAR or nests_deeper_than(json, _LEVELS):
            return text
        value = msgspec.json.decode(json)
    except (UnicodeEncodeError, *BAD_JSON):
        return text
    return value if isinstance(value, (list, dict)) else text


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
