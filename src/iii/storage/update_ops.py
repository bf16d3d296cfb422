"""Update operations as they are sent, checked before any of them is applied (05 §2.1, §0.3)."""

from __future__ import annotations

import json
from typing import Annotated, Any, NamedTuple, TypeAlias

import msgspec
from msgspec import Meta, Raw

from iii.protocol.errors import DeserializationFailed
from iii.protocol.json_kind import kind_of
from iii.protocol.json_text import holds_more_than

KINDS = ("set", "merge", "increment", "decrement", "append", "remove")
_OLD_SHAPES = ("set", "merge", "increment", "decrement", "remove")  # of the 0.10 documentation

MOST_OPS = 5_000  # of one call; each is checked on the loop in 3 us
UPDATED_VALUES = 200_000  # that an update makes objects of; lists and objects count three times
TOO_MANY = f"the value exceeds the limit of {UPDATED_VALUES} entries (lists and objects count three times); set it as a whole instead"

_decode = msgspec.json.Decoder().decode


Ops: TypeAlias = Annotated[
    Raw,
    Meta(
        description="`set`, `merge`, `increment`, `decrement`, `append`, `remove`, in order.",
        extra_json_schema={"type": "array"},
    ),
]
"""Operations as they are sent: a member of a request."""


class Op(NamedTuple):
    """One operation.

    Attributes:
        path: names from the root; empty is the root itself.
        nested: the path was an array.
        value: of `set`, `merge`, `append`; the number of `increment`, `decrement`.
    """

    kind: str
    path: tuple[str, ...]
    nested: bool
    value: Any


class _Unfit(Exception):
    """What is wrong with one operation."""


def read_ops(ops: Raw | bytes, function_id: str) -> list[Op]:
    """The operations of a call, in order. Raises DeserializationFailed."""
    try:
        sent = plain(bytes(ops))
        if not isinstance(sent, list):
            raise _Unfit(f"invalid type: {kind_of(sent)}, expected a sequence")
        if len(sent) > MOST_OPS:
            raise _Unfit(f"{len(sent)} operations exceed the limit of {MOST_OPS}")
        return [_op(each) for each in sent]
    except _Unfit as unfit:
        raise DeserializationFailed(function_id, str(unfit)) from None
    except ValueError as error:
        raise DeserializationFailed(function_id, str(error)) from None


def plain(text: bytes) -> Any:
    """JSON text as plain values, with integers of any size; on the loop too. Raises ValueError."""
    if holds_more_than(text, UPDATED_VALUES):
        raise ValueError(TOO_MANY)
    try:
        return _decode(text)
    except msgspec.DecodeError:
        return json.loads(text)  # what msgspec refuses: numbers beyond a double, deep nesting within Python's limit
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _op(sent: Any) -> Op:
    if not isinstance(sent, dict):
        raise _Unfit(f"invalid type: {kind_of(sent)}, expected an operation")
    if "type" not in sent:
        sent = _old_shape(sent)
    kind = sent["type"]
    if not isinstance(kind, str):
        raise _Unfit(f"invalid type: {kind_of(kind)}, expected a string")
    if kind not in KINDS:
        known = ", ".join(f"`{each}`" for each in KINDS)
        raise _Unfit(f"unknown variant `{kind}`, expected one of {known}")
    path = _any_path(sent) if kind in ("merge", "append") else _literal_path(sent)
    if kind in ("increment", "decrement"):
        value = _number(sent)
    elif kind in ("merge", "append"):
        if "value" not in sent:
            raise _Unfit("missing field `value`")
        value = sent["value"]
    else:
        value = sent.get("value")
    return Op(kind, path, isinstance(sent.get("path"), list), value)


def _old_shape(sent: dict[str, Any]) -> dict[str, Any]:
    kinds = [kind for kind in _OLD_SHAPES if kind in sent]
    if len(kinds) != 1:
        raise _Unfit("missing field `type`")
    (kind,) = kinds
    value = sent[kind]
    match kind:
        case "set":
            return {"type": "set", "path": "", "value": value}
        case "merge" if isinstance(value, dict):
            return {"type": "merge", "value": value}
        case "remove" if isinstance(value, str):
            return {"type": "remove", "path": value}
        case "increment" | "decrement" if isinstance(value, dict):
            return {"type": kind, **({"path": value["field"]} if "field" in value else {}), "by": value.get("by")}
    raise _Unfit("missing field `type`")


def _literal_path(sent: dict[str, Any]) -> tuple[str, ...]:
    """One name, never split; the empty one is the root."""
    if "path" not in sent:
        raise _Unfit("missing field `path`")
    path = sent["path"]
    if not isinstance(path, str):
        raise _Unfit(f"invalid type: {kind_of(path)}, expected a string")
    return (path,) if path else ()


def _any_path(sent: dict[str, Any]) -> tuple[str, ...]:
    path = sent.get("path")
    if path is None or path == "":
        return ()
    if isinstance(path, str):
        return (path,)
    if isinstance(path, list) and all(isinstance(each, str) for each in path):
        return tuple(path)
    raise _Unfit("data did not match any variant of untagged enum MergePath")


def _number(sent: dict[str, Any]) -> int | float:
    if "by" not in sent:
        raise _Unfit("missing field `by`")
    by = sent["by"]
    if isinstance(by, bool) or not isinstance(by, int | float):
        raise _Unfit(f"invalid type: {kind_of(by)}, expected a number")
    return int(by) if isinstance(by, float) and by.is_integer() else by
