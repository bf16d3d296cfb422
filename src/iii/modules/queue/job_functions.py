"""Functions that tell of one job (13 §2)."""

from __future__ import annotations

from collections.abc import Mapping

from iii.engine.builtin import builtin
from iii.modules.queue.adapter import QueueAdapter
from iii.modules.queue.jobs.job import shortened
from iii.modules.queue.options import NAME_CHARACTERS, NamedQueue
from iii.modules.queue.requests import JobInput, JobStatus
from iii.protocol.errors import InvocationError
from iii.storage.items import StoreError


class Jobs:
    """Whoever has a receipt may ask."""

    def __init__(self, adapter: QueueAdapter, queues: Mapping[str, NamedQueue]) -> None:
        self._adapter = adapter

    @builtin("engine::queue::job", spec="13 §2")
    def job(self, request: JobInput) -> JobStatus:
        """Where one job stands: its state, attempts, times and last error"""
        if not request.id:
            raise InvocationError("job_id_not_set", "Job ID is required")
        shown = shortened(request.id, NAME_CHARACTERS)
        try:
            found = self._adapter.job(request.id)
        except StoreError as error:
            raise InvocationError("job_lookup_failed", f"Failed to look up job '{shown}': {error}") from None
        if found is None:
            raise InvocationError("job_not_found", f"unknown job '{shown}': it is done, was removed, or never existed")
        return found
