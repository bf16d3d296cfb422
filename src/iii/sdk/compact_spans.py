"""Spans that have ended as compact frames, for an engine that says that it reads them (17 §9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import BuiltinMethodType, FunctionType, MethodType

import msgspec

from iii.protocol.limits import COMPACT_FRAME_BYTES, COMPACT_SPAN_BYTES
from iii.protocol.telemetry import TelemetryKind
from iii.sdk.plain_spans import PlainCall, PlainHandler
from iii.sdk.span import ActiveSpan
from iii.sdk.span_frames import SCOPE


def _left_out(value: object) -> None:
    """What takes a span that has ended: of a span all that is not for the engine comes last. Raises TypeError."""
    if not isinstance(value, FunctionType | MethodType | BuiltinMethodType):
        raise TypeError(f"{type(value).__name__} cannot be sent with a span")


_encode = msgspec.msgpack.Encoder(enc_hook=_left_out).encode


def compact_frame(
    resource: Mapping[str, str],
    spans: Sequence[ActiveSpan],
    shown_bytes: int = 0,
    plain: Sequence[PlainCall | PlainHandler] = (),
) -> bytes | None:
    """None: one of them cannot be written so, or has too much in it, or together they are too long.

    Args:
        shown_bytes: of each payload of short spans, at most.
    """
    batch = (resource, SCOPE, spans, shown_bytes, plain) if plain else (resource, SCOPE, spans)
    try:
        frame = TelemetryKind.COMPACT_SPANS.value + _encode(batch)
    except BaseException:  # a name that is no text, or not Unicode
        return None
    if len(frame) > COMPACT_SPAN_BYTES and any(span.characters > COMPACT_SPAN_BYTES for span in spans):
        return None
    return frame if len(frame) <= COMPACT_FRAME_BYTES else None
