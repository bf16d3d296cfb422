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


def text_frames(*parts: bytes | memoryview) -> list[bytes | memoryview]:
    """The pieces of one text message of any size, which may be in parts, without copying it."""
    if len(parts) == 1 and len(parts[0]) <= FRAGMENT_BYTES:
        return [_head(_FINAL | _TEXT, len(parts[0])), parts[0]]
    payloads = [
        memoryview(part)[start : start + FRAGMENT_BYTES]
        for part in parts
        for start in range(0, len(part), FRAGMENT_BYTES)
    ]
    frames: list[bytes | memoryview] = []
    for number, payload in enumerate(payloads, 1):
        first = (_TEXT if number == 1 else _CONTINUATION) | (_FINAL if number == len(payloads) else 0)
        frames += (_head(first, len(payload)), payload)
    return frames


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
