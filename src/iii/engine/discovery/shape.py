"""How rows look for one receiver: its dialect, and how much of them it can take (W3–W5, L13)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec
from msgspec import Raw, Struct

from iii.engine.dialect import Dialect, Discovery
from iii.engine.frames import result_frame
from iii.engine.invocation import Invocation
from iii.protocol.limits import NAME_CODE_POINTS
from iii.protocol.messages import NULL

_STRANGER = Dialect()


class _Named(Struct):
    name: str
    type: str


_named = msgspec.json.Decoder(_Named)


class Shape(Struct, frozen=True):
    """What a receiver accepts in rows."""

    legacy: bool  # absent texts are null, `engine::triggers::list` means instances (W4)
    object_formats_only: bool = False
    named_formats_only: bool = False
    with_formats: bool = True
    with_metadata: bool = True
    with_descriptions: bool = True  # else at most NAME_CODE_POINTS of each

    def format(self, json: bytes) -> Raw:
        """A request or response format, null where the receiver would choke on it."""
        if not self.with_formats or (self.object_formats_only and json[:1] != b"{"):
            return NULL
        if self.named_formats_only and not _is_named(json):
            return NULL
        return Raw(json)

    def metadata(self, json: bytes) -> Raw:
        """Metadata of a function or trigger, null where the receiver would choke on it."""
        if not self.with_metadata or (self.object_formats_only and json[:1] != b"{"):
            return NULL
        return Raw(json)

    def reductions(self) -> Iterator[Shape]:
        """This shape, then the smaller ones that a list may shrink to, in the order of L13."""
        yield self
        yield msgspec.structs.replace(self, with_formats=False)
        yield msgspec.structs.replace(self, with_formats=False, with_metadata=False)
        yield msgspec.structs.replace(self, with_formats=False, with_metadata=False, with_descriptions=False)

    def description(self, text: str) -> str:
        """A description, cut where lists would not fit otherwise (P6)."""
        return text if self.with_descriptions else text[:NAME_CODE_POINTS]


def shape_for(dialect: Dialect, default: Discovery) -> Shape:
    """The shape for a client of this dialect; `default` is for those that have not said who they are (W3)."""
    return Shape(
        legacy=(dialect.discovery or default) == "legacy",
        object_formats_only=dialect.object_formats_only,
        named_formats_only=dialect.named_formats_only,
    )


def shape_for_all(dialects: Iterable[Dialect], default: Discovery) -> Shape:
    """A shape that clients of several dialects read."""
    shapes = [shape_for(dialect, default) for dialect in dialects]
    return Shape(
        legacy=any(shape.legacy for shape in shapes),
        object_formats_only=any(shape.object_formats_only for shape in shapes),
        named_formats_only=any(shape.named_formats_only for shape in shapes),
    )


def shape_for_call(invocation: Invocation, wanted: Discovery | None, default: Discovery) -> Shape:
    """The shape of an answer: as the request wants it, else as its caller's dialect has it."""
    shape = shape_for(invocation.caller.dialect if invocation.caller is not None else _STRANGER, default)
    return shape if wanted is None else msgspec.structs.replace(shape, legacy=wanted == "legacy")


def room_for_result(invocation: Invocation) -> int | None:
    """Bytes of a result that the caller's client survives; None without a caller."""
    caller = invocation.caller
    if caller is None:
        return None
    return caller.dialect.receive_limit_bytes - len(result_frame(invocation, invocation.call_id or "", b""))


def _is_named(json: bytes) -> bool:
    """Whether a format has the string `name` and `type` that Python before 0.10 demands."""
    try:
        _named.decode(json)
    except msgspec.DecodeError:
        return False
    return True
