"""What was done through the console: who, what, from where; in the log, and the latest for the page (23 §4)."""

from __future__ import annotations

import logging
from collections import deque

import msgspec
from msgspec import Raw, Struct

from iii.protocol.limits import CONSOLE_ACTIONS
from iii.protocol.log_event import LogEvent

ACTION = LogEvent(
    __name__, "console.action", logging.INFO, "Action done in the console",
    means="A function was called from the console; `who` is the token's name, `target` what the call was about, `error` why it failed.",
)  # fmt: skip
_TARGETS = (
    "queue", "topic", "scope", "key", "id", "message_id", "worker_id", "name", "stream_name", "group_id", "item_id",
    "trigger_id", "function_id",
)  # fmt: skip
_LONGEST = 200
"""Characters of whatever a visitor can choose."""

_members = msgspec.json.Decoder(dict[str, Raw])


class ActionRow(Struct):
    """One action."""

    at_ms: int
    who: str
    address: str | None
    action: str
    namespace: str | None
    target: str
    ok: bool
    error: str | None


class Audit:
    """The latest are last."""

    def __init__(self) -> None:
        self.rows: deque[ActionRow] = deque(maxlen=CONSOLE_ACTIONS)
        self.count = 0

    def note(self, row: ActionRow) -> None:
        row.action = row.action[:_LONGEST]
        row.namespace = None if row.namespace is None else row.namespace[:_LONGEST]
        self.rows.append(row)
        self.count += 1
        ACTION(
            who=row.who, ip_address=row.address, function=row.action, namespace=row.namespace, target=row.target, error=row.error
        )  # fmt: skip


def target_of(payload: bytes) -> str:
    """What a call is about, as far as names say it; never values."""
    try:
        members = _members.decode(payload)
    except msgspec.MsgspecError:
        return ""
    found = []
    for name in _TARGETS:
        value = bytes(members.get(name, b""))
        if value[:1] == b'"':
            found.append(f"{name}={msgspec.json.decode(value)!s:.{_LONGEST}}")
    return " ".join(found)
