"""An observer in the hands of the program that wants it: where it stands, and the end of it."""

from __future__ import annotations

from _thread import allocate_lock  # as in `app_declarations`
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from iii.protocol.errors import ErrorBody, InvocationError
from iii.protocol.log_event import ERROR, LogEvent
from iii.protocol.observe_codes import UNOBSERVED
from iii.protocol.observe_messages import ObserverState
from iii.sdk.observer_declaration import ObserverDeclaration

if TYPE_CHECKING:
    from concurrent.futures import Future


LISTENER_FAILED = LogEvent(
    "iii.sdk", "sdk.observer_listener_failed", ERROR, "Listener of an observer raised",
    means="The other listeners are called, and this one again at the next change.",
    do="Read the stack trace.",
)  # fmt: skip

READY_S = 30.0  # the wait of `ready` where none is given

ObserverListener: TypeAlias = Callable[[ObserverState], object]

_REMEDIES = {
    "UNSUPPORTED": "use an engine of this version or later",
    "NOT_OBSERVABLE": "its worker, or the engine, does not allow observers of it",
    "INVALID_FILTER": "correct `where`",
    "INVALID_FILTER_PATH": "correct the path in `where`, or the schema of the function",
    "INVALID_ARGS": "correct `args`",
    "FORBIDDEN": "the access rules of this worker must allow both functions",
    "SELF_TARGET": "let another function react",
    "OBSERVER_ID_CONFLICT": "choose another `observer_id`, or leave it out",
    "LIMIT_EXCEEDED": "dispose of observers that are not needed",
    "OWNER_TIMEOUT": "the worker of the observed function does not answer; look at its log",
}


class ObserverRefused(InvocationError):
    """An observer does not deliver, and will not: the engine or the observed function refuses it, or it has ended.

    Do: correct the observer as the text says.
    Retry: no.

    Attributes:
        observer_id: which.
        function_id: that is, or was to be, observed.
        code: such as `INVALID_FILTER`, `NOT_OBSERVABLE`, `FORBIDDEN`; `EXPIRED`, `MAX_FIRES` or `UNOBSERVED` of one that
            has ended.
    """

    code = "OBSERVE_FAILED"

    def __init__(self, observer_id: str, function_id: str, reason: ErrorBody) -> None:
        remedy = f"; {_REMEDIES[reason.code]}" if reason.code in _REMEDIES else ""
        text = f"observer '{observer_id}' of '{function_id}': {reason.message or 'refused'}{remedy}"
        super().__init__(reason.code, text, function_id)
        self.observer_id = observer_id


class Observer:
    """What `observe` gives back; usable from any thread.

    The engine knows it by the same id at every connection: the SDK tells it again after a reconnection.

    Attributes:
        id: of the observer.
        fires: how many times it has delivered, as the engine said with its last change of state.
    """

    def __init__(self, declared: ObserverDeclaration, withdraw: Callable[[Observer], None]) -> None:
        """`withdraw` takes it back, wherever it is known."""
        self.id = declared.id
        self.fires = 0
        self.declared = declared
        self._withdraw = withdraw
        self._state: ObserverState = "pending"
        self._reason: ErrorBody | None = None
        self._listeners: list[ObserverListener] = []  # each differs from all others, even of the same function
        self._waiters: list[Future[None]] = []
        self._lock = allocate_lock()

    @property
    def state(self) -> ObserverState:
        """`active` while it delivers; `pending` until the engine, the observed function and the target are there;
        `suspended` while one of them is away; `error` or `disposed` for good."""
        return self._state

    @property
    def reason(self) -> str | None:
        """Why it is in its state, as `CODE: text`; None where that says itself."""
        reason = self._reason
        return None if reason is None else f"{reason.code}: {reason.message}"

    def ready(self, timeout_s: float = READY_S) -> None:
        """Wait on this thread until it delivers. Not on the event loop's own.

        Raises:
            ObserverRefused: the engine or the host refuses it, or it has ended. TimeoutError: it does not deliver yet; the
                text has its state and the reason.
            RuntimeError: in a running event loop, which takes `ready_async`; or the worker has ended.
        """
        from iii.sdk.calls import in_a_loop  # with asyncio, which an app that is only declared does without

        if in_a_loop():
            raise RuntimeError("ready() would block the running event loop: await ready_async() instead")
        waiter = self._waiter()
        try:
            waiter.result(timeout_s)
        except TimeoutError:
            raise self._late(timeout_s) from None
        finally:
            self._forget(waiter)

    async def ready_async(self, timeout_s: float = READY_S) -> None:
        """As `ready`, in a coroutine."""
        import asyncio  # as in `ready`

        waiter = self._waiter()
        try:
            async with asyncio.timeout(timeout_s):
                await asyncio.wrap_future(waiter)
        except TimeoutError:
            raise self._late(timeout_s) from None
        finally:
            self._forget(waiter)

    def on_state_change(self, listener: ObserverListener) -> Callable[[], None]:
        """Call it with each new state, on the loop, or on the thread that disposes of it; returns how to stop that."""

        def subscription(state: ObserverState) -> object:
            return listener(state)

        self._listeners.append(subscription)

        def unsubscribe() -> None:
            if subscription in self._listeners:
                self._listeners.remove(subscription)

        return unsubscribe

    def dispose(self) -> None:
        """End it, for good: no delivery begins after the engine has heard of it. A second call does nothing."""
        self._withdraw(self)
        self.changed("disposed", ErrorBody(UNOBSERVED.code, "disposed by the observing worker"))

    def __repr__(self) -> str:
        return f"<Observer {self.id!r} of {self.declared.source!r} {self._state}>"

    # -- behind the doors -----------------------------------------------------------------------------------------

    def changed(self, state: ObserverState, reason: ErrorBody | None = None, fires: int | None = None) -> None:
        """It is in this state from now on; nothing changes one that is disposed of."""
        with self._lock:
            if self._state == "disposed" or (state, reason) == (self._state, self._reason):
                return
            before, self._state, self._reason = self._state, state, reason
            if fires is not None:
                self.fires = fires
            for waiter in self._waiters:
                self._settle(waiter)
        if state != before:
            for listener in list(self._listeners):
                _tell(listener, state)

    def end(self, error: BaseException) -> None:
        """Nothing will change any more: the worker has ended."""
        with self._lock:
            for waiter in self._waiters:
                _fail(waiter, error)

    def _waiter(self) -> Future[None]:
        from concurrent.futures import Future  # as in `ready`

        waiter: Future[None] = Future()
        waiter.set_running_or_notify_cancel()  # settled here only, under the lock
        with self._lock:
            self._waiters.append(waiter)
            self._settle(waiter)
        return waiter

    def _settle(self, waiter: Future[None]) -> None:
        """If it need not wait any more."""
        if self._state == "active":
            if not waiter.done():
                waiter.set_result(None)
        elif self._state in ("error", "disposed"):
            reason = self._reason or ErrorBody(ObserverRefused.code, f"it is {self._state}")
            _fail(waiter, ObserverRefused(self.id, self.declared.source, reason))

    def _forget(self, waiter: Future[None]) -> None:
        with self._lock:
            if waiter in self._waiters:
                self._waiters.remove(waiter)

    def _late(self, timeout_s: float) -> TimeoutError:
        why = f" ({self.reason})" if self._reason is not None else ""
        return TimeoutError(
            f"observer '{self.id}' of '{self.declared.source}' is {self._state}{why} after {timeout_s} s"
        )


def id_in_use(observer_id: str) -> ValueError:
    """Two observers of one client have this id."""
    return ValueError(
        f"observer id '{observer_id}' is already in use by this worker: leave `observer_id` out, or dispose of the other"
    )


def _fail(waiter: Future[None], error: BaseException) -> None:
    if not waiter.done():
        waiter.set_exception(error)


def _tell(listener: ObserverListener, state: ObserverState) -> None:
    try:
        listener(state)
    except BaseException as error:  # an exit, too, would end the loop's thread
        from iii.sdk.failures import log_failure  # as in `ready`
        from iii.sdk.process_end import ends_process

        if ends_process(error):
            raise
        log_failure(LISTENER_FAILED, error)
