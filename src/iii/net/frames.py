"""WebSocket frames of both sides: of a server never masked, of a client always (RFC 6455 §5, 01 §2.1).

They are made here so that many leave in one write.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from random import getrandbits

from iii.protocol.limits import BATCH_BYTES, FRAGMENT_BYTES

TEXT = 0x1
BINARY = 0x2
CLOSE = 0x8
PING = 0x9
PONG = 0xA

FRAMED_BYTES = 65_536  # larger messages of a client are not masked here
MASKED_TOGETHER_BYTES = (
    8_192  # larger ones are masked by picows, whose vector code is worth a write of its own from about here
)

_FINAL = 0x80
_MASKED = 0x80
_CONTINUATION = 0x0
CONTROL_PAYLOAD_BYTES = 125


def _head(first: int, size: int, masked: int = 0) -> bytes:
    if size < 126:
        return bytes((first, masked | size))
    if size < 65_536:
        return bytes((first, masked | 126)) + size.to_bytes(2, "big")
    return bytes((first, masked | 127)) + size.to_bytes(8, "big")


def _text_heads(sizes: int, masked: int = 0) -> tuple[bytes, ...]:
    """Those of `_head` for all sizes below, which a command line that starts has no 5 ms for."""
    two = bytes((_FINAL | TEXT, masked | 126))
    return (
        *(bytes((_FINAL | TEXT, masked | size)) for size in range(126)),
        *[two + size.to_bytes(2, "big") for size in range(126, sizes)],
    )


# What stands before a whole text message, by its size: nearly all messages are that small
TEXT_HEADS = _text_heads(8192)
_MASKED_TEXT_HEADS = _text_heads(2048, _MASKED)
_READY_MASKED = len(_MASKED_TEXT_HEADS)


def text_frames(*parts: bytes | memoryview) -> list[bytes | memoryview]:
    """The pieces of one text message of any size, which may be in parts, without copying it."""
    if len(parts) == 1 and len(parts[0]) <= FRAGMENT_BYTES:
        return [_head(_FINAL | TEXT, len(parts[0])), parts[0]]
    payloads = [
        memoryview(part)[start : start + FRAGMENT_BYTES]
        for part in parts
        for start in range(0, len(part), FRAGMENT_BYTES)
    ]
    frames: list[bytes | memoryview] = []
    for number, payload in enumerate(payloads, 1):
        first = (TEXT if number == 1 else _CONTINUATION) | (_FINAL if number == len(payloads) else 0)
        frames += (_head(first, len(payload)), payload)
    return frames


def batch(messages: Sequence[bytes | memoryview]) -> bytes | None:
    """Several messages as the text of one frame, each behind a line break.

    None: it is only one, they are more than a frame may have, or one of them has such a break itself.
    """
    joined = b"".join(messages)  # to look for a break there is faster than to count all of them
    if len(messages) == 1 or len(joined) + len(messages) > BATCH_BYTES or b"\n" in joined:
        return None
    return b"\n".join((b"", *messages))


def batches(messages: Sequence[bytes]) -> list[bytes]:
    """As few texts for frames as the limit allows; in order."""
    if (text := batch(messages)) is not None:  # first: nearly always it is one
        return [text]
    texts: list[bytes] = []
    some: list[bytes] = []
    size = 0
    for message in (*messages, None):
        if some and (message is None or size + len(message) >= BATCH_BYTES):
            text = batch(some)
            texts += some if text is None else (text,)
            some, size = [], 0
        if message is not None:
            some.append(message)
            size += len(message) + 1
    return texts


def batch_frames(messages: Sequence[bytes | memoryview], size: int) -> list[bytes | memoryview]:
    """Short messages of a server in one frame if they can be (29 §1).

    Args:
        size: of the text that they are together.
    """
    text = batch(messages) if size <= BATCH_BYTES else None
    if text is not None:
        return [_head(_FINAL | TEXT, size), text]
    return [piece for message in messages for piece in (TEXT_HEADS[len(message)], message)]


def message_head(is_text: bool, size: int) -> bytes:
    """What stands before a whole message of any size in one frame."""
    return _head(_FINAL | (TEXT if is_text else BINARY), size)


def control_frame(opcode: int, payload: bytes = b"") -> bytes:
    """A Close, Ping or Pong; a longer payload than such frames may have is cut."""
    payload = payload[:CONTROL_PAYLOAD_BYTES]
    return _head(_FINAL | opcode, len(payload)) + payload


def close_frame(code: int | None, reason: str = "") -> bytes:
    return control_frame(CLOSE, close_payload(code, reason))


def close_payload(code: int | None, reason: str = "") -> bytes:
    """Of a Close frame; None says no code."""
    return b"" if code is None else code.to_bytes(2, "big") + reason.encode()


def masked_frames(messages: Iterable[bytes], opcode: int = TEXT) -> bytes:
    """What leaves in one write: unfragmented frames under one mask. For messages of at most `FRAMED_BYTES`.

    RFC 6455 §5.3 wants a mask that whoever chose the payload could not foresee: here all payloads are fixed before the
    mask is drawn, and nothing of it is on the wire before the last of them.
    """
    mask = getrandbits(32)
    mask_bytes = mask.to_bytes(4, "big")
    heads: dict[int, bytes] = {}  # by size of the message
    keys: dict[int, int] = {}  # the mask over and over, as one number
    frames: list[bytes] = []
    add, number = frames.append, int.from_bytes
    for message in messages:
        size = len(message)
        if size not in keys:
            words = (size + 3) // 4
            keys[size] = (mask * _repeater(words)) >> 8 * (4 * words - size)
            ready = opcode == TEXT and size < _READY_MASKED
            heads[size] = (_MASKED_TEXT_HEADS[size] if ready else _head(_FINAL | opcode, size, _MASKED)) + mask_bytes
        add(heads[size])
        add((number(message, "big") ^ keys[size]).to_bytes(size, "big"))
    return b"".join(frames)


def client_frame(message: bytes, opcode: int = TEXT) -> bytes:
    """One unfragmented, masked frame. For messages of at most `FRAMED_BYTES`."""
    return masked_frames((message,), opcode)


@lru_cache(maxsize=1024)
def _repeater(words: int) -> int:
    """What repeats a number of 32 bits so many times: 1, 0x1_00000001, …"""
    return ((1 << 32 * words) - 1) // 0xFFFF_FFFF
