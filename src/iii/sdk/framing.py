"""WebSocket frames of a client, made here so that many leave in one write (RFC 6455 §5.2, DESIGN 3)."""

from random import getrandbits

FRAMED_BYTES = 65_536  # larger messages are masked by picows, whose vector code wins from about here

TEXT = 0x1
BINARY = 0x2
_FINAL = 0x80
_MASKED = 0x80


def client_frame(message: bytes, opcode: int = TEXT) -> bytes:
    """One unfragmented, masked frame. For messages of at most `FRAMED_BYTES`."""
    size = len(message)
    if size < 126:
        head = bytes((_FINAL | opcode, _MASKED | size))
    elif size < 65_536:
        head = bytes((_FINAL | opcode, _MASKED | 126, size >> 8, size & 0xFF))
    else:
        head = bytes((_FINAL | opcode, _MASKED | 127)) + size.to_bytes(8, "big")
    mask = getrandbits(32).to_bytes(4, "big")
    key = int.from_bytes((mask * (size // 4 + 1))[:size], "big")
    return head + mask + (int.from_bytes(message, "big") ^ key).to_bytes(size, "big")
