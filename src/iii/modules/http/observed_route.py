"""What is behind a route that an observer makes: requests are calls through it (26 §2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from iii.engine.observing.codes import OBSERVER_NOT_ACTIVE, OVERFLOW
from iii.modules.http.answer import JSON_TYPE, Answer, Answered, unavailable
from iii.protocol.errors import FunctionNotFound

if TYPE_CHECKING:
    from iii.engine.invocation import Invocation, Trace
    from iii.engine.observing.observer import Observer
    from iii.engine.observing.source import EventSource
    from iii.protocol.errors import InvocationError
    from iii.protocol.reply import Reply

_FILTERED = b'{"error":"Request filtered"}'


class ObservedRoute:
    """Behind one route: its observer, through which requests are calls."""

    def __init__(self, source: EventSource, observer: Observer) -> None:
        self._source = source
        self._observer = observer

    @property
    def ended(self) -> bool:
        """Whether its worker has left, as an owner of triggers says it."""
        return self._observer.party.peer is None

    @property
    def identity(self) -> str | None:
        return self._observer.party.identity

    def check(self, request: bytes) -> None:
        """Raises Answered: the filter of the observer does not let the request in."""
        if not self._source.matches(self._observer, request):
            raise Answered(Answer(422, [JSON_TYPE], _FILTERED))

    def call(self, request: bytes, reply: Reply[bytes, InvocationError], trace: Trace) -> Invocation:
        """Run the target. One that is away is told as a function that is gone."""
        observer = self._observer

        def answered(result: bytes | None, error: InvocationError | None) -> None:
            if error is not None and error.code == OBSERVER_NOT_ACTIVE.code and not observer.active:
                error = FunctionNotFound(observer.target, observer.target_namespace)
            reply(result, error)

        return self._source.call(observer, request, answered, trace)

    @staticmethod
    def refusal(error: InvocationError) -> Answer | None:
        """What the client gets where the engine did not even call the target."""
        return (
            unavailable("Too many requests of this route at work; retry later") if error.code == OVERFLOW.code else None
        )
