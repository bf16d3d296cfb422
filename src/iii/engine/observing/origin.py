"""Who causes a call, from within which other call, and how deep observers have caused each other (21 §8)."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from iii.engine.invocation import Trace
from iii.protocol.json_text import BAD_JSON, nests_deeper_than
from iii.protocol.limits import ASSERTED_CALLER_BYTES, BAGGAGE_CHARACTERS
from iii.protocol.message import NULL
from iii.protocol.tracecontext import baggage_without

if TYPE_CHECKING:
    from msgspec import Raw

    from iii.engine.invocation import Invocation
    from iii.engine.owner import Owner
    from iii.protocol.messages import InvokeFunction

ENGINE_CALLER = b'{"worker_name":"iii-engine"}'
DEPTH_ENTRY = "iii.observe.depth"  # of baggage, for workers that know no depth, for events and for jobs
_DEPTH_ENTRIES = frozenset({DEPTH_ENTRY})
_JSON_LEVELS = 100
_DEEPEST = 1_000_000
_DEPTHS = 16  # kept; observers are stopped before

_json = msgspec.json.Encoder().encode


class CallOrigin(Struct, frozen=True):
    """What a call carries beside its caller.

    Attributes:
        caller: as its target sees it, stamped; a JSON object.
        depth: how many observers have caused it.
        activation: of the call that an observer makes, as JSON.
        behalf: whose observer makes the call.
    """

    caller: bytes
    depth: int = 0
    activation: bytes | None = None
    behalf: Owner | None = None

    @property
    def closing(self) -> bytes:
        """As the last members of `invokefunction`, with the brace behind them."""
        depth = _depth_member(self.depth) if self.depth else b""
        if self.activation is None:
            return b"".join((b',"caller":', self.caller, depth, b"}"))
        return b"".join((b',"caller":', self.caller, depth, b',"activation":', self.activation, b"}"))


@lru_cache(_DEPTHS)
def _depth_member(depth: int) -> bytes:
    return b',"observe_depth":%d' % depth


def caller_base(worker_id: str, worker_name: str | None) -> bytes:
    """The caller of top-level calls of a connection."""
    if worker_name is None:
        return _json({"worker_id": worker_id})
    return _json({"worker_id": worker_id, "worker_name": worker_name})


def origin_of(message: InvokeFunction, base: bytes) -> CallOrigin | None:
    """What a worker says of its call, in members or, if it knows none, in baggage; None if that is nothing."""
    if message.caller is NULL and message.observe_depth is NULL:
        depth = depth_in(message.baggage)
        return CallOrigin(base, depth) if depth else None
    return CallOrigin(stamped(message.caller, base), depth_of(message.observe_depth) or depth_in(message.baggage))


def stamped(asserted: Raw | bytes, base: bytes) -> bytes:
    """A caller as its worker says it, with the worker as the engine knows it (K1)."""
    members = _strings(asserted)
    if not members:
        return base
    for member in ("worker_id", "worker_name"):
        members.pop(member, None)
    return _json(msgspec.json.decode(base) | members)


def doubt(invocation: Invocation, most: int) -> None:
    """The depth that a session says counts up to this: a greater one would keep its calls from observers (21 §8)."""
    if invocation.baggage is not None:  # the depth is put in again where it is handed on
        invocation.baggage = baggage_without(invocation.baggage, _DEPTH_ENTRIES)
    origin = invocation.origin
    if origin is not None and origin.depth > most:
        invocation.origin = msgspec.structs.replace(origin, depth=most)


def depth_of(sent: Raw | bytes) -> int:
    """A whole number from 0 on; anything else is 0 (K4)."""
    text = bytes(sent)
    return min(int(text), _DEEPEST) if text.isdigit() and len(text) < 10 else 0


def depth_in(baggage: str | None) -> int:
    """The depth that a worker without `observe.v1`, an event or a job hands on (K6)."""
    if baggage is None or DEPTH_ENTRY not in baggage:
        return 0
    said = [
        value.strip()
        for key, _, value in (each.partition("=") for each in baggage.split(","))
        if key.strip() == DEPTH_ENTRY
    ]
    value = said[-1] if said else ""
    return min(int(value), _DEEPEST) if value.isdecimal() and value.isascii() and len(value) < 10 else 0


def with_depth(baggage: str | None, depth: int) -> str:
    """Baggage that says the depth, once. What would make it too long, so that nobody read it, is left out."""
    entry = f"{DEPTH_ENTRY}={depth}"
    entries = [each for each in (baggage or "").split(",") if each and not each.strip().startswith(DEPTH_ENTRY)]
    text = ",".join([*entries, entry])
    return text if len(text) <= BAGGAGE_CHARACTERS else entry


def origin_in(baggage: str) -> CallOrigin | None:
    """Of a call that the engine makes for an event or a job; None if no observer has led to it."""
    depth = depth_in(baggage)
    return CallOrigin(ENGINE_CALLER, depth) if depth else None


def trace_of(invocation: Invocation) -> Trace:
    """What a call hands on to the events that it causes, and to the jobs that it leaves: its trace, and its depth in that."""
    origin = invocation.origin
    if origin is None or not origin.depth:
        return Trace(invocation.traceparent, invocation.baggage)
    return Trace(invocation.traceparent, with_depth(invocation.baggage, origin.depth))


def caller_of(invocation: Invocation) -> bytes:
    """Who calls, for the target and for envelopes."""
    origin = invocation.origin
    if origin is not None:
        return origin.caller
    caller = invocation.caller
    return ENGINE_CALLER if caller is None else caller.caller_base


def depth_of_call(invocation: Invocation) -> int:
    """How many observers have caused it."""
    origin = invocation.origin
    return 0 if origin is None else origin.depth


def _strings(asserted: Raw | bytes) -> dict[str, Any]:
    """The string members, and those of one parent."""
    text = bytes(asserted)
    if len(text) > ASSERTED_CALLER_BYTES or text[:1] != b"{" or nests_deeper_than(text, _JSON_LEVELS):
        return {}
    try:
        sent = msgspec.json.decode(text)
    except BAD_JSON:
        return {}
    kept: dict[str, Any] = {key: value for key, value in sent.items() if isinstance(value, str)}
    parent = sent.get("parent")
    if isinstance(parent, dict):
        kept["parent"] = {key: value for key, value in parent.items() if isinstance(value, str)}
    return kept
