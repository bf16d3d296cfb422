"""State: scopes, keys by page, values (23 §5; O5)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from msgspec import Raw, Struct

from iii.console.backend.data import count_of
from iii.console.lists.paging import fits, page_query
from iii.console.refusal import Refusal

if TYPE_CHECKING:
    from iii.console.desk import Desk

_WHOLE_BYTES = 16 * 1024  # of a value in a list; of a larger one its beginning is there
_PREVIEW_CHARACTERS = 500
_KINDS = {b"{": "object", b"[": "array", b'"': "string", b"t": "boolean", b"f": "boolean", b"n": "null"}


class _Groups(Struct):
    groups: list[str]


class _Keys(Struct):
    keys: list[str]


async def scopes(desk: Desk, query: Mapping[str, str]) -> Any:
    """With how many keys each has."""
    asked = page_query(query)
    found = [scope for scope in (await desk.read_as(_Groups, "state::list_groups")).groups if fits(asked.text, scope)]
    found.sort(reverse=asked.descending)
    shown = found[asked.offset : asked.offset + asked.limit]
    counts = await asyncio.gather(*(count_of(desk, scope) for scope in shown))
    rows = [{"scope": scope, "count": count} for scope, count in zip(shown, counts, strict=True)]
    return {"rows": rows, "total": len(found), "offset": asked.offset, "limit": asked.limit}


async def entries(desk: Desk, query: Mapping[str, str]) -> Any:
    """Keys that fit, by page, with their values."""
    asked, scope, prefix = page_query(query), _needed(query, "scope"), query.get("prefix", "")
    keys = (await desk.read_as(_Keys, "state::list_keys", {"scope": scope})).keys
    found = sorted((key for key in keys if key.startswith(prefix) and fits(asked.text, key)), reverse=asked.descending)
    shown = found[asked.offset : asked.offset + asked.limit]
    values = await asyncio.gather(*(desk.read("state::get", {"scope": scope, "key": key}) for key in shown))
    rows = [_row(key, value) for key, value in zip(shown, values, strict=True)]
    return {"rows": rows, "total": len(found), "offset": asked.offset, "limit": asked.limit, "scope": scope}


def _row(key: str, value: bytes) -> dict[str, Any]:
    kind = _KINDS.get(value[:1], "number")
    row: dict[str, Any] = {"key": key, "type": kind, "bytes": len(value), "cut": len(value) > _WHOLE_BYTES}
    if row["cut"]:
        return {**row, "preview": value[: 4 * _PREVIEW_CHARACTERS].decode(errors="replace")[:_PREVIEW_CHARACTERS]}
    return {**row, "value": Raw(value)}


async def entry(desk: Desk, query: Mapping[str, str]) -> Any:
    """One value, however large it is. A key that was never set and one that is null are told apart by the list."""
    scope, key = _needed(query, "scope"), _needed(query, "key")
    value, keys = await asyncio.gather(
        desk.read("state::get", {"scope": scope, "key": key}),
        desk.read_as(_Keys, "state::list_keys", {"scope": scope}),
    )
    return {
        "scope": scope,
        "key": key,
        "value": Raw(value),
        "exists": value != b"null" or key in keys.keys,
        "bytes": len(value),
    }


def _needed(query: Mapping[str, str], name: str) -> str:
    found = query.get(name)
    if not found:
        raise Refusal(400, f"{name}: expected a name, got nothing", "BAD_QUERY")
    return found
