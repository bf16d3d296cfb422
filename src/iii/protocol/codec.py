"""Bytes to messages and back; the only place that meets malformed input (01 §4)."""

import logging
import re
from collections.abc import Callable
from functools import cache
from typing import Any, Generic, TypeVar

import msgspec

from iii.protocol.limits import NESTING_LEVELS
from iii.protocol.messages import EngineMessage, Message, WorkerMessage

logger = logging.getLogger(__name__)

M = TypeVar("M")

encode = msgspec.json.Encoder().encode


class Undecodable(Exception):
    """A message that must be dropped, with what can still be said about it.

    Attributes:
        message_type: its `type`, if that was readable.
        invocation_id, function_id: of a call, so that its caller can be told `invalid_request` (I13).
    """

    def __init__(
        self,
        detail: str,
        message_type: str | None = None,
        invocation_id: str | None = None,
        function_id: str | None = None,
    ) -> None:
        super().__init__(detail)
        self.message_type = message_type
        self.invocation_id = invocation_id
        self.function_id = function_id


class _Salvage(msgspec.Struct):
    """The members that identify a message whose other members are broken."""

    type: object = None
    invocation_id: object = None
    function_id: object = None


_salvage = msgspec.json.Decoder(_Salvage)


PLAIN_BYTES = 2 * NESTING_LEVELS  # no text that short nests deeper


def _check(data: bytes) -> None:
    """What msgspec leaves out: it does not look into the strings of members that stay Raw, nor count levels."""
    data.decode()
    if nests_deeper_than(data, NESTING_LEVELS):
        raise Undecodable(f"JSON is nested deeper than {NESTING_LEVELS} levels")


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
        try:
            if len(data) > PLAIN_BYTES or not data.isascii():
                _check(data)
            return self.decode_plain(data)
        except msgspec.ValidationError as error:
            raise self._undecodable(data, str(error)) from None
        except msgspec.DecodeError as error:
            return self._decode_mended(data, str(error))
        except UnicodeDecodeError as error:
            raise Undecodable(f"not UTF-8: {error.reason} at byte {error.start}") from None
        except RecursionError:
            raise Undecodable("JSON is nested too deeply") from None

    def _decode_mended(self, data: bytes, detail: str) -> M:
        mended = mend_json(data)
        if mended == data:
            raise Undecodable(detail)
        try:
            message = self.decode_plain(mended)
        except msgspec.ValidationError as error:
            raise self._undecodable(mended, str(error)) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Undecodable(str(error)) from None
        if not self._warned:
            self._warned = True
            logger.warning(
                "A peer sends NaN, Infinity or broken surrogates, which JSON has not; read as null or U+FFFD"
            )
        return message

    def _undecodable(self, data: bytes, detail: str) -> Undecodable:
        try:
            found = _salvage.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return Undecodable(detail)
        return Undecodable(detail, _text(found.type), _text(found.invocation_id), _text(found.function_id))


def worker_message_decoder() -> Decoder[WorkerMessage]:
    """What the engine uses for one connection."""
    return Decoder(WorkerMessage)


def engine_message_decoder() -> Decoder[EngineMessage]:
    """What a worker client uses."""
    return Decoder(EngineMessage)


def encode_message(message: Message) -> bytes:
    """One message as JSON; members without a value are left out."""
    return encode(message)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


# An unclosed string goes to the end of the text, and nothing is ever tried twice: hostile text must not cost quadratic time
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)'
# What needs no mending is taken in runs as long as can be: a run costs as much as a match
_BROKEN = re.compile(
    rb'((?:%b|[^"NI-]++|-(?!Infinity)|N(?!aN)|I(?!nfinity))++)|-?\bInfinity\b|\bNaN\b' % _STRING, re.DOTALL
)
_SURROGATE = re.compile(
    rb"(\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
)


def mend_json(data: bytes) -> bytes:
    """`NaN`, `Infinity` and `-Infinity` outside strings as null, unpaired surrogate escapes as U+FFFD."""

    def in_string(match: re.Match[bytes]) -> bytes:
        return match.group(1) or rb"\ufffd"

    def replace(match: re.Match[bytes]) -> bytes:
        run = match.group(1)
        if run is None:
            return b"null"
        return _SURROGATE.sub(in_string, run) if b"\\u" in run else run

    return _BROKEN.sub(replace, data)


_STRINGS = re.compile(_STRING, re.DOTALL)
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_COLLAPSE_ROUNDS = 8  # enough for nearly all real data


def nests_deeper_than(data: bytes, levels: int) -> bool:
    """Whether the JSON text nests deeper, at the speed of memchr for what is plainly shallow.

    Strings are looked at only if their brackets make the cheap answer doubtful.
    """
    if data.count(b"[") + data.count(b"{") <= levels:
        return False
    brackets = data.translate(None, _NOT_BRACKETS)
    return _outlives(brackets, levels) and _outlives(_STRINGS.sub(b"", data).translate(None, _NOT_BRACKETS), levels)


def _outlives(brackets: bytes, levels: int) -> bool:
    """Whether a text of brackets is deeper: innermost pairs are removed at C speed, what is left is counted."""
    for _ in range(_COLLAPSE_ROUNDS):
        shorter = brackets.replace(b"[]", b"").replace(b"{}", b"")
        if len(shorter) == len(brackets):
            break
        brackets = shorter
        levels -= 1
    depth = 0
    for bracket in brackets:
        depth += 1 if bracket in b"[{" else -1
        if depth > levels:
            return True
    return False
