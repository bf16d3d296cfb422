"""Rows of the discovery methods (02 §5.2, §5.4, §5.9, W13); members that an engine does not know are left at their default."""

from typing import Any

from msgspec import Struct


class FunctionInfo(Struct, frozen=True, kw_only=True):
    """One function that can be called."""

    function_id: str
    namespace: str | None = None
    worker_name: str | None = None
    description: str | None = None
    request_format: Any = None
    response_format: Any = None
    metadata: Any = None


class WorkerMetrics(Struct, frozen=True, kw_only=True):
    """What a worker last reported of itself; sizes in bytes, `timestamp_ms` since 1970."""

    memory_heap_used: int | None = None
    memory_heap_total: int | None = None
    memory_rss: int | None = None
    memory_external: int | None = None
    cpu_user_micros: int | None = None
    cpu_system_micros: int | None = None
    cpu_percent: float | None = None
    event_loop_lag_ms: float | None = None
    uptime_seconds: int | None = None
    timestamp_ms: int = 0
    runtime: str | None = None


class WorkerInfo(Struct, frozen=True, kw_only=True):
    """One connected worker; `status` is `connected`, `available` or `busy`."""

    id: str
    name: str | None = None
    description: str | None = None
    namespace: str | None = None
    runtime: str | None = None
    version: str | None = None
    os: str | None = None
    pid: int | None = None
    ip_address: str | None = None
    isolation: str | None = None
    status: str
    activity: str | None = None
    connected_at_ms: int
    function_count: int = 0
    functions: list[str] = []
    active_invocations: int = 0
    internal: bool = False
    latest_metrics: WorkerMetrics | None = None
    telemetry: dict[str, Any] | None = None


class WorkerStatistics(Struct, frozen=True, kw_only=True):
    """What a worker has on its hands at this moment.

    Attributes:
        pending_calls: calls of this worker that wait for their answer.
        unsent_bytes: of messages that the engine has not read, or that wait for the next connection.
    """

    pending_calls: int
    unsent_bytes: int


class TriggerInfo(Struct, frozen=True, kw_only=True):
    """One registered trigger."""

    id: str
    trigger_type: str
    function_id: str
    namespace: str | None = None
    worker_name: str | None = None
    config: Any = None
    config_summary: str | None = None
    metadata: Any = None
    state: str | None = None
