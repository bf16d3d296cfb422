"""Functions that tell of one job (13 §2)."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import msgspec

from iii.engine.answer import answer
from iii.engine.builtin import LATER, Later, builtin
from iii.engine.invocation import Invocation
from iii.modules.queue.adapter import BadCursor, NotSupported, QueueAdapter, ResultsNotKept
from iii.modules.queue.codes import (
    JOB_CANCEL_FAILED,
    JOB_ID_NOT_SET,
    JOB_LOOKUP_FAILED,
    JOB_NOT_FOUND,
    JOB_WAIT_FAILED,
    NOT_SUPPORTED,
    RESULTS_NOT_KEPT,
)
from iii.modules.queue.jobs.lookup import FoundPayload
from iii.modules.queue.names import Names
from iii.modules.queue.options import NAME_CHARACTERS, NamedQueue
from iii.modules.queue.requests import (
    BacklogInput,
    BacklogPage,
    CancelInput,
    CancelResult,
    JobInput,
    JobPayload,
    JobStatus,
    WaitInput,
)
from iii.protocol.errors import ErrorCode, InvalidArguments, InvocationError
from iii.protocol.json_text import BAD_JSON
from iii.protocol.limits import KIB
from iii.protocol.log_event import LogEvent
from iii.protocol.quoted import shortened
from iii.protocol.secrets import without_secrets
from iii.storage.items import StoreError

CANCELLED = LogEvent(
    __name__, "queue.job_cancelled", logging.INFO, "Job cancelled",
    means="`engine::queue::cancel` removed a job, or stopped it while it was handled.",
)  # fmt: skip

PAYLOAD_BYTES = 64 * KIB  # that are looked through for secrets; a larger payload is not shown


class Jobs:
    """Whoever has a receipt may ask."""

    def __init__(self, adapter: QueueAdapter, queues: Mapping[str, NamedQueue]) -> None:
        self._adapter = adapter
        self._names = Names(adapter, queues)

    @builtin("engine::queue::job", spec="13 §2")
    def job(self, request: JobInput) -> JobStatus:
        """Where one job stands: its state, attempts, times, last error and result"""
        shown = _shown(request.id)
        try:
            found = self._adapter.job(request.id)
        except StoreError as error:
            raise _refusal(error, JOB_LOOKUP_FAILED, f"Failed to look up job '{shown}'") from None
        return _known(found, shown)

    @builtin("engine::queue::payload", spec="13 §12")
    def payload(self, request: JobInput) -> JobPayload:
        """Payload of a job that has not ended, or is dead, with secrets hidden"""
        shown = _shown(request.id)
        try:
            found = self._adapter.payload(request.id, PAYLOAD_BYTES)
        except StoreError as error:
            raise _refusal(error, JOB_LOOKUP_FAILED, f"Failed to look up job '{shown}'") from None
        if found is None:
            raise JOB_NOT_FOUND(f"payload of job '{shown}' is not kept: it is done, was removed, or never existed")
        return _without_secrets(request.id, found)

    @builtin("engine::queue::jobs", spec="13 §9", aliases={"topic": "queue"})
    async def jobs(self, request: BacklogInput) -> BacklogPage:
        """Jobs of a queue or topic that wait, are delayed, or are active, page by page"""
        source = self._names.named(request.queue)
        try:
            return await self._adapter.backlog(source, request)
        except BadCursor as error:
            raise InvalidArguments(str(error)) from None
        except StoreError as error:
            shown = shortened(request.queue, NAME_CHARACTERS)
            raise _refusal(error, JOB_LOOKUP_FAILED, f"Failed to list jobs of '{shown}'") from None

    @builtin("engine::queue::wait", spec="13 §4")
    def wait(self, request: WaitInput, invocation: Invocation) -> JobStatus | Later:
        """Wait until a job of a queue that keeps results is done, cancelled or dead"""
        shown = _shown(request.id)

        def shape(found: JobStatus | None) -> JobStatus:
            return _known(found, shown)

        code, text = JOB_WAIT_FAILED, f"Failed to wait for job '{shown}'"
        reply = answer(invocation, code, text, shape)

        def told(found: JobStatus | None, error: StoreError | None) -> None:
            reply(found, None if error is None else _refusal(error, code, text))

        self._adapter.wait(request.id, request.timeout_ms, invocation, told)
        return LATER

    @builtin("engine::queue::cancel", spec="13 §6", aliases={"topic": "queue"})
    async def cancel(self, request: CancelInput) -> CancelResult:
        """Remove a job that waits or is delayed, or stop one that is active"""
        shown = _shown(request.id)
        text = f"Failed to cancel job '{shown}'"
        try:
            cancelled = await self._adapter.cancel(request.id, request.queue)
        except StoreError as error:
            raise _refusal(error, JOB_CANCEL_FAILED, text) from None
        except TimeoutError:
            raise JOB_CANCEL_FAILED(f"{text}: the store does not answer") from None
        if cancelled is None:
            of = "" if request.queue is None else f" of '{shortened(request.queue, NAME_CHARACTERS)}'"
            raise JOB_NOT_FOUND(f"unknown job '{shown}'{of}: it is done, was removed, or never existed")
        if cancelled:
            CANCELLED(job=request.id)
        return CancelResult(id=request.id, cancelled=cancelled)


def _without_secrets(job_id: str, found: FoundPayload) -> JobPayload:
    if found.data is None:
        return JobPayload(id=job_id, payload_bytes=found.size)
    try:
        decoded = msgspec.json.decode(found.data)
        kept = without_secrets(decoded)
    except BAD_JSON:  # of a damaged store, or too deep to be looked through
        return JobPayload(id=job_id, payload_bytes=found.size)
    return JobPayload(id=job_id, payload_bytes=found.size, payload=kept, hides_secrets=kept != decoded)


def _shown(job_id: str) -> str:
    """As errors have it. Raises InvocationError."""
    if not job_id:
        raise JOB_ID_NOT_SET("Job ID is required")
    return shortened(job_id, NAME_CHARACTERS)


def _refusal(error: StoreError, code: ErrorCode, text: str) -> InvocationError:
    """With a code of its own where it would not help to ask again."""
    match error:
        case NotSupported():
            return NOT_SUPPORTED(str(error))
        case ResultsNotKept():
            return RESULTS_NOT_KEPT(str(error))
    return code(f"{text}: {error}")


def _known(found: JobStatus | None, shown: str) -> JobStatus:
    """Raises InvocationError."""
    if found is None:
        text = f"unknown job '{shown}': it is done and its queue keeps no results, it was removed, or it never existed"
        raise JOB_NOT_FOUND(text)
    return found
