"""The codes of the trace functions."""

from iii.protocol.errors import ErrorCode

MEMORY_EXPORTER_NOT_ENABLED = ErrorCode(
    "memory_exporter_not_enabled",
    means="The engine keeps no spans: `iii-observability` is not enabled.",
    do="Set `enabled: true` in the block of `iii-observability`.",
)
TRACE_STORAGE_CLEAR_FAILED = ErrorCode(
    "trace_storage_clear_failed",
    means="Spans on disk were not removed.",
    do="See the log for `store.*` events.",
    retry="later",
)
