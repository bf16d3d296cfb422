"""Dead letters that are redriven or discarded because they are alike (23 §5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec
from msgspec import Struct

from iii.console.lists.queues import letters_like, letters_of
from iii.console.refusal import Refusal
from iii.protocol.errors import InvocationError

if TYPE_CHECKING:
    from iii.console.desk import Desk

_FUNCTIONS = {"redrive": "iii::queue::redrive_message", "discard": "iii::queue::discard_message"}
_encode = msgspec.json.Encoder().encode


class LetterSelection(Struct, forbid_unknown_fields=True, kw_only=True):
    """Which dead letters of a queue; all that is given has to fit."""

    queue: str
    do: Literal["redrive", "discard"]
    reason: str | None = None
    q: str | None = None
    ids: list[str] | None = None
    dry_run: bool = False


async def handle_letters(desk: Desk, body: bytes) -> Any:
    """How many fit, and with how many it was done. One line in the log stands for all."""
    try:
        asked = msgspec.json.decode(body, type=LetterSelection)
    except msgspec.MsgspecError as error:
        raise Refusal(400, str(error), "BAD_REQUEST") from None
    if asked.reason is None and not asked.q and asked.ids is None:
        raise Refusal(400, "give reason, q or ids; for all dead letters call iii::queue::redrive", "BAD_REQUEST")
    letters, _ = await letters_of(desk, asked.queue)
    ids = None if asked.ids is None else frozenset(asked.ids)
    found = letters_like(letters, asked.reason, (asked.q or "").lower(), ids)
    if asked.dry_run:
        return {"matched": len(found), "done": 0, "failed": 0}
    function_id = _FUNCTIONS[asked.do]
    done = failed = 0
    with desk.noted(function_id, f"queue={asked.queue[:200]} letters={len(found)}"):
        for letter, _ in found:
            payload = _encode({"queue": asked.queue, "message_id": letter.id})
            try:
                result = await desk.door.call(function_id, payload, timeout_ms=5_000)
            except InvocationError as error:
                if error.code == "FORBIDDEN":
                    raise
                failed += 1
                continue
            done += msgspec.json.decode(result, type=dict[str, Any]).get("redriven", 0)
    return {"matched": len(found), "done": done, "failed": failed}
