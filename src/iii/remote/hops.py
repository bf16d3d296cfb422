"""How many bridges a call has crossed, so that those which lead back to each other do not hand it on for ever (07 §6.2)."""

from __future__ import annotations

from iii.engine.invocation import Trace
from iii.protocol.tracecontext import BRIDGE_HOPS, baggage_values, baggage_without
from iii.remote.codes import BRIDGE_ERROR

MOST_HOPS = 16  # Bridges that a call crosses at most. (07 §6.2)
_ENTRIES = frozenset({BRIDGE_HOPS})


def across(trace: Trace, function_id: str) -> Trace:
    """The trace of a call that crosses one more. Raises InvocationError: it has crossed too many."""
    baggage = trace.baggage or ""
    told = baggage_values(baggage).get(BRIDGE_HOPS, "") if BRIDGE_HOPS in baggage else ""
    hops = int(told) if told.isascii() and told.isdigit() and len(told) <= len(str(MOST_HOPS)) else 0
    if hops >= MOST_HOPS:
        raise BRIDGE_ERROR(f"the call of '{function_id}' has crossed {MOST_HOPS} bridges: they lead back to each other")
    entry = f"{BRIDGE_HOPS}={hops + 1}"
    kept = baggage_without(baggage, _ENTRIES)
    return Trace(trace.traceparent, f"{kept},{entry}" if kept else entry)
