"""Spans that have ended as compact frames, for an engine that says that it reads them (17 §9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import BuiltinMethodType, FunctionType, MethodType

import msgspec

from iii.protocol.limits import COMPACT_FRAME_BYTES, COMPACT_SPAN_BYTES
from iii.protocol.telemetry import TelemetryKind
from iii.sdk.span import ActiveSpan
from iii.sdk.span_frames import SCOPE


def _left_out(value: object) -> None:
    """What takes a span that has ended: of a span all that is not for the engine comes last. Raises TypeError."""
    if not isinstance(value, FunctionType | MethodType | BuiltinMethodType):
        raise TypeError(f"{type(value).__name__} cannot be sent with a span")


_encode = msgspec.msgpack.Encoder(enc_hook=_left_out).encode


def compact_frame(resource: Mapping[str, str], spans: Sequence[ActiveSpan]) -> bytes | None:
    """None: one of them cannot be written so, or has too much in it, or together they are too long."""
    try:
        frame = TelemetryKind.COMPACT_SPANS.value + _encode((resource, SCOPE, spans))
    except BaseException:  # a name that is no text, or not Unicode
        return None
    if len(frame) > COMPACT_SPAN_BYTES and any(span.characters > COMPACT_SPAN_BYTES for span in spans):
        return None
    return frame if len(frame) <= COMPACT_FRAME_BYTES else None
