"""Queues, and dead letters by what they died of (23 §5)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw, Struct

from iii.console.backend.discovery import with_member
from iii.console.lists.paging import fits, page_query
from iii.console.refusal import Refusal

if TYPE_CHECKING:
    from iii.console.desk import Desk

QUEUES = 200  # of which figures are asked for
LETTERS = 2_000  # that are looked through
_AT_ONCE = 200
_REASON = 160  # characters
_VARIABLE = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F-]{27}|0x[0-9a-fA-F]+|\b[0-9a-f]{16,}\b|\d+")
_DEBUG = re.compile(r'^ErrorBody \{ code: "(?P<code>[^"]*)", message: "(?P<message>(?:[^"\\]|\\.)*)"')


class _Topic(Struct):
    name: str
    broker_type: str = ""


class _Letter(Struct):
    """One dead letter, as far as it is looked at here."""

    id: str
    error: str = ""
    failed_at: int = 0
    function_id: str | None = None
    payload: Raw = Raw(b"null")


async def queue_rows(desk: Desk) -> dict[str, bytes]:
    """By name. A queue and a topic of one name have one row, as their figures are one."""
    topics = await desk.read_as(list[_Topic], "engine::queue::list_topics")
    kinds: dict[str, str] = {}
    for topic in topics:
        kinds.setdefault(topic.name, topic.broker_type)
    names = sorted(kinds)[:QUEUES]
    figures = await asyncio.gather(*(_stats(desk, name) for name in names))
    return {
        name: bytes(with_member(with_member(stats, "name", name), "broker_type", kinds[name]))
        for name, stats in zip(names, figures, strict=True)
    }


async def _stats(desk: Desk, name: str) -> bytes:
    return await desk.read("engine::queue::topic_stats", {"topic": name})


async def queues(desk: Desk, query: Mapping[str, str]) -> Any:
    asked = page_query(query)
    rows = await queue_rows(desk)
    return asked.page([Raw(row) for name, row in rows.items() if fits(asked.text, name)])


async def queue(desk: Desk, query: Mapping[str, str]) -> Any:
    name = _named(query)
    return with_member(await _stats(desk, name), "name", name)


def _named(query: Mapping[str, str]) -> str:
    name = query.get("name", "")
    if not name:
        raise Refusal(400, "name: expected the name of a queue or topic, got nothing", "BAD_QUERY")
    return name


async def letters_of(desk: Desk, name: str) -> tuple[list[tuple[_Letter, Raw]], bool]:
    """The newest, and whether these are all."""
    found: dict[str, tuple[_Letter, Raw]] = {}  # by id: what dies meanwhile is first, and moves others to the next page
    offset = 0
    while offset < LETTERS:
        asked = {"topic": name, "offset": offset, "limit": _AT_ONCE}
        page = await desk.read_as(list[Raw], "engine::queue::dlq_messages", asked)
        for row in page:
            letter = msgspec.json.decode(row, type=_Letter)
            found.setdefault(letter.id, (letter, row))
        if not page:
            return list(found.values()), True
        offset += len(page)
    return list(found.values()), False


def reason_of(error: str) -> str:
    """The error without what is different each time; equal for letters that died of the same."""
    text = error[:4096]
    debug = _DEBUG.match(text)
    if debug is not None:
        text = f"{debug['code']}: {debug['message']}"
    elif text[:1] == "{":
        try:
            body = msgspec.json.decode(text, type=dict[str, Any])
            text = f"{body.get('code', 'error')}: {body.get('message', '')}"
        except msgspec.MsgspecError:
            pass
    return _VARIABLE.sub("…", text.partition("\n")[0])[:_REASON]


def letters_like(
    letters: list[tuple[_Letter, Raw]], reason: str | None, text: str, ids: frozenset[str] | None = None
) -> list[tuple[_Letter, Raw]]:
    """Those that fit all that is given."""
    return [
        (letter, row)
        for letter, row in letters
        if (reason is None or reason_of(letter.error) == reason)
        and (ids is None or letter.id in ids)
        and fits(text, letter.id, letter.error, letter.function_id, _shown(letter) if text else None)
    ]


def _shown(letter: _Letter) -> str:
    return bytes(letter.payload).decode(errors="replace")


async def dead_letters(desk: Desk, query: Mapping[str, str]) -> Any:
    """A page of those that fit, and how many died of what."""
    asked = page_query(query)
    letters, complete = await letters_of(desk, _named(query))
    groups: dict[str, dict[str, Any]] = {}
    for letter, _ in letters:
        reason = reason_of(letter.error)
        at_ms = letter.failed_at * 1000
        group = groups.setdefault(reason, {"reason": reason, "count": 0, "first_ms": at_ms, "last_ms": at_ms})
        group["count"] += 1
        group["first_ms"] = min(group["first_ms"], at_ms)
        group["last_ms"] = max(group["last_ms"], at_ms)
    found = letters_like(letters, query.get("reason"), asked.text)
    rows = [with_member(row, "reason", reason_of(letter.error)) for letter, row in found]
    ordered = sorted(groups.values(), key=lambda group: -group["count"])[:100]
    return asked.page(rows, groups=ordered, scanned=len(letters), complete=complete)
