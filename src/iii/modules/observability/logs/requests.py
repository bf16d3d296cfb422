"""What the functions of logs take and answer (06 §10.3–10.5)."""

from typing import Annotated, Any

from msgspec import Meta, Struct

from iii.modules.observability.records import LogRecord

Milliseconds = Annotated[int, Meta(ge=0)]


class LogRequest(Struct):
    """One log record of a worker (06 §10.3)."""

    message: Annotated[str, Meta(description="What happened.")]
    data: Annotated[
        Any, Meta(description="The entries of an object become attributes; anything else is only printed.")
    ] = None
    service_name: Annotated[str | None, Meta(description="`unknown` if absent.")] = None
    trace_id: str | None = None
    span_id: str | None = None


class LogsListInput(Struct, kw_only=True):
    """Which records are listed; all of these must hold."""

    start_time: Annotated[Milliseconds | None, Meta(description="Earliest time, in Unix milliseconds.")] = None
    end_time: Annotated[Milliseconds | None, Meta(description="Latest time, in Unix milliseconds.")] = None
    trace_id: str | None = None
    span_id: str | None = None
    severity_min: Annotated[int | None, Meta(description="Lowest number: 9 is INFO, 13 WARN, 17 ERROR.")] = None
    severity_text: Annotated[str | None, Meta(description="Name of the severity, in any case.")] = None
    service_name: Annotated[
        str | None, Meta(description="Part of `service_name` or of the attribute `service.name`, in any case.")
    ] = None
    after: Annotated[
        Annotated[int, Meta(ge=0, le=2**63 - 1)] | None,
        Meta(description="Only records that came after this `cursor`, in the order of their arrival."),
    ] = None
    offset: Annotated[int, Meta(ge=0, le=2**63 - 1, description="So many are passed over.")] = 0
    limit: Annotated[Annotated[int, Meta(ge=0)] | None, Meta(description="Most records; without it, all.")] = None


class LogsQuery(Struct, kw_only=True):
    """What was asked for."""

    trace_id: str | None
    span_id: str | None
    severity_min: int | None
    severity_text: str | None
    start_time: int | None
    end_time: int | None
    offset: int | None
    limit: int | None


class LogsList(Struct, kw_only=True):
    """Newest first; with `after` in the order of arrival."""

    logs: list[LogRecord]
    total: Annotated[int, Meta(description="Records that match, without `offset` and `limit`.")]
    query: LogsQuery
    timestamp: Annotated[int, Meta(description="Unix milliseconds.")]
    cursor: Annotated[int, Meta(description="For `after` of the next request.")]
    missed: Annotated[int, Meta(description="Records that came after `after` and are not kept any more.")]


class LogsCleared(Struct):
    success: bool


class LogTriggerConfig(Struct, kw_only=True):
    """Which log records call the function."""

    level: Annotated[
        Any,
        Meta(
            description="`trace`, `debug`, `info`, `warn`, `error` or `fatal`: exactly this one. Absent or `all`: any."
        ),
    ] = "all"
