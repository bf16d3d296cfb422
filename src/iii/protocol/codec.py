"""Bytes to messages and back; the only place that meets malformed input (01 §4)."""

import logging
from collections.abc import Callable
from functools import cache
from typing import Any, Generic, TypeVar

import msgspec

from iii.protocol.json_text import BAD_JSON, PLAIN_BYTES, mend_json, nests_deeper_than
from iii.protocol.limits import NESTING_LEVELS
from iii.protocol.log_event import LogEvent
from iii.protocol.message_names import Named, names_of
from iii.protocol.messages import EngineMessage, Message, WorkerMessage

MESSAGE_MENDED = LogEvent(
    __name__, "message.mended", logging.WARNING,
    "Message mended: NaN, Infinity and unpaired surrogates are not allowed in JSON; they are read as null or U+FFFD",
    means="A client sends text that strict JSON forbids; said once for each connection.",
    do="Mend the client: it loses these values.",
)  # fmt: skip

M = TypeVar("M")

encode = msgspec.json.Encoder().encode


class Undecodable(Exception):
    """A message that must be dropped, with what can still be said about it.

    Attributes:
        message_type: its `type`, if that was readable.
        invocation_id, function_id: of a call or its result, so that its caller can be told `invalid_request` (I13).
        id, trigger_type: of a trigger, so that its owner can be told.
        void: whether the call wants no answer (I3).
    """

    def __init__(self, detail: str, named: Named) -> None:
        super().__init__(detail[:_DETAIL_CHARACTERS])
        self.named = named
        self.message_type = named.type
        self.invocation_id = named.invocation_id
        self.function_id = named.function_id
        self.id = named.id
        self.trigger_type = named.trigger_type
        self.void = named.void


_DETAIL_CHARACTERS = 300  # the decoder quotes what it was sent


@cache
def _typed_decode(union: object) -> Callable[[bytes], Any]:
    return msgspec.json.Decoder(union).decode  # some 100 KB: one for all connections


class Decoder(Generic[M]):
    """Decodes one direction of the protocol for one connection.

    Text that strict JSON forbids but that real clients send is mended, never echoed: `NaN` and `Infinity` become null
    (L14), an unpaired surrogate escape becomes U+FFFD; one warning a connection says so.

    Attributes:
        decode_plain: for ASCII text of at most `PLAIN_BYTES`, in one call of C; raises what msgspec raises, and
            RecursionError: then `decode` knows more.
    """

    __slots__ = ("_warned", "decode_plain")

    def __init__(self, union: object) -> None:
        self.decode_plain: Callable[[bytes], M] = _typed_decode(union)
        self._warned = False

    def decode(self, data: bytes) -> M:
        """One message. Raises Undecodable, and nothing else, on any input."""
        return self.decode_mending(data)[0]

    def decode_mending(self, data: bytes) -> tuple[M, bytes]:
        """One message, and the text that it was decoded from: `data`, or that mended."""
        try:
            if not data.isascii():
                data.decode()  # msgspec does not look into the strings of members that stay Raw
            if len(data) > PLAIN_BYTES and nests_deeper_than(data, NESTING_LEVELS):
                raise Undecodable(f"JSON is nested deeper than {NESTING_LEVELS} levels", names_of(data))
            return self.decode_plain(data), data
        except msgspec.ValidationError as error:
            raise Undecodable(str(error), names_of(data)) from None
        except msgspec.DecodeError as error:
            return self._decode_mended(data, str(error))
        except UnicodeDecodeError as error:
            raise Undecodable(f"not UTF-8: {error.reason} at byte {error.start}", names_of(data)) from None
        except RecursionError:
            raise Undecodable("JSON is nested too deeply", names_of(data)) from None

    def _decode_mended(self, data: bytes, detail: str) -> tuple[M, bytes]:
        mended = mend_json(data)
        if mended is data:
            raise Undecodable(detail, names_of(data))
        try:
            message = self.decode_plain(mended)
        except BAD_JSON as error:
            raise Undecodable(str(error), names_of(mended)) from None
        if not self._warned:
            self._warned = True
            MESSAGE_MENDED()
        return message, mended


def worker_message_decoder() -> Decoder[WorkerMessage]:
    """What the engine uses for one connection."""
    return Decoder(WorkerMessage)


def engine_message_decoder() -> Decoder[EngineMessage]:
    """What a worker client uses."""
    return Decoder(EngineMessage)


def encode_message(message: Message) -> bytes:
    """One message as JSON; members without a value are left out."""
    return encode(message)
