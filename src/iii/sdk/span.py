"""A span of this worker, from its beginning until it is sent, and where spans gather (08 §17, 06 §2.7).

Made for every call and every handler, so all of it is cheap: OpenTelemetry's own spans cost ten times as much, and here
they would cost more than the calls. `otel_span` shows them to programs that use OpenTelemetry.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from typing import Any, TypeVar

from msgspec import Raw, Struct

from iii.protocol.traceback_text import shown
from iii.protocol.tracecontext import valid_traceparent
from iii.sdk.failures import span_attributes
from iii.sdk.payload_text import payload_json
from iii.sdk.trace_context import TraceContext

INTERNAL, CLIENT = 1, 3  # as OTLP numbers them
UNSET, OK, ERROR = 0, 1, 2

_bits = random.getrandbits


class ActiveSpan(Struct, gc=False):
    """One span; it is sent once it has ended. A Struct, out of the collector's sight, because hundreds wait to be sent.

    Attributes:
        gather: takes it when it has ended.
        inherited: baggage that came with it; each entry is an attribute too (06 §2.7).
        trace: what calls made inside it hand on.
        function_id: of the call or handler; an attribute that most spans have.
        events: name, time and attributes.
    """

    gather: Callable[[ActiveSpan], None]
    name: str
    kind: int
    function_id: str | None
    trace_id: str
    span_id: str
    parent_id: str | None
    inherited: str | None
    trace: TraceContext
    start_ns: int
    end_ns: int = 0
    status: int = UNSET
    description: str = ""
    attributes: dict[str, Any] | None = None
    events: list[tuple[str, int, dict[str, Any]]] | None = None

    def set_attribute(self, key: str, value: Any) -> None:
        if self.attributes is None:
            self.attributes = {}
        self.attributes[key] = value

    def add_event(self, name: str, attributes: dict[str, Any], time_ns: int | None = None) -> None:
        if self.events is None:
            self.events = []
        self.events.append((name, time_ns or time.time_ns(), attributes))

    def note(self, error: BaseException) -> None:
        """It went wrong; it does not end yet."""
        self.add_event("exception", span_attributes(error))
        self.status, self.description = ERROR, shown(error)

    def end(self) -> None:
        self.end_ns = time.time_ns()
        self.gather(self)

    @property
    def size(self) -> int:
        """Bytes of its payloads."""
        return 0

    def ended(self, error: BaseException | None) -> None:
        """What it is about has ended, with this error or well."""
        if error is None:
            self.status = OK
        else:
            self.note(error)
        self.end()


class RecordedHandler(ActiveSpan, gc=False):
    """The span of a handler, with what came in and went out.

    Attributes:
        came: None if payloads are not wanted.
        went: its result, or what was answered instead.
    """

    came: Raw | None = None
    went: bytes | None = None

    def succeeded(self, result: Any) -> str:
        if self.came is not None:
            self.went = payload_json(result)  # at once: whoever has the result may change it
        self.status = OK
        self.end()
        return self.trace.traceparent or ""

    def failed(self, error: BaseException) -> str:
        if self.came is not None:
            self.went = payload_json({"error": shown(error)})
        self.note(error)
        self.end()
        return self.trace.traceparent or ""

    @property
    def size(self) -> int:
        """Bytes of its payloads."""
        return 0 if self.came is None else len(memoryview(self.came)) + len(self.went or b"")


S = TypeVar("S", bound=ActiveSpan)


def begin(
    span: type[S],
    gather: Callable[[ActiveSpan], None],
    name: str,
    kind: int,
    function_id: str | None,
    parent: TraceContext | None,
) -> S:
    """A span that begins now, as child of a valid parent, or of nobody."""
    span_id = f"{_bits(64):016x}"
    inherited = traceparent = parent_id = None
    if parent is not None:
        inherited, traceparent = parent.baggage, valid_traceparent(parent.traceparent)
    if traceparent is None:
        trace_id = f"{_bits(128):032x}"
    else:
        trace_id, parent_id = traceparent[3:35], traceparent[36:52]
    own = TraceContext(f"00-{trace_id}-{span_id}-01", inherited)
    return span(gather, name, kind, function_id, trace_id, span_id, parent_id, inherited, own, time.time_ns())


class Sampler:
    """Which traces that begin here are recorded: `OTEL_TRACES_SAMPLER`; of all others the caller has decided."""

    def __init__(self) -> None:
        name = os.environ.get("OTEL_TRACES_SAMPLER", "").strip().lower()
        self.keeps_to_parent = not name or name.startswith("parentbased_")
        self._ratio = {"always_off": 0.0, "traceidratio": _ratio()}.get(name.removeprefix("parentbased_"), 1.0)

    def wants(self, parent: TraceContext | None) -> bool:
        traceparent = parent.traceparent if parent is not None else None
        if traceparent and self.keeps_to_parent and len(traceparent) == 55:  # a valid one
            return traceparent[54] in "13579bdf"
        return self._ratio >= 1 or random.random() < self._ratio


def _ratio() -> float:
    """`OTEL_TRACES_SAMPLER_ARG`, 0 to 1; 1 for what is no number."""
    try:
        return min(1.0, max(0.0, float(os.environ.get("OTEL_TRACES_SAMPLER_ARG", "1"))))
    except ValueError:
        return 1.0
