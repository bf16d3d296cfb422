"""A large message taken apart where it was decoded, and put together where it is wanted (01 §4).

Decoding 64 MiB takes up to half a second in which no other thread of Python runs, so another process does it. What comes back
is small: the message without its large members, and where in the text those are.
"""

from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from iii.protocol.caller_id import unsigned
from iii.protocol.codec import Decoder, Undecodable, encode
from iii.protocol.limits import KIB, MIB
from iii.protocol.message_names import Named, names_of
from iii.protocol.messages import Enqueue, InvocationResult, InvokeFunction, Message, Void
from iii.protocol.wire_errors import bounded_error

_STAYS_BYTES = 4 * KIB  # a member up to this size stays in the envelope
_ERROR_BYTES = 1 * MIB  # the texts of a larger error are cut
_ENVELOPE_BYTES = 5 * MIB  # everything but payloads and the like; a registration may have 4 MiB (P6)


class TextSpan(Struct, frozen=True):
    """Where in the text a member stands."""

    member: str
    start: int
    end: int


class Reading(Struct):
    """What became of a text: an envelope with places, or the refusal.

    Attributes:
        envelope: the message without its large members.
        places: those.
        mended: whether they are places in the mended text, which follows (L14).
        detail, named: of a text that cannot be decoded.
    """

    envelope: Raw = Raw(b"null")
    places: list[TextSpan] = []
    mended: bool = False
    detail: str | None = None
    named: Named | UnsetType = UNSET


def take_apart(decoder: Decoder[Any], data: bytes) -> tuple[Reading, bytes]:
    """Decode; also the text that was decoded, if it is not `data`. Raises nothing on any input."""
    try:
        message, text = decoder.decode_mending(data)
    except Undecodable as error:
        return Reading(detail=str(error), named=names_of(data, at_leisure=True)), b""
    if _changed(message):
        text = encode(message)
        message = decoder.decode_plain(text)
    large = {
        name: value
        for name in message.__struct_fields__
        if type(value := getattr(message, name)) is Raw and len(memoryview(value)) > _STAYS_BYTES
    }
    places = [_place(text, name, value) for name, value in large.items()]
    envelope = encode(msgspec.structs.replace(message, **dict.fromkeys(large, Raw(b"null"))))
    if len(envelope) > _ENVELOPE_BYTES:
        detail = f"names and texts of {len(envelope)} bytes exceed the limit of {_ENVELOPE_BYTES}"
        return Reading(detail=detail, named=_named(message)), b""
    mended = text is not data
    return Reading(Raw(envelope), places, mended), text if mended else b""


def _changed(message: Message) -> bool:
    """Do here what would take long where the message is handed on."""
    if isinstance(message, InvokeFunction) and not isinstance(message.action, Enqueue):  # jobs are not signed (I10)
        data = bytes(message.data)
        message.data = Raw(unsigned(data))
        return bytes(message.data) != data
    if isinstance(message, InvocationResult) and len(memoryview(message.error)) > _ERROR_BYTES:
        message.error = Raw(bounded_error(bytes(message.error), _ERROR_BYTES // 2))
        return True
    return False


def _named(message: Message) -> Named:
    named = Named.of(message)
    named.type = str(message.__struct_config__.tag)
    named.void = isinstance(getattr(message, "action", None), Void)
    return named


def _place(text: bytes, name: str, value: Raw) -> TextSpan:
    view = memoryview(value)
    start = text.find(view)  # an equal member elsewhere in the text does as well
    return TextSpan(name, start, start + len(view))


def put_together(decoder: Decoder[Any], reading: Reading, text: bytes | bytearray) -> Any:
    """The message; its large members, and the payload of a call in any case, are views. Raises Undecodable if it is none."""
    if reading.detail is not None:
        raise Undecodable(reading.detail, reading.named or Named())
    message = decoder.decode_plain(bytes(reading.envelope))
    view = memoryview(text)
    for place in reading.places:
        msgspec.structs.force_setattr(message, place.member, view[place.start : place.end])
    if isinstance(message, InvokeFunction):
        msgspec.structs.force_setattr(message, "data", memoryview(message.data))  # of a view: the same
    return message
