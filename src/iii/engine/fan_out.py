"""The span of an event: around the conditions and targets of all its bindings (17 §6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from iii.engine.bindings import Binding
    from iii.engine.invocation import Invocation, Trace
    from iii.engine.tracing import OpenSpan, Tracer

_INTERNAL = (("iii.function.kind", "internal"),)


class FanOut:
    """Ends its span with whatever ends last; as an error if anything failed.

    A waiter of calls that are void all the same: nobody gets their answers.

    Attributes:
        trace: what the conditions and targets get.
    """

    __slots__ = ("_failed", "_left", "_span", "trace")

    wants_answers: ClassVar[bool] = False

    def __init__(self, span: OpenSpan) -> None:
        self._span = span
        self._left = 1  # for who makes it, until that has begun everything
        self._failed = False
        self.trace = span.trace

    def begin(self) -> None:
        """One thing more is under way."""
        self._left += 1

    def end(self, failed: bool = False) -> None:
        """One is over."""
        self._failed = self._failed or failed
        self._left -= 1
        if self._left == 0:
            self._span.end("error" if self._failed else "ok")

    def answered(self, invocation: Invocation, result: bytes | memoryview | None) -> None:
        """A target is over."""
        self.end()

    def failed(self, invocation: Invocation, error: bytes) -> None:
        """A target has failed."""
        self.end(failed=True)


def of_event(tracer: Tracer, name: str, cause: Trace) -> FanOut:
    """Of all bindings together, within the trace of what has caused it."""
    return FanOut(tracer.begin(name, "internal", cause, _INTERNAL))


def of_binding(tracer: Tracer, binding: Binding) -> FanOut:
    """Of one binding to an event of the engine, which nobody's call has caused."""
    attributes = (("function_id", binding.function_id),)
    return FanOut(tracer.begin(f"trigger {binding.function_id}", "internal", attributes=attributes))
