"""WebSocket frames of a client (RFC 6455 §5.2, §5.3)."""

import pytest

from iii.net.frames import BINARY, client_frame, masked_frames


def unmasked(frame: bytes) -> tuple[int, bytes]:
    size, start = frame[1] & 0x7F, 2
    if size == 126:
        size, start = int.from_bytes(frame[2:4], "big"), 4
    elif size == 127:
        size, start = int.from_bytes(frame[2:10], "big"), 10
    mask, body = frame[start : start + 4], frame[start + 4 :]
    assert frame[1] & 0x80
    assert len(body) == size
    return frame[0], bytes(byte ^ mask[index % 4] for index, byte in enumerate(body))


@pytest.mark.parametrize("size", [0, 1, 3, 4, 5, 125, 126, 127, 1000, 65_535, 65_536])
def test_a_frame_carries_its_message_masked(size: int) -> None:
    message = bytes(index % 251 for index in range(size))
    assert unmasked(client_frame(message)) == (0x81, message)
    assert unmasked(client_frame(message, BINARY)) == (0x82, message)


def test_each_frame_has_a_mask_of_its_own() -> None:
    assert len({client_frame(b"same") for _ in range(20)}) > 1


def test_frames_of_one_write_share_a_mask_and_keep_their_messages() -> None:
    messages = [b"", b"a", b"same size", b"size same", b"x" * 300]
    written = masked_frames(messages)
    masks: set[bytes] = set()
    for message in messages:
        head = 2 if len(message) < 126 else 4
        frame, written = written[: head + 4 + len(message)], written[head + 4 + len(message) :]
        assert unmasked(frame) == (0x81, message)
        masks.add(frame[head : head + 4])
    assert not written
    assert len(masks) == 1
