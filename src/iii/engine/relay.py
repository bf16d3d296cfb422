"""A call that is answered with what another one answers: their ends are one (20 §9, 24 §11)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from iii.protocol.ids import new_id

if TYPE_CHECKING:
    from iii.engine.invocation import Invocation


def relay(outer: Invocation, inner: Invocation) -> None:
    """Before the inner one is made: it answers the outer one, and ends with it. Of a void call nobody gets an answer."""
    if outer.waiter is not None:
        inner.waiter = waiter = _Relay(outer, inner)
        outer.id, outer.runner = new_id(), waiter


class _Relay:
    """Between the two: the waiter of one, the runner of the other."""

    __slots__ = ("_inner", "_outer")

    wants_answers = True

    def __init__(self, outer: Invocation, inner: Invocation) -> None:
        self._outer = outer
        self._inner = inner

    def answered(self, invocation: Invocation, result: bytes | memoryview | None) -> None:
        self._outer.runner = None
        self._outer.complete(result)

    def failed(self, invocation: Invocation, error: bytes) -> None:
        self._outer.runner = None
        self._outer.fail(error)

    def let_go(self, invocation_id: str, cancels: bool) -> None:
        self._inner.withdraw(cancels)

    def stop(self, invocation_id: str) -> None:
        self.let_go(invocation_id, True)

    def slow_down(self, seconds: float) -> None:
        if self._inner.runner is not None:
            self._inner.runner.slow_down(seconds)
