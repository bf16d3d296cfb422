"""The calls between an engine and its workers, as a test sees them: what runs, what came of it, what is to go wrong."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw, Struct

from iii.engine.session.peer import Ending
from iii.protocol.errors import InvocationError, InvocationTimeout
from iii.protocol.ids import new_id
from iii.protocol.limits import INVOCATION_TIMEOUT_MS
from iii.protocol.messages import NULL
from iii.protocol.wire_errors import error_from_text

if TYPE_CHECKING:
    from iii.testing.memory_ends import EngineEnd

_REMEMBERED = 10_000  # calls
_CALL = b'{"type":"invokefunction"'
_CANCEL = b'{"type":"cancelinvocation"'
_RESULT = b'{"type":"invocationresult"'
CUT = "the connection was cut by the test"


class _Called(Struct):
    invocation_id: str
    function_id: str
    data: Raw = NULL


class _Answer(Struct):
    invocation_id: str
    result: Raw = NULL
    error: Raw = NULL


class _Cancelled(Struct):
    invocation_id: str


_called = msgspec.json.Decoder(_Called)
_answer = msgspec.json.Decoder(_Answer)
_cancelled = msgspec.json.Decoder(_Cancelled)


@dataclass
class CallRecord:
    """One call that reached a worker, or was ordered to fail on its way.

    Attributes:
        function_id: of the function.
        payload: what it got.
        done: whether it has answered.
        result: what it returned; None until then, and if it failed.
        error: what it failed with.
        is_job: whether the queue called: a job, or a message of a durable topic.
    """

    function_id: str
    payload: Any
    done: bool = False
    result: Any = None
    error: InvocationError | None = None
    is_job: bool = False


Fate = Callable[["EngineEnd", str, bytes], bool]
"""What becomes of one delivery, given its end, its id and its frame; True: it arrives."""


class Traffic:
    """Looks at every frame (see `Wire`). On the engine's loop.

    Attributes:
        calls: those of this engine's life, oldest first; beyond 10,000 the oldest are forgotten.
        unheard: failures of functions whose callers do not want an answer.
        changed: set whenever something happens.
        away: workers whose connections were cut, and that are not back yet.
        begun: how many calls there have been.
        next_is_job: what is called at this moment is called by the queue.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.calls: deque[CallRecord] = deque(maxlen=_REMEMBERED)
        self.unheard: list[InvocationError] = []
        self.changed = asyncio.Event()
        self.away = 0
        self.begun = 0
        self.next_is_job = False
        self._loop = loop
        self._running: dict[str, tuple[CallRecord, EngineEnd]] = {}
        self._fates: dict[str, deque[Fate]] = {}
        self._last_words: set[str] = set()  # calls whose worker dies instead of answering
        self._hanging: dict[str, tuple[str, EngineEnd]] = {}  # functions of calls that nobody answers

    @property
    def running(self) -> list[CallRecord]:
        """Calls that a worker has and has not answered."""
        return [call for call, _ in list(self._running.values())]

    @property
    def hanging(self) -> list[str]:
        """Functions of calls whose callers perhaps wait for an answer that will not come."""
        return sorted({function_id for function_id, _ in self._hanging.values()})

    def since(self, begun: int) -> list[CallRecord]:
        """The calls after the first `begun` ones."""
        return list(self.calls)[-(self.begun - begun) :] if self.begun > begun else []

    def plan(self, function_id: str, fate: Fate) -> None:
        """The next call of the function has this fate, after those that were planned before."""
        self._fates.setdefault(function_id, deque()).append(fate)

    @property
    def planned(self) -> list[str]:
        """Functions that something was planned for which has not happened yet."""
        return sorted(function_id for function_id, fates in self._fates.items() if fates)

    # -- a wire ---------------------------------------------------------------------------------------------------

    def called(self, end: EngineEnd, frame: bytes) -> bool:
        if frame.startswith(_CALL):
            call = _called.decode(frame)
            fates = self._fates.get(call.function_id)
            if fates:
                return fates.popleft()(end, call.invocation_id, frame)
            self._begin(end, call)
        elif frame.startswith(_CANCEL):
            cancelled = _cancelled.decode(frame).invocation_id
            self._running.pop(cancelled, None)
            self._hanging.pop(cancelled, None)
        return True

    def answered(self, end: EngineEnd, frame: bytes) -> bool:
        if not frame.startswith(_RESULT):
            return True
        answer = _answer.decode(frame)
        call, _ = self._running.pop(answer.invocation_id, (None, None))
        if answer.invocation_id in self._last_words:
            self._last_words.discard(answer.invocation_id)
            self._cut(end)
            return False
        if call is not None:
            self._end(call, answer, end)
        return True

    def moved(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self.changed.set)
        except RuntimeError:
            return  # the loop is closed: nobody waits any more

    def ended(self, end: EngineEnd, returns: bool) -> None:
        """What runs there will not answer."""
        self.away += returns
        self.changed.set()
        self._hanging = {key: call for key, call in self._hanging.items() if call[1] is not end}
        for invocation_id in [key for key, (_, runs_at) in self._running.items() if runs_at is end]:
            del self._running[invocation_id]

    def _begin(self, end: EngineEnd, called: _Called) -> None:
        call = CallRecord(called.function_id, json.loads(bytes(called.data)), is_job=self.next_is_job)
        self.begun += 1
        self.calls.append(call)
        self._running[called.invocation_id] = call, end

    def _end(self, call: CallRecord, answer: _Answer, end: EngineEnd) -> None:
        call.done = True
        if answer.error is NULL or bytes(answer.error) == b"null":
            call.result = json.loads(bytes(answer.result))
            return
        call.error = error_from_text(bytes(answer.error), call.function_id, answer.invocation_id)
        invocation = end.session.handling.get(answer.invocation_id) if end.session is not None else None
        if invocation is not None and invocation.waiter is None:
            self.unheard.append(call.error)

    # -- fates ----------------------------------------------------------------------------------------------------

    def lose_call(self, end: EngineEnd, invocation_id: str, frame: bytes) -> bool:
        """The worker dies before the handler begins."""
        self._cut(end)
        return False

    def lose_answer(self, end: EngineEnd, invocation_id: str, frame: bytes) -> bool:
        """The worker dies when the handler has done everything, and before that is known."""
        self._begin(end, _called.decode(frame))
        self._last_words.add(invocation_id)
        return True

    def hang(self, end: EngineEnd, invocation_id: str, frame: bytes) -> bool:
        """The worker has it and never answers."""
        self._hanging[invocation_id] = _called.decode(frame).function_id, end
        return False

    def repeat(self, end: EngineEnd, invocation_id: str, frame: bytes) -> bool:
        """It comes twice; who asked gets the answer to the first."""
        again = frame.replace(invocation_id.encode(), new_id().encode(), 1)
        self._begin(end, _called.decode(frame))
        self._loop.call_soon(end.send, again)
        return True

    def fail(self, error: InvocationError) -> Fate:
        """It is answered with this error, and no handler is called."""

        def fate(end: EngineEnd, invocation_id: str, frame: bytes) -> bool:
            call = _called.decode(frame)
            self._begin(end, call)
            function_id = msgspec.json.encode(call.function_id)
            answer = b'{"type":"invocationresult","invocation_id":"%b","function_id":%b,"error":%b}'
            self._loop.call_soon(end.hear, answer % (invocation_id.encode(), function_id, error.encode()), False)
            return False

        return fate

    def time_out(self, end: EngineEnd, invocation_id: str, frame: bytes) -> bool:
        """It is answered as a call whose time is over."""
        return self.fail(InvocationTimeout(INVOCATION_TIMEOUT_MS))(end, invocation_id, frame)

    def _cut(self, end: EngineEnd) -> None:
        self._loop.call_soon(end.lose, Ending.LOST, CUT)
