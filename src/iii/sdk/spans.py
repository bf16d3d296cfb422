"""What a worker needs of whoever makes its spans: its own recorder, or an application's OpenTelemetry (08 §17)."""

from typing import Protocol

from iii.protocol.messages import InvokeFunction


class _WithTrace(Protocol):
    @property
    def traceparent(self) -> str | None:
        """What it hands on."""

    @property
    def baggage(self) -> str | None:
        """As `traceparent`."""


class CallSpan(_WithTrace, Protocol):
    """One call, watched by its caller."""

    def ended(self, error: BaseException | None) -> None: ...


class HandlerSpan(Protocol):
    """One handler run, watched; made and ended in the context of the handler. Ending gives the answer's traceparent."""

    @property
    def quiet(self) -> bool:
        """Whether the answer needs none."""

    def succeeded(self, result: bytes) -> str:
        """`result` is JSON."""

    def failed(self, error: BaseException) -> str: ...


class RequestSpan(_WithTrace, Protocol):
    """One request to somebody else, watched."""

    def set_attribute(self, key: str, value: str | int) -> None: ...

    def note(self, error: BaseException) -> None:
        """It went wrong."""

    def end(self) -> None: ...


class SpanMaker(Protocol):
    """Makes the spans of one worker."""

    def know_engine(self, compact: bool) -> None:
        """Whether who gets them reads compact frames, as the engine of the worker."""

    def call_span(self, function_id: str) -> CallSpan:
        """Around a call, as child of what runs."""

    def handler_span(self, message: InvokeFunction) -> HandlerSpan:
        """Around a handler, as child of the caller's span, and current from now on."""

    def request_span(self, name: str) -> RequestSpan:
        """Around a request to somebody else, as child of what runs."""

    def flush(self) -> None:
        """Hand on what has ended. May block for two seconds."""

    def end_after_fork(self) -> None:
        """In a forked child: what gathered belongs to the parent."""
