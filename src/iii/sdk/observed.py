"""What the function of an observer gets: one call that others made, and how it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Literal

from msgspec import Struct

if TYPE_CHECKING:
    from typing_extensions import TypeVar  # part of every type checker

    Input = TypeVar("Input", default=Any)
    Output = TypeVar("Output", default=Any)
else:
    from typing import TypeVar

    Input = TypeVar("Input")
    Output = TypeVar("Output")


class ObservedError(Struct, frozen=True):
    """What the observed call failed with."""

    code: str
    message: str = ""
    stacktrace: str | None = None


class ObservedCaller(Struct, frozen=True):
    """Who made the observed call.

    Attributes:
        worker_id, worker_name: as the engine knows them; `iii-engine` is the engine itself, for requests, jobs and events.
        function_id, invocation_id: of the handler that made the call, where the caller's client tells it.
    """

    worker_id: str | None = None
    worker_name: str | None = None
    function_id: str | None = None
    invocation_id: str | None = None
    parent: ObservedCaller | None = None


class Observed(Struct, Generic[Input, Output], frozen=True, kw_only=True):
    """One observed call. `Observed[Order, Receipt]` says what its input and output are; both are plain JSON otherwise.

    Attributes:
        observer_id, activation_id: which observer this comes from, and an id of this delivery alone.
        function_id, namespace, invocation_id: the observed call.
        input, output, error, caller, metadata: parts of it, None for one that is not captured or that it does not have.
        started_at_ms: Unix milliseconds.
        duration_ms: from the call to its answer, as the engine or the host measured it.
    """

    observer_id: str
    activation_id: str
    function_id: str
    namespace: str
    invocation_id: str
    status: Literal["success", "error"]
    started_at_ms: int
    duration_ms: float
    input: Input = None  # type: ignore[assignment]  # whoever leaves it out of `capture` does not read it
    output: Output = None  # type: ignore[assignment]
    error: ObservedError | None = None
    caller: ObservedCaller | None = None
    metadata: Any = None
