"""WebSocket frames of a client, made here so that many leave in one write (RFC 6455 §5.2)."""

from functools import lru_cache
from random import getrandbits

FRAMED_BYTES = 65_536  # larger messages are masked by picows, whose vector code wins from about here

TEXT = 0x1
BINARY = 0x2
_FINAL = 0x80
_MASKED = 0x80


_READY_HEADS = 2048


def _head(size: int, opcode: int) -> bytes:
    if size < 126:
        return bytes((_FINAL | opcode, _MASKED | size))
    if size < 65_536:
        return bytes((_FINAL | opcode, _MASKED | 126, size >> 8, size & 0xFF))
    return bytes((_FINAL | opcode, _MASKED | 127)) + size.to_bytes(8, "big")


_TEXT_HEADS = [_head(size, TEXT) for size in range(_READY_HEADS)]


class Masking:
    """Frames of what leaves in one write, under one mask.

    RFC 6455 §5.3 wants a mask that whoever chose the payload could not foresee: here all payloads are fixed before the
    mask is drawn, and nothing of it is on the wire before the last of them.
    """

    __slots__ = ("_keys", "_mask", "_mask_bytes")

    def __init__(self) -> None:
        self._mask = getrandbits(32)
        self._mask_bytes = self._mask.to_bytes(4, "big")
        self._keys: dict[int, int] = {}  # by size of the message: the mask over and over, as one number

    def add_frame(self, frames: list[bytes], message: bytes, opcode: int = TEXT) -> None:
        """Append the pieces of one unfragmented frame. For messages of at most `FRAMED_BYTES`."""
        size = len(message)
        key = self._keys.get(size)
        if key is None:
            words = (size + 3) // 4
            key = self._keys[size] = (self._mask * _repeater(words)) >> 8 * (4 * words - size)
        frames.append(_TEXT_HEADS[size] if size < _READY_HEADS and opcode == TEXT else _head(size, opcode))
        frames.append(self._mask_bytes)
        frames.append((int.from_bytes(message, "big") ^ key).to_bytes(size, "big"))


def client_frame(message: bytes, opcode: int = TEXT) -> bytes:
    """One unfragmented, masked frame. For messages of at most `FRAMED_BYTES`."""
    frames: list[bytes] = []
    Masking().add_frame(frames, message, opcode)
    return b"".join(frames)


@lru_cache(maxsize=1024)
def _repeater(words: int) -> int:
    """What repeats a number of 32 bits so many times: 1, 0x1_00000001, …"""
    return ((1 << 32 * words) - 1) // 0xFFFF_FFFF
