"""One call on its way: who asked, who runs it, how the answer gets back (01 §8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple, Protocol

from msgspec import Raw, Struct

from iii.protocol.errors import InvocationError
from iii.protocol.messages import NULL
from iii.protocol.wire_errors import error_from_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from iii.engine.access.guard import Guard
    from iii.engine.bindings import Binding
    from iii.engine.connection_limits import WaitingBytes
    from iii.engine.dialect import Dialect
    from iii.engine.observing.origin import CallOrigin
    from iii.engine.tally import Tally
    from iii.engine.tracing import CallSpan
    from iii.engine.worker_info import Announcement
    from iii.protocol.log_event import LogEvent
    from iii.protocol.reply import Reply


_WITHDRAWN = (("iii.call.withdrawn", "true"),)  # a span of which nobody waits for the end (17 §2)


class Trace(NamedTuple):
    """What a call hands on of the trace that it belongs to."""

    traceparent: str | None = None
    baggage: str | None = None


NO_TRACE = Trace()


class Waiter(Protocol):
    """Whoever wants the answer. Told exactly once, unless it withdrew.

    Attributes:
        wants_answers: False: it only looks on, and the call is void for all others.
    """

    @property
    def wants_answers(self) -> bool: ...

    def answered(self, invocation: Invocation, result: bytes | memoryview | None) -> None:
        """It succeeded; JSON, or None for no result (I2). A view is large and came from a worker."""

    def failed(self, invocation: Invocation, error: bytes) -> None:
        """It failed; the error object as JSON."""


class Follower(Waiter, Protocol):
    """Sees how a call ends, whatever its caller does: it stands before whoever waits (21 §9)."""

    def detach(self) -> Waiter | None:
        """The caller is not told any more; whom to tell instead."""

    def choose(self, matched: Raw, delivered: Raw) -> None:
        """Whoever runs the call says for whom it is."""


class Runner(Protocol):
    """A connection that runs a call."""

    def let_go(self, invocation_id: str, cancels: bool) -> None:
        """Nobody waits for the result any more; it may be told to stop (P11)."""

    def slow_down(self, seconds: float) -> None:
        """Its results are not read fast enough (P5)."""

    def stop(self, invocation_id: str) -> None:
        """It is told to stop, if it understands that; its result is waited for all the same (21 §9)."""


class Calls(Protocol):
    """The calls of one connection."""

    cancels_any_call: bool
    """Whether it may cancel those of others (P11)."""
    channels_limit: int
    """Channels that it may have at once (07 §2.6)."""

    def cancel(self, call_id: str) -> bool:
        """End its first call with this id; False: it waits for none."""


class Caller(Protocol):
    """A connection whose worker calls, as those see it who are called."""

    dialect: Dialect
    waiting: WaitingBytes
    caller_base: bytes
    caller_member: bytes
    guard: Guard | None

    @property
    def calling(self) -> Calls: ...

    @property
    def worker_id(self) -> str: ...

    @property
    def expects_announcement(self) -> bool:
        """Its registrations, and with them lists made for it, still wait (N2)."""

    def when_registrations_applied(self, action: Callable[[], None]) -> bool:
        """Run `action` when nothing of it waits any more; False: too many actions wait already."""

    def announce(self, announcement: Announcement, done: Callable[[bool], None]) -> None:
        """It says who it is."""

    def complain(self, event: LogEvent, **fields: object) -> None:
        """Log that its worker did something wrong."""

    def slow_down(self, seconds: float) -> None:
        """It calls somebody who reads too slowly (P5)."""

    def pause_reading(self) -> None:
        """It causes more than one turn of the loop takes: nothing more is read of it until `resume_reading`."""

    def resume_reading(self) -> None:
        """That is done."""


class Invocation(Struct, eq=False, gc=False):
    """A call between the moment it was asked for and its answer.

    A Struct because one is made for every call; out of the collector's sight because it is let go by hand: by its
    answer, or when its caller or its runner leaves.
    """

    function_id: str
    namespace: str | None  # of the target; None is `default`
    data: bytes | Raw | memoryview  # JSON bytes, forwarded as they are; a view: it came in a large message
    waiter: Waiter | None = None  # None: nobody wants the answer, or nobody does any more
    caller: Caller | None = None  # None: the engine itself calls
    call_id: str | None = None  # the caller's own id of the call
    metadata: bytes | Raw | memoryview = NULL
    traceparent: str | None = None  # valid or None
    baggage: str | None = None
    echo: bytes = (
        b""  # trace context as its caller sent it, valid or not: members of the answer, if it wants them (17 §3, §9)
    )
    id: str | None = None  # the runner's id of the call (N9)
    runner: Runner | None = None  # once it was sent
    request: Struct | None = None  # instead of `data`, for a builtin that takes just that
    timeout_ms: int | None = None  # after which it is cancelled, from when it was asked for (P7)
    tally: Tally | None = None  # of its function, from when it was handed over to its end
    began: float = 0.0  # then
    origin: CallOrigin | None = None  # what it carries beside its caller; None: it is a top-level call (21 §8)
    followed: Follower | None = None  # the waiter, if that only stands before the one who asked
    span: CallSpan | None = None  # of the engine, begun when it was handed over; None: it has none

    @property
    def is_void(self) -> bool:
        """Nobody gets the answer, so that what keeps it from being run is to be logged."""
        waiter = self.waiter
        return waiter is None or not waiter.wants_answers

    def made_by(self) -> dict[str, object]:
        """For log lines of calls that nobody hears of: what made it, if that is not its caller."""
        return {}

    def keep(self) -> int:
        """It has to wait before it is sent: how many bytes of its sender's are kept until then, a batch of messages no longer (P6)."""
        if type(self.data) is Raw:
            self.data = self.data.copy()
        if type(self.metadata) is Raw:
            self.metadata = self.metadata.copy()
        texts = len(self.function_id) + len(self.baggage or "") + len(self.echo)
        return texts + len(memoryview(self.data)) + len(memoryview(self.metadata))

    def complete(self, result: bytes | memoryview | None) -> None:
        """Success. JSON, or None for no result."""
        tally = self.tally
        if tally is not None:
            self.tally = None
            tally.took(tally.now() - self.began)
            span = self.span
            if span is not None:  # the loop's clock, which measured that, has milliseconds only: too coarse for it
                span.end_ns = tally.time_ns()
                if span.aside:
                    span.ended()
        waiter = self.waiter
        if waiter is not None:
            self.waiter = None
            waiter.answered(self, result)

    def fail(self, error: bytes) -> None:
        """Failure, with an error object as JSON."""
        tally, self.tally = self.tally, None
        if tally is not None:
            tally.failed(self.began, error)
            if self.span is not None:
                self.span.fail(error)
        waiter, self.waiter = self.waiter, None
        if waiter is not None:
            waiter.failed(self, error)

    def refuse(self, error: InvocationError) -> None:
        """Failure found inside the engine."""
        self.fail(error.encode())

    def withdraw(self, cancels: bool = False) -> None:
        """Nobody waits any more: a late result is dropped.

        Args:
            cancels: the worker that runs it is told to stop (P11); a caller that only left does not want that (01 §8.6).
        """
        tally, self.tally = self.tally, None
        if tally is not None:
            tally.withdrew()
            if self.span is not None:
                self.span.note(_WITHDRAWN)
                self.span.end("unset")
        if self.followed is not None:  # it goes on for those who observe it
            self.followed.detach()
            if cancels and self.runner is not None and self.id is not None:
                self.runner.stop(self.id)
            return
        self.waiter = None
        runner, self.runner = self.runner, None
        if runner is not None and self.id is not None:
            runner.let_go(self.id, cancels)

    def cancel(self, error: InvocationError) -> None:
        """It is over for its caller, who gets this error; the worker that runs it is told to stop (P7, P11)."""
        waiter, text = self.waiter if self.followed is None else self.followed.detach(), error.encode()
        tally, self.tally = self.tally, None
        if tally is not None:
            tally.failed(self.began, text)
            if self.span is not None:
                self.span.fail(text)
        self.withdraw(cancels=True)
        if waiter is not None:
            waiter.failed(self, text)


class TriggerCall(Invocation, eq=False, gc=False):
    """The call of a trigger's target: it knows its trigger, for which other calls have no room."""

    binding: Binding | None = None

    def made_by(self) -> dict[str, object]:
        binding = self.binding
        return {} if binding is None else {"trigger": binding.id, "trigger_type": binding.trigger_type}


class Callback:
    """A waiter made of one reply."""

    __slots__ = ("_reply",)

    wants_answers: ClassVar[bool] = True

    def __init__(self, reply: Reply[bytes, InvocationError]) -> None:
        self._reply = reply

    def answered(self, invocation: Invocation, result: bytes | memoryview | None) -> None:
        self._reply(bytes(result) if isinstance(result, memoryview) else result, None)

    def failed(self, invocation: Invocation, error: bytes) -> None:
        self._reply(None, error_from_text(error, invocation.function_id, invocation.id))
