"""What the trace functions take and answer (06 §7.4)."""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from iii.modules.observability.records import Span

Index = Annotated[int, Meta(ge=0)]
Milliseconds = Annotated[int, Meta(ge=0)]
Pairs = Annotated[list[list[str]], Meta(max_length=32)]
"""Each is looked for in every span: with thousands, a question works for minutes."""

Archiving = Literal["disabled", "healthy", "degraded"]
Completeness = Literal["complete", "partial", "unknown"]


class TraceStorage(Struct):
    """How well spans are kept on disk."""

    archive: Archiving = "disabled"
    completeness: Completeness = "complete"
    known_dropped_spans: Annotated[int, Meta(description="Spans that left the memory before they were on disk.")] = 0
    physical_bytes: Annotated[int, Meta(description="Size of the files.")] = 0
    max_disk_bytes: int = 0
    last_error: str | None = None


class TracesListInput(Struct):
    """Which spans are listed, in what order."""

    trace_id: Annotated[str | None, Meta(description="Only this trace.")] = None
    trace_ids: Annotated[list[str] | None, Meta(description="Only these traces; ignored with `trace_id`.")] = None
    trace_prefix: Annotated[
        str | None,
        Meta(description="Only traces whose id begins with this, 1,000 at most; ignored with the two above."),
    ] = None
    offset: Annotated[Index | None, Meta(description="Spans that are skipped; default 0.")] = None
    limit: Annotated[Index | None, Meta(description="Spans that are answered at most; default 100.")] = None
    service_name: Annotated[str | None, Meta(description="Part of the service's name, in any case.")] = None
    name: Annotated[str | None, Meta(description="Part of the span's name, in any case.")] = None
    status: Annotated[str | None, Meta(description="Part of `ok`, `error` or `unset`, in any case.")] = None
    min_duration_ms: Annotated[float | None, Meta(description="Shortest duration, inclusive.")] = None
    max_duration_ms: Annotated[float | None, Meta(description="Longest duration, inclusive.")] = None
    start_time: Annotated[Milliseconds | None, Meta(description="Unix ms: spans that end then or later.")] = None
    end_time: Annotated[Milliseconds | None, Meta(description="Unix ms: spans that start then or earlier.")] = None
    sort_by: Annotated[
        str | None, Meta(description="`start_time` (default), `duration`, `service_name` or `name`.")
    ] = None
    sort_order: Annotated[str | None, Meta(description="`asc` (default); anything else is descending.")] = None
    attributes: Annotated[Pairs | None, Meta(description="Pairs of key and value that one span has, 32 at most.")] = (
        None
    )
    exclude_attributes: Annotated[
        Pairs | None, Meta(description="Pairs, 32 at most: a span with any of them is left out.")
    ] = None
    include_internal: Annotated[bool | None, Meta(description="Calls of the engine's own functions too.")] = None
    search_all_spans: Annotated[
        bool | None,
        Meta(description="Not only roots; `name` and `attributes` are looked for in all spans of a trace."),
    ] = None


class ListedSpan(Span, omit_defaults=True, gc=False):
    """A span, with the tags of its trace if it has any."""

    trace_tags: dict[str, str] | None = None


class TracesListResult(Struct):
    spans: list[ListedSpan]
    total: int
    offset: int
    limit: int
    storage: TraceStorage


class TracesTreeInput(Struct):
    trace_id: Annotated[str, Meta(description="The trace.")]


class TreeNode(Span, omit_defaults=False, gc=False):
    """A span with those that it caused."""

    children: Annotated[tuple[Any, ...], Meta(description="Nodes like this one, by start.")] = ()


class TracesTreeResult(Struct):
    roots: list[TreeNode]
    storage: TraceStorage


class TracesClearInput(Struct):
    """No input."""


class TracesClearResult(Struct):
    success: bool


class TracesGroupByInput(Struct):
    attribute: Annotated[str, Meta(description="Attribute whose values are the groups.")]
    since_ms: Annotated[Milliseconds | None, Meta(description="Unix ms: spans that end then or later.")] = None
    limit: Annotated[Index | None, Meta(description="Groups that are answered at most, newest first; default 100.")] = (
        None
    )
    include_internal: Annotated[bool | None, Meta(description="Calls of the engine's own functions too.")] = None
    label_attribute: Annotated[
        str | None, Meta(description="Attribute that labels a group: that of its newest span that has it.")
    ] = None


class TraceGroup(Struct):
    value: str
    label: str | None
    trace_ids: list[str]
    span_count: int
    first_seen_ms: int
    last_seen_ms: int
    duration_ms: int
    error_count: int


class TracesGroupByResult(Struct):
    groups: list[TraceGroup]
    storage: TraceStorage
