"""What `expose_functions` and `allow` consist of: patterns of ids, or conditions on a function's metadata (20 §7)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct

from iii.engine.access.pattern import Patterns, unwrapped
from iii.protocol.names import DEFAULT_NAMESPACE
from iii.protocol.quoted import shortened

FilterEntry: TypeAlias = "str | dict[str, Any]"
"""As configurations write it: `match("…")`, or a mapping with `match` or `metadata`, and perhaps `namespace`."""

_KEYS = ("match", "metadata", "namespace")


class BadFilter(ValueError):
    """A filter is not understood; the text says why."""


class FunctionFilter(Struct, frozen=True):
    """Functions of one namespace, by id or by metadata.

    Attributes:
        pattern: of the id; None: `metadata` decides.
        metadata: every key must be there with that value, or with a text that the patterns have.
        namespace: that calls must be addressed to; None: any.
    """

    pattern: Patterns | None
    metadata: tuple[tuple[str, Any], ...] = ()
    namespace: str | None = DEFAULT_NAMESPACE

    def fits(self, function_id: str, namespace: str, metadata: bytes | None) -> bool:
        """Whether it lets a call through. `metadata` is that of the function as JSON; None: there is no such function."""
        if self.namespace is not None and namespace != self.namespace:
            return False
        if self.pattern is not None:
            return function_id in self.pattern
        return metadata is not None and self._has(metadata)

    def _has(self, metadata: bytes) -> bool:
        if metadata[:1] != b"{":
            return False
        try:
            members = msgspec.json.decode(metadata)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return False
        return all(key in members and _is(members[key], wanted) for key, wanted in self.metadata)


def read_filter(entry: object) -> FunctionFilter:
    """One entry. Raises BadFilter."""
    if isinstance(entry, str):
        pattern = unwrapped(entry)
        if pattern is None:
            raise BadFilter(f'expected match("pattern"), got: {shortened(entry)}')
        return FunctionFilter(Patterns([pattern]))
    if not isinstance(entry, Mapping):
        raise BadFilter(f'expected match("pattern") or a mapping, got: {shortened(str(entry))}')
    unknown = next((key for key in entry if key not in _KEYS), None)
    if unknown is not None:
        raise BadFilter(
            f"unknown key '{shortened(str(unknown))}' in expose_functions filter; expected 'match', 'metadata', or 'namespace'"
        )
    return _from_mapping(entry)


def _from_mapping(entry: Mapping[str, Any]) -> FunctionFilter:
    namespace = entry.get("namespace")
    if namespace is None:
        namespace = DEFAULT_NAMESPACE
    elif not isinstance(namespace, str) or not namespace.strip():
        raise BadFilter(f"'namespace' must be a name, got: {shortened(str(namespace))}")
    pattern, metadata = entry.get("match"), entry.get("metadata")
    if pattern is not None and metadata is not None:
        raise BadFilter("a filter has either a 'match' or a 'metadata' key, not both")
    if pattern is not None:
        if not isinstance(pattern, str):
            raise BadFilter(f"'match' must be a pattern, got: {shortened(str(pattern))}")
        return FunctionFilter(Patterns([pattern]), namespace=namespace)
    if not isinstance(metadata, Mapping) or not metadata:
        raise BadFilter("expected a 'match' or 'metadata' key with filter conditions")
    return FunctionFilter(None, tuple((str(key), _condition(wanted)) for key, wanted in metadata.items()), namespace)


def _condition(wanted: object) -> object:
    pattern = unwrapped(wanted) if isinstance(wanted, str) else None
    return wanted if pattern is None else Patterns([pattern])


def _is(value: object, wanted: object) -> bool:
    """Exactly, as JSON has it: `true` is neither 1 nor `"true"`."""
    if isinstance(wanted, Patterns):
        return isinstance(value, str) and value in wanted
    return type(value) is type(wanted) and _alike(value, wanted)


def _alike(value: object, wanted: object) -> bool:
    if isinstance(value, dict) and isinstance(wanted, dict):
        return value.keys() == wanted.keys() and all(_is(value[key], wanted[key]) for key in value)
    if isinstance(value, list) and isinstance(wanted, list):
        return len(value) == len(wanted) and all(map(_is, value, wanted))
    return value == wanted
