"""Update operations applied to one value, each whole or not at all (05 §2)."""

from __future__ import annotations

import json
import math
from typing import Any, NamedTuple

import msgspec

from iii.protocol.json_kind import type_of
from iii.storage.update_ops import Op, Ops, plain, read_ops

__all__ = ["Op", "Ops", "Update", "UpdateResult", "apply", "read_ops"]

PATH_SEGMENTS = 32
SEGMENT_BYTES = 256
MERGE_KEYS = 1024
MERGE_DEPTH = 16
FORBIDDEN = ("__proto__", "constructor", "prototype")
DOC_URL = "https://iii.dev/docs/workers/iii-state#error-codes"

_LEAST, _MOST = -(2**63), 2**64 - 1

_encode = msgspec.json.Encoder().encode


class UpdateResult(msgspec.Struct):
    """JSON text after all operations, and a JSON array of what was skipped; empty if nothing was."""

    new: bytes
    errors: bytes


class Update:
    """Operations as a change of an item (`items.How`); `errors` is what was skipped when it was made last."""

    __slots__ = ("_ops", "errors")

    def __init__(self, ops: list[Op]) -> None:
        self._ops = ops
        self.errors = b""

    def __call__(self, old: bytes | None) -> bytes:
        updated = apply(old, self._ops)
        self.errors = updated.errors
        return updated.new


class _Skipped(Exception):
    """Why an operation has no effect."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class _Missing(NamedTuple):
    """The root of an item that does not exist, while no operation has had an effect."""


class _Error(msgspec.Struct):
    op_index: int
    code: str
    message: str
    doc_url: str = DOC_URL


def apply(old: bytes | None, ops: list[Op]) -> UpdateResult:
    """What the operations make of an item's JSON, None for a missing one. Raises ValueError if `old` is not JSON."""
    root: Any = _MISSING if old is None else plain(old)
    errors: list[_Error] = []
    for index, op in enumerate(ops):
        try:
            root = _apply(root, op)
        except _Skipped as skipped:
            errors.append(_Error(index, skipped.code, str(skipped)))
    return UpdateResult(_text({} if root is _MISSING else root), _encode(errors) if errors else b"")


_MISSING = _Missing()


def _apply(root: Any, op: Op) -> Any:
    """The root afterwards. Raises _Skipped, with nothing touched."""
    _check_path(op)
    match op.kind:
        case "set":
            return _set(root, op)
        case "merge":
            return _merge(root, op)
        case "append":
            return _append(root, op)
        case "remove":
            return _remove(root, op)
        case _:
            return _add(root, op)


def _set(root: Any, op: Op) -> Any:
    if not op.path:
        return _copy(op.value)
    target = _object(root, op)
    target[op.path[0]] = _copy(op.value)
    return target


def _remove(root: Any, op: Op) -> Any:
    if not op.path:
        return None
    target = _object(root, op)
    target.pop(op.path[0], None)
    return target


def _add(root: Any, op: Op) -> Any:
    by = op.value if op.kind == "increment" else -op.value
    if not op.path:
        return _in_range(by, op) if root is _MISSING else _sum(root, by, op)
    target = _object(root, op)
    key = op.path[0]
    target[key] = _sum(target[key], by, op) if key in target else _in_range(by, op)
    return target


def _sum(value: Any, by: float, op: Op) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _not_number(op, type_of(value))
    try:
        return _in_range(value + by, op)
    except OverflowError:
        raise _not_number(op, "number") from None


def _in_range(number: float, op: Op) -> float:
    in_range = _LEAST <= number <= _MOST if isinstance(number, int) else math.isfinite(number)
    if not in_range:
        raise _not_number(op, "number")
    return number


def _merge(root: Any, op: Op) -> Any:
    _check_merge(op.value)
    if not op.path:
        if root is _MISSING:
            return dict(_copy(op.value))
        if isinstance(root, dict):
            root.update(_copy(op.value))
        return root
    root = root if isinstance(root, dict) else {}
    _walk(root, op.path).update(_copy(op.value))
    return root


def _append(root: Any, op: Op) -> Any:
    if not op.path:
        return _fresh(op.value) if root is _MISSING else _appended(root, "root", op)
    if root is _MISSING:
        root = {}
    if not isinstance(root, dict):
        where = f"[{', '.join(op.path)}]"
        raise _Skipped(
            "append.target_not_object", f"Cannot append at path '{where}': target is {type_of(root)}, expected object."
        )
    *parents, leaf = op.path
    holder = _find(root, parents)
    if holder is not None and leaf in holder:
        holder[leaf] = _appended(holder[leaf], leaf, op)
    else:
        holder = _walk(root, parents)
        holder[leaf] = [_copy(op.value)] if op.nested else _fresh(op.value)
    return root


def _appended(target: Any, label: str, op: Op) -> Any:
    value = op.value
    if isinstance(target, list):
        target.append(_copy(value))
        return target
    if isinstance(target, str):
        if not isinstance(value, str):
            raise _Skipped(
                "append.type_mismatch", f"Expected string append value at path '{label}', got {type_of(value)}."
            )
        return target + value
    if target is None:
        return _fresh(value)
    raise _Skipped(
        "append.type_mismatch",
        f"Cannot append at path '{label}': target is {type_of(target)}, expected array, string, null, or missing field.",
    )


def _fresh(value: Any) -> Any:
    return value if isinstance(value, str) else [_copy(value)]


def _find(root: dict[str, Any], path: list[str]) -> dict[str, Any] | None:
    """The object there, if all on the way are objects."""
    found: Any = root
    for name in path:
        found = found.get(name)
        if not isinstance(found, dict):
            return None
    return found  # type: ignore[no-any-return]


def _walk(root: dict[str, Any], path: list[str] | tuple[str, ...]) -> dict[str, Any]:
    """The object there; what is missing on the way, or none, becomes one."""
    for name in path:
        following = root.get(name)
        if not isinstance(following, dict):
            following = root[name] = {}
        root = following
    return root


def _object(root: Any, op: Op) -> dict[str, Any]:
    if root is _MISSING:
        return {}
    if not isinstance(root, dict):
        raise _Skipped(
            f"{op.kind}.target_not_object",
            f"Cannot {op.kind} at path '{op.path[0]}': target is {type_of(root)}, expected object.",
        )
    return root


def _not_number(op: Op, got: str) -> _Skipped:
    where = op.path[0] if op.path else "root"
    return _Skipped(f"{op.kind}.not_number", f"Expected number at path '{where}', got {got}.")


def _check_path(op: Op) -> None:
    kind, path = op.kind, op.path
    if len(path) > PATH_SEGMENTS:
        raise _Skipped(f"{kind}.path.too_deep", f"Path depth {len(path)} exceeds maximum of {PATH_SEGMENTS}")
    for name in path:
        if not name:
            raise _Skipped(f"{kind}.path.empty_segment", "Path contains an empty segment")
        if len(name) > SEGMENT_BYTES // 4 and (size := len(name.encode(errors="surrogatepass"))) > SEGMENT_BYTES:
            raise _Skipped(
                f"{kind}.path.segment_too_long", f"Path segment of {size} bytes exceeds maximum of {SEGMENT_BYTES}"
            )
        if name in FORBIDDEN:
            raise _Skipped(
                f"{kind}.path.proto_polluted", f"Path segment '{name}' is not allowed (prototype pollution)."
            )


def _check_merge(value: Any) -> None:
    if not isinstance(value, dict):
        raise _Skipped("merge.value.not_an_object", "Merge value must be a JSON object")
    if len(value) > MERGE_KEYS:
        raise _Skipped(
            "merge.value.too_many_keys", f"Merge value has {len(value)} top-level keys, exceeds maximum of {MERGE_KEYS}"
        )
    for key in value:
        if key in FORBIDDEN:
            raise _Skipped(
                "merge.value.proto_polluted", f'Merge value top-level key "{key}" is a prototype-pollution sink'
            )
    depth = _depth(value)
    if depth > MERGE_DEPTH:
        raise _Skipped(
            "merge.value.too_deep", f"Merge value JSON nesting depth {depth} exceeds maximum of {MERGE_DEPTH}"
        )


def _depth(value: Any) -> int:
    """0 for a scalar, 1 more than its deepest child for an object or array. Level by level: no recursion to run out of."""
    depth = 0
    level = [value]
    while level := [each for each in level if isinstance(each, dict | list)]:
        depth += 1
        level = [child for each in level for child in (each.values() if isinstance(each, dict) else each)]
    return depth


def _copy(value: Any) -> Any:
    """Operations are applied again when a store asks for it: what they bring is never changed by a later one."""
    return plain(_text(value)) if isinstance(value, dict | list) else value


def _text(value: Any) -> bytes:
    try:
        return _encode(value)
    except (OverflowError, UnicodeEncodeError):  # integers beyond 64 bits, half a surrogate pair
        return json.dumps(value, separators=(",", ":")).encode()
