"""WebSocket frames as a server sends them: never masked, large messages in fragments (RFC 6455 §5, 01 §2.1)."""

from iii.protocol.limits import FRAGMENT_BYTES

CLOSE = 0x8
PING = 0x9
PONG = 0xA

_FINAL = 0x80
_TEXT = 0x1
_BINARY = 0x2
_CONTINUATION = 0x0
_CONTROL_PAYLOAD_BYTES = 125


def _head(first: int, size: int) -> bytes:
    if size < 126:
        return bytes((first, size))
    if size < 65_536:
        return bytes((first, 126)) + size.to_bytes(2, "big")
    return bytes((first, 127)) + size.to_bytes(8, "big")


# What stands before a whole text message, by its size: nearly all messages are that small
TEXT_HEADS = tuple(_head(_FINAL | _TEXT, size) for size in range(8192))


def text_frames(message: bytes) -> list[bytes | memoryview]:
    """The pieces of one text message of any size, without copying it."""
    size = len(message)
    if size <= FRAGMENT_BYTES:
        return [_head(_FINAL | _TEXT, size), message]
    pieces: list[bytes | memoryview] = []
    view = memoryview(message)
    for start in range(0, size, FRAGMENT_BYTES):
        piece = view[start : start + FRAGMENT_BYTES]
        first = (_TEXT if start == 0 else _CONTINUATION) | (_FINAL if start + FRAGMENT_BYTES >= size else 0)
        pieces += (_head(first, len(piece)), piece)
    return pieces


def message_head(is_text: bool, size: int) -> bytes:
    """What stands before a whole message of any size in one frame."""
    return _head(_FINAL | (_TEXT if is_text else _BINARY), size)


def control_frame(opcode: int, payload: bytes = b"") -> bytes:
    """A Close, Ping or Pong; a longer payload than such frames may have is cut."""
    payload = payload[:_CONTROL_PAYLOAD_BYTES]
    return _head(_FINAL | opcode, len(payload)) + payload


def close_frame(code: int | None, reason: str = "") -> bytes:
    """A Close frame; None says no code."""
    payload = b"" if code is None else code.to_bytes(2, "big") + reason.encode()
    return control_frame(CLOSE, payload)
