"""How a worker calls functions: the methods of `Worker` that wait for a result, or begin to."""

from __future__ import annotations

from typing import Any

from iii.sdk import hints
from iii.sdk.requests import TriggerRequest
from iii.sdk.type_form import Result, TypeForm


class CallMethods:
    """What calls; a part of `Worker`."""

    _core: hints.WorkerCore

    def trigger(self, request: TriggerRequest, *, returns: TypeForm[Result] = Any) -> Result:
        """Call a function and wait for its result on this thread.

        Args:
            returns: the type of the result, which is made and checked as a handler's payload is; `Any` gives plain JSON
                values, None is for functions without a result.

        Raises:
            InvocationError: it failed; `FunctionNotFound`, `InvocationForbidden` and `InvocationTimeout` say how.
            InvalidResult: it ran, but its result is not what `returns` says.
            RuntimeError: this is the event loop's thread, which must not wait; use `trigger_async`.
            ClientShutdown: this worker was shut down. RegistrationRejected: the engine does not accept it.
            InvocationTimeout: also of a void call, if the engine did not read for so long that 16 MiB wait for it.
            RuntimeError: also in a forked child of the process that made this worker.
            TypeError: the payload has no JSON form, a key or its value is of a wrong type, or `returns` cannot be read.
            InvalidRequest: the payload is nested deeper than 500 levels. PayloadTooLarge: more than 64 MiB.
            KeyError: there is no `function_id`. ValueError: `timeout_ms` or `namespace` cannot be, or `returns` is given
                with a void call or a job.
        """
        found: Result = self._core.caller.call(request, returns)
        return found

    async def trigger_async(self, request: TriggerRequest, *, returns: TypeForm[Result] = Any) -> Result:
        """Call a function and wait for its result; from any event loop. Raises as `trigger`.

        A task that is cancelled while it waits here cancels the call.
        """
        found: Result = await self._core.caller.call_async(request, returns)
        return found

    def start(self, request: TriggerRequest, *, returns: TypeForm[Result] = Any) -> hints.Call[Result]:
        """Begin a call and return its handle: ``await`` it, ask for its `result()`, or `cancel()` it.

        Does not wait, except in a thread while the engine does not read. Raises as `trigger`, before anything is sent;
        what the call itself fails with is raised by the handle. In an event loop an engine that does not read raises
        `InvocationError` with code ``channel_send_failed``.
        """
        return self._core.caller.start(request, returns)
