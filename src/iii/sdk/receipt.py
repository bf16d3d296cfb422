"""The receipt of a job: what an enqueue gives, and what can be asked with it (13 §8)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, Protocol, cast

import msgspec
from msgspec import Struct

from iii.protocol.errors import ErrorCode, InvalidResult, InvocationError
from iii.sdk.requests import TriggerRequest, check_wait_s
from iii.sdk.result_type import READABLE, result_type
from iii.sdk.type_form import Result, TypeForm

RESULT_TOO_LARGE = ErrorCode(
    "result_too_large",
    means="The job is done, and its result was dropped since it has more than 256 KiB.",
    do="Let the function keep large results elsewhere, such as in state, and return where they are.",
)
_SLICE_S = 3.0  # of a wait: an engine that has started again does not know of the call before
_SLACK_S = 2.0  # for an answer to come
_PAUSE_S = 0.5  # after an engine that stops
_ENDED = ("done", "cancelled", "dead")


class JobStatus(Struct, frozen=True, kw_only=True):
    """Where a job stands; times are Unix milliseconds.

    Attributes:
        state: `waiting` for its turn or its function, `delayed` until `ready_at`, `active` since `started_at`, or over
            since `finished_at`: `done`, `cancelled`, or `dead`, a dead letter.
        queue: name of its queue or topic.
        attempts: those that have ended.
        error: of the last attempt that failed.
        result: of a job that is done, in a queue with `keep_results_s`; None too if it has more than 256 KiB.
        result_bytes: its size; None: there is none.
        expires_at: until when it is kept.
    """

    id: str
    state: Literal["waiting", "delayed", "active", "done", "cancelled", "dead"]
    queue: str
    function_id: str | None = None
    namespace: str | None = None
    attempts: int = 0
    max_attempts: int | None = None
    created_at: int
    ready_at: int | None = None
    started_at: int | None = None
    finished_at: int | None = None
    expires_at: int | None = None
    error: str | None = None
    result: Any = None
    result_bytes: int | None = None


class JobNotDone(Exception):
    """A job that was waited for has ended without success: it is a dead letter, or was cancelled.

    Attributes:
        status: where it stands.
    """

    def __init__(self, status: JobStatus) -> None:
        how = "was cancelled" if status.state == "cancelled" else f"failed {status.attempts} times: {status.error}"
        super().__init__(f"job {status.id} of queue '{status.queue}' {how}")
        self.status = status


class _Caller(Protocol):
    def call(self, request: TriggerRequest) -> Any: ...

    async def call_async(self, request: TriggerRequest) -> Any: ...


class EnqueueResult(dict[str, str]):
    """The receipt of a job, `{"messageReceiptId": …}`: what a call with `TriggerAction.Enqueue` gives.

    Methods without `_async` wait on this thread, and may not be called on the event loop's own.
    """

    def __init__(self, given: dict[str, str], caller: _Caller) -> None:
        super().__init__(given)
        self._caller = caller

    def __reduce__(self) -> tuple[type[dict[str, str]], tuple[dict[str, str]]]:
        """A copy, also in another process, is the dict alone: the connection stays where it is."""
        return dict, (dict(self),)

    @property
    def id(self) -> str:
        """Of the job: for the command line, and as a dead letter."""
        return self["messageReceiptId"]

    def status(self) -> JobStatus:
        """Where the job stands.

        Raises:
            InvocationError: code ``job_not_found``: it is done, and its queue keeps no results, or it was removed.
        """
        with _naming(self.id):
            return _status(self._caller.call(_asking("engine::queue::job", self.id)))

    async def status_async(self) -> JobStatus:
        """As `status`."""
        with _naming(self.id):
            return _status(await self._caller.call_async(_asking("engine::queue::job", self.id)))

    def cancel(self) -> bool:
        """Remove the job if it waits, stop it if it is being handled. False: it has ended already.

        Raises:
            InvocationError: code ``job_not_found``, as for `status`.
        """
        return bool(self._caller.call(_asking("engine::queue::cancel", self.id))["cancelled"])

    async def cancel_async(self) -> bool:
        """As `cancel`."""
        return bool((await self._caller.call_async(_asking("engine::queue::cancel", self.id)))["cancelled"])

    def wait(self, timeout_s: float = 30.0, *, returns: TypeForm[Result] = Any) -> Result:
        """The result of the job, once it is done; its queue must have `keep_results_s`. Goes on over a lost connection.

        Args:
            returns: the type of the result, as of `Worker.trigger`.

        Raises:
            InvalidResult: the result is not what `returns` says.
            JobNotDone: it is a dead letter, or was cancelled.
            TimeoutError: it has not ended in that time, and goes on.
            InvocationError: code ``results_not_kept``: by its queue; ``result_too_large``: it is done, but its result
                has more than 256 KiB; ``job_not_found``: the result has expired, or the job was removed.
        """
        wait = _Wait(self.id, timeout_s, returns)
        while True:
            try:
                with _naming(self.id):
                    status = _status(self._caller.call(wait.request()))
            except InvocationError as error:
                time.sleep(wait.pause_s(error))
                continue
            if status.state in _ENDED:
                found: Result = wait.result(status)
                return found

    async def wait_async(self, timeout_s: float = 30.0, *, returns: TypeForm[Result] = Any) -> Result:
        """As `wait`."""
        wait = _Wait(self.id, timeout_s, returns)
        while True:
            try:
                with _naming(self.id):
                    status = _status(await self._caller.call_async(wait.request()))
            except InvocationError as error:
                await asyncio.sleep(wait.pause_s(error))
                continue
            if status.state in _ENDED:
                found: Result = wait.result(status)
                return found


class _Wait:
    """One wait, as calls that each end soon."""

    def __init__(self, job_id: str, timeout_s: float, returns: Any) -> None:
        check_wait_s(timeout_s)
        self._type = result_type(returns)
        self._job_id = job_id
        self._timeout_s = timeout_s
        self._end = time.monotonic() + timeout_s
        self._asked = False

    def request(self) -> TriggerRequest:
        """Raises TimeoutError."""
        left_s = self._end - time.monotonic()
        if left_s <= 0 and self._asked:
            raise TimeoutError(f"job {self._job_id} has not ended within {self._timeout_s:g} s")
        self._asked = True
        slice_s = max(min(left_s, _SLICE_S), 0.0)
        request = _asking("engine::queue::wait", self._job_id, timeout_ms=int(slice_s * 1000))
        return {**request, "timeout_ms": int((slice_s + _SLACK_S) * 1000)}

    def pause_s(self, error: InvocationError) -> float:
        """Before asking again. Raises the error if that would not help."""
        if error.code not in ("TIMEOUT", "job_wait_failed", "invocation_stopped", "channel_send_failed"):
            raise error
        return max(min(_PAUSE_S, self._end - time.monotonic()), 0.0)

    def result(self, status: JobStatus) -> Any:
        """Of a job that has ended. Raises JobNotDone, InvalidResult, and RESULT_TOO_LARGE."""
        result = _result(status)
        if self._type is None:
            return result
        return self._type.read(msgspec.json.encode(result), status.function_id or status.queue, status.id)


@contextmanager
def _naming(job_id: str) -> Iterator[None]:
    """Results with numbers that Python cannot hold are not those of the function that was asked about the job."""
    try:
        yield
    except InvalidResult as error:
        raise InvalidResult(f"job {job_id}", READABLE, error.detail, error.invocation_id) from None


def _asking(function_id: str, job_id: str, **more: int) -> TriggerRequest:
    return {"function_id": function_id, "payload": {"id": job_id, **more}}


def _status(row: Any) -> JobStatus:
    return msgspec.convert(row, JobStatus)


def _result(status: JobStatus) -> Any:
    if status.state != "done":
        raise JobNotDone(status)
    if status.result is None and status.result_bytes is not None and status.result_bytes > len("null"):
        text = f"job {status.id} is done, but its queue keeps no result of {status.result_bytes} bytes"
        raise RESULT_TOO_LARGE(text)
    return status.result


def receipt(result: Any, caller: _Caller) -> Any:
    """The result of an enqueue, with methods; whatever a foreign provider of queues answers stays as it is."""
    if isinstance(result, dict) and isinstance(result.get("messageReceiptId"), str):
        return EnqueueResult(cast(dict[str, str], result), caller)
    return result
