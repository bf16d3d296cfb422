"""What a worker needs of whoever makes its spans: its own recorder, or an application's OpenTelemetry (08 §17)."""

from typing import Any, Protocol

from iii.protocol.messages import InvokeFunction
from iii.sdk.invocation import Invocation
from iii.sdk.trace_context import WithTrace


class HandlerSpan(Protocol):
    """One handler run, watched; made and ended in the context of the handler."""

    @property
    def quiet(self) -> bool:
        """Whether the answer needs no `traceparent`."""


class RequestSpan(WithTrace, Protocol):
    """One request to somebody else, watched."""

    def set_attribute(self, key: str, value: str | int) -> None: ...

    def note(self, error: BaseException) -> None:
        """It went wrong."""

    def end(self) -> None: ...


class SpanMaker(Protocol):
    """Makes the spans of one worker."""

    def know_engine(self, compact: bool, plain: bool) -> None:
        """Whether who gets them reads compact frames, as the engine of the worker, and short spans in those."""

    def call_span(self, function_id: str) -> WithTrace:
        """Around a call, as child of what runs."""

    def call_ended(self, span: Any, error: BaseException | None) -> None:
        """With this error, or well; `span` is of `call_span`."""

    def handler_span(self, message: InvokeFunction, invocation: Invocation) -> HandlerSpan:
        """Around a handler, as child of the caller's span; it is the trace of the invocation from now on."""

    def answered(self, span: Any, message: InvokeFunction, result: bytes) -> None:
        """A handler whose span is quiet succeeded; `result` is JSON."""

    def succeeded(self, span: Any, result: bytes) -> str:
        """A handler whose span is not quiet did; `result` is JSON. The `traceparent` for the answer."""

    def failed(self, span: Any, message: InvokeFunction, error: BaseException) -> str | None:
        """A handler did."""

    def request_span(self, name: str) -> RequestSpan:
        """Around a request to somebody else, as child of what runs."""

    def flush(self) -> None:
        """Hand on what has ended. May block for two seconds."""

    def end_after_fork(self) -> None:
        """In a forked child: what gathered belongs to the parent."""
