"""What counts a call that has a span: the call's end is the span's end (17 §2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from iii.engine.tally import Tally
    from iii.engine.tracing import OpenSpan


class TalliedSpan:
    """Stands where the `Tally` of a call's function stands otherwise, so that calls without a span cost nothing more."""

    __slots__ = ("_tally", "now", "span")

    def __init__(self, tally: Tally | TalliedSpan, span: OpenSpan) -> None:
        self._tally = tally
        self.now: Callable[[], float] = tally.now
        self.span = span

    def took(self, seconds: float) -> None:
        """It succeeded, after so long."""
        self._tally.took(seconds)
        self.span.end("ok")

    def failed(self, began: float, error: bytes) -> None:
        """It failed just now."""
        self._tally.failed(began, error)
        self.span.fail(error)

    def withdrew(self) -> None:
        """Nobody waits for it any more."""
        self._tally.withdrew()
        self.span.note((("iii.call.withdrawn", "true"),))
        self.span.end("unset")
