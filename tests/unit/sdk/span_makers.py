"""Makers of spans that do what a test wants."""

from collections.abc import Callable
from typing import Any

from iii.protocol.messages import InvokeFunction


class SpanOfHandlers:
    """Spans around handlers, made by a function of the call; they end themselves."""

    def __init__(self, new_span: Callable[[InvokeFunction], Any]) -> None:
        self._new_span = new_span

    def handler_span(self, message: InvokeFunction, invocation: Any) -> Any:
        return self._new_span(message)

    def answered(self, span: Any, message: InvokeFunction, result: bytes) -> None:
        span.answered(result)

    def succeeded(self, span: Any, result: bytes) -> Any:
        return span.succeeded(result)

    def failed(self, span: Any, message: InvokeFunction, error: BaseException) -> Any:
        return span.failed(error)


def maker(new_span: Callable[[InvokeFunction], Any] | None) -> Any:
    """None: nobody traces."""
    return None if new_span is None else SpanOfHandlers(new_span)
