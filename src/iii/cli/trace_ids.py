"""Which trace a person means: a whole id, its beginning, or a `traceparent` (19 §3)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from iii.cli.parser import CommandFailed
from iii.protocol.log_line import moment

if TYPE_CHECKING:
    from iii.cli.asking import Asking

LIST_LOGS = "engine::logs::list"
LIST_TRACES = "engine::traces::list"
TRACE_TREE = "engine::traces::tree"

_LENGTH = 32
_SHOWN = 10


class NoSuchTrace(CommandFailed):
    """No span of it is kept."""

    def __init__(self, wanted: str) -> None:
        said = (
            f"no trace '{wanted}' is known"
            if len(wanted) == _LENGTH
            else f"no trace is known whose id begins with '{wanted}'"
        )
        super().__init__(
            f"{said}. The engine keeps the newest spans only, and those of workers that send telemetry; 'iii traces' lists what it has"
        )


def typed_trace_id(text: str) -> str | None:
    """Of what was typed or pasted, the id or its beginning; None: it is neither."""
    wanted = text.strip().lower().rstrip(".…")
    header = re.fullmatch(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}", wanted)
    wanted = header[1] if header else wanted
    return wanted if re.fullmatch(r"[0-9a-f]{1,32}", wanted) else None


def wrong_trace_id(text: str) -> str:
    """What to say then."""
    return f"expected the id of a trace, 32 hexadecimal digits, or its beginning, got '{text[:100]}'; 'iii traces' lists ids"


async def trace_id_of(ask: Asking, wanted: str) -> str:
    """The one trace that begins with this. Raises NoSuchTrace, CommandFailed, InvocationError."""
    found = (
        await ask(LIST_TRACES, {"trace_prefix": wanted, "include_internal": True, "sort_order": "desc", "limit": 1_000})
    )["spans"]
    roots: dict[str, dict[str, Any]] = {}
    for row in found:
        roots.setdefault(row["trace_id"], row)
    if not roots:
        raise NoSuchTrace(wanted)
    if len(roots) > 1:
        rows = "\n".join(f"  {trace_id}  {_about(row)}" for trace_id, row in list(roots.items())[:_SHOWN])
        more = f"\n  and {len(roots) - _SHOWN} more" if len(roots) > _SHOWN else ""
        raise CommandFailed(
            f"'{wanted}' is the beginning of {len(roots)} traces; type more of the one you mean:\n{rows}{more}"
        )
    return next(iter(roots))


def _about(row: dict[str, Any]) -> str:
    from iii.cli.output import one_text

    return one_text(f"{moment(row['start_time_unix_nano'] / 1e9)}  {row['service_name']}  {row['name']}")
