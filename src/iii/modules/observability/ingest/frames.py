"""The text of a frame as OTLP, and a large one cut into small ones (06 §2.2, §2.9)."""

from collections.abc import Iterator, Sequence
from functools import cache

import msgspec
from msgspec import Raw

from iii.modules.observability.ingest.lenient import mended
from iii.modules.observability.ingest.values import Drops
from iii.modules.observability.ingest.wire import Frame, LogFrame, MetricFrame, OtlpObject, SpanFrame, SpanMarks
from iii.protocol.json_text import BAD_JSON, holds_more_than, mend_json, most_values
from iii.protocol.limits import KIB
from iii.protocol.telemetry import TelemetryKind

ITEMS = 256  # of one slice, which is read in one go: some 2 ms
_PIECE_BYTES = 256 * KIB  # of one piece of a large frame, and a single item at least
_VALUES = 100_000  # of one span, record or metric: more of them hold the loop too long
_DENSE_VALUES = 150_000  # of a frame that is read here
_FRAME_VALUES = 20_000_000  # of a large frame: some 2 GiB in the process that cuts it

_FRAMES: dict[TelemetryKind, type[Frame]] = {
    TelemetryKind.SPANS: SpanFrame,
    TelemetryKind.METRICS: MetricFrame,
    TelemetryKind.LOGS: LogFrame,
}
_marks = msgspec.json.Decoder(SpanMarks, strict=False)  # times are digits in strings
_encode = msgspec.json.Encoder().encode


class BadFrame(Exception):
    """Nothing of a frame can be read."""


def is_dense(payload: bytes) -> bool:
    """Whether it has more values than are read in one step, as short as it is; texts of clients have a third of that."""
    return most_values(payload) > _DENSE_VALUES and holds_more_than(payload, _DENSE_VALUES)


def tidy_frame(kind: TelemetryKind, payload: bytes) -> Frame | None:
    """None: something is wrong with it. To mend a frame takes a hundred times as long."""
    try:
        return _decoder(kind).decode(payload)
    except (msgspec.MsgspecError, *BAD_JSON):
        return None


def span_marks(payload: bytes) -> SpanMarks | None:
    """Of a frame of spans, at a tenth of the cost; None: ids or times of one are not as nearly all clients write them, or it
    has not ended."""
    try:
        return _marks.decode(payload)
    except (msgspec.MsgspecError, *BAD_JSON):
        return None


def frame_of(kind: TelemetryKind, payload: bytes, drops: Drops) -> Frame:
    """Raises BadFrame: not UTF-8, not JSON, not an object. Whatever else is wrong costs only itself."""
    tidy = tidy_frame(kind, payload)
    if tidy is not None:
        return tidy
    try:
        document = msgspec.json.decode(mend_json(payload))
    except BAD_JSON as error:
        raise BadFrame(str(error)) from None
    if not isinstance(document, dict):
        raise BadFrame(f"expected an object, got {type(document).__name__}")
    frame = mended(document, _FRAMES[kind], drops)
    assert frame is not None  # nothing of it is required
    return frame


@cache
def _decoder(kind: TelemetryKind) -> "msgspec.json.Decoder[Frame]":
    return msgspec.json.Decoder(_FRAMES[kind])


# -- in another process -------------------------------------------------------------------------------------------


def cut_spans(payload: bytes) -> list[bytes]:
    """How much was left out, and small frames; why nothing can be read, if nothing can be."""
    return _cut(TelemetryKind.SPANS, payload)


def cut_metrics(payload: bytes) -> list[bytes]:
    """As `cut_spans`."""
    return _cut(TelemetryKind.METRICS, payload)


def cut_logs(payload: bytes) -> list[bytes]:
    """As `cut_spans`."""
    return _cut(TelemetryKind.LOGS, payload)


def _cut(kind: TelemetryKind, payload: bytes) -> list[bytes]:
    drops = Drops()
    if holds_more_than(payload, _FRAME_VALUES):
        return [_encode(f"it has more than {_FRAME_VALUES} values")]
    try:
        frame = frame_of(kind, payload, drops)
    except BadFrame as error:
        return [_encode(str(error))]
    pieces = list(_pieces(frame, drops))
    return [_encode(drops.items), *pieces]


def _pieces(frame: Frame, drops: Drops) -> Iterator[bytes]:
    for resource in frame.resources or ():
        for scope in resource.scopes or ():
            for items in _grouped(scope.items or (), drops):
                members = _keys(type(scope))["items"], _keys(type(resource))["scopes"], _keys(type(frame))["resources"]
                scoped = {"scope": scope.scope, members[0]: items}
                yield _encode({members[2]: [{"resource": resource.resource, members[1]: [scoped]}]})


def _grouped(items: Sequence[OtlpObject], drops: Drops) -> Iterator[list[Raw]]:
    group: list[Raw] = []
    size = 0
    for item in items:
        encoded = _encode(item)
        if holds_more_than(encoded, _VALUES):
            drops.items += 1
            continue
        if group and (len(group) == ITEMS or size + len(encoded) > _PIECE_BYTES):
            yield group
            group, size = [], 0
        group.append(Raw(encoded))
        size += len(encoded)
    if group:
        yield group


@cache
def _keys(kind: type[OtlpObject]) -> dict[str, str]:
    return {field.name: field.encode_name for field in msgspec.structs.fields(kind)}
