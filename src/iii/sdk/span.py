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

from iii.protocol.ids import trace_ids
from iii.protocol.limits import SPAN_ATTRIBUTES, SPAN_CHARACTERS, SPAN_EVENTS
from iii.protocol.span_record import SpanRecord
from iii.protocol.traceback_text import shown
from iii.protocol.tracecontext import valid_traceparent
from iii.sdk.attribute_text import attribute_text, event_text
from iii.sdk.failures import span_attributes
from iii.sdk.payload_text import payload_json

INTERNAL, CLIENT = 1, 3  # as OTLP numbers them
UNSET, OK, ERROR = 0, 1, 2


def _nowhere(_span: ActiveSpan) -> None: ...


class ActiveSpan(SpanRecord, gc=False):
    """One span; it is sent once it has ended. A Struct, out of the collector's sight, because hundreds wait to be sent.

    Attributes:
        gather: takes it when it has ended.
        dropped: how many attributes, and how many events, had no room.
        characters: of attributes and events; once it has ended, and the bytes of its payloads.
    """

    gather: Callable[[ActiveSpan], None] = _nowhere
    dropped: tuple[int, int] = (0, 0)
    characters: int = 0

    @property
    def trace_id(self) -> str:
        return self.traceparent[3:35]

    @property
    def span_id(self) -> str:
        return self.traceparent[36:52]

    def set_attribute(self, key: str, value: Any) -> None:
        """Never raises; without effect on a span that has ended."""
        if self.end_ns:
            return
        if self.attributes is None:
            self.attributes = {}
        text, of_before = attribute_text(key, value), self.attributes.get(key, "")
        full = len(self.attributes) >= SPAN_ATTRIBUTES and not of_before
        if full or not self._holds(len(text) - len(of_before)):
            self.dropped = (self.dropped[0] + 1, self.dropped[1])
        else:
            self.attributes[key] = text

    def add_event(self, name: str, attributes: dict[str, Any], time_ns: int | None = None) -> None:
        """Never raises; without effect on a span that has ended."""
        if self.end_ns:
            return
        if self.events is None:
            self.events = []
        if len(self.events) < SPAN_EVENTS:
            text = event_text(name, time_ns or time.time_ns(), attributes)
            if self._holds(len(text)):
                self.events.append(text)
                return
        self.dropped = (self.dropped[0], self.dropped[1] + 1)

    def _holds(self, characters: int) -> bool:
        """Whether there is room for so many more; they count from now on."""
        if self.characters + characters > SPAN_CHARACTERS:
            return False
        self.characters += characters
        return True

    def note(self, error: BaseException) -> None:
        """It went wrong; it does not end yet."""
        exception = event_text("exception", time.time_ns(), span_attributes(error))
        self.events = [*(self.events or ()), exception]  # always: why it failed matters most
        self.characters += len(exception)
        self.status, self.description = ERROR, shown(error)

    def end(self) -> None:
        self.end_ns = time.time_ns()
        self.gather(self)

    def ended(self, error: BaseException | None) -> None:
        """What it is about has ended, with this error or well."""
        if error is None:
            self.status = OK
        else:
            self.note(error)
        self.end_ns = time.time_ns()
        self.gather(self)


class RecordedHandler(ActiveSpan, gc=False):
    """The span of a handler, with what came in and went out.

    Attributes:
        quiet: whether the answer need not tell its `traceparent`.
    """

    quiet: bool = False

    def succeeded(self, result: bytes) -> str:
        if self.status != ERROR:  # unless the handler has said that itself
            self.status = OK
        self.end_ns = time.time_ns()
        came = self.came
        if came is not None:
            self.went = result = result if len(result) <= self.shown_bytes else beginning(result, self.shown_bytes)
            self.characters += len(came) + len(result)
        self.gather(self)
        return self.traceparent

    def failed(self, error: BaseException) -> str:
        self.note(error)
        self.end_ns = time.time_ns()
        if self.came is not None:
            self.went = beginning(payload_json({"error": shown(error)}), self.shown_bytes)
            self.characters += len(self.came) + len(self.went)
        self.gather(self)
        return self.traceparent


def beginning(payload: bytes, shown_bytes: int) -> bytes:
    """The payload, or as much of it as is enough to show so many bytes of it and to tell that it is cut."""
    return payload if len(payload) <= shown_bytes else payload[: shown_bytes + 1]


S = TypeVar("S", bound=ActiveSpan)


def begin(
    span: type[S],
    gather: Callable[[ActiveSpan], None],
    name: str,
    kind: int,
    function_id: str | None,
    traceparent: str | None,
    baggage: str | None,
) -> S:
    """A span that begins now, as child of a valid parent, or of nobody."""
    parent = valid_traceparent(traceparent)
    own = trace_ids.traceparent() if parent is None else parent[:36] + trace_ids.span_end()
    begun = span(name, kind, function_id, parent, own, baggage, time.time_ns())
    begun.gather = gather
    return begun


class Sampler:
    """Which traces that begin here are recorded: `OTEL_TRACES_SAMPLER`; of all others the caller has decided."""

    def __init__(self) -> None:
        name = os.environ.get("OTEL_TRACES_SAMPLER", "").strip().lower()
        self.keeps_to_parent = not name or name.startswith("parentbased_")
        self._ratio = {"always_off": 0.0, "traceidratio": _ratio()}.get(name.removeprefix("parentbased_"), 1.0)
        self.all = self._ratio >= 1

    def wants(self, parent: str | None) -> bool:
        """`parent` is a `traceparent`."""
        if parent and self.keeps_to_parent and len(parent) == 55:  # a valid one
            return parent[54] in "13579bdf"
        return self.all or random.random() < self._ratio


def _ratio() -> float:
    """`OTEL_TRACES_SAMPLER_ARG`, 0 to 1; 1 for what is no number."""
    try:
        return min(1.0, max(0.0, float(os.environ.get("OTEL_TRACES_SAMPLER_ARG", "1"))))
    except ValueError:
        return 1.0
