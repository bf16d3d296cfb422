"""Several messages in one text frame, each behind a line break, for a receiver that says that it takes them (29 §1).

A line break is whitespace to JSON, so that a frame which begins with one may as well be a single message.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import msgspec

from iii.protocol.json_text import BAD_JSON
from iii.protocol.limits import NESTING_LEVELS
from iii.protocol.messages import InvocationResult, InvokeFunction
from iii.protocol.rare_bytes import occurrences

MARK = b"\n"

Hot = InvokeFunction | InvocationResult


@cache
def _decode_lines() -> Callable[[bytes], list[Any]]:
    return msgspec.json.Decoder(Hot).decode_lines


def hot_messages(frame: bytes) -> list[Hot] | None:
    """All messages of a batch, in one call of C; None: they have to be looked at one by one.

    That is so if one of them is anything but a call or a result, or cannot be read, or it is no batch.

    Args:
        frame: at most `BATCH_BYTES`.
    """
    if occurrences(frame, b"[") + occurrences(frame, b"{") > NESTING_LEVELS:
        return None
    messages = hot_messages_of_engine(frame)
    return messages if messages is not None and occurrences(frame, MARK) == len(messages) else None


def hot_messages_of_engine(frame: bytes) -> list[Hot] | None:
    """As `hot_messages`, of an engine, which has looked at their depth and their lines: to count takes as long as to decode."""
    try:
        if not frame.isascii():
            frame.decode()  # msgspec does not look into the strings of members that stay Raw
        return _decode_lines()(frame)
    except BAD_JSON:
        return None


def each_message(frame: bytes) -> list[bytes]:
    """The messages of a batch as they stand in it; of a single message that begins with a line break only that one."""
    try:
        msgspec.json.decode(frame, type=msgspec.Raw)
    except BAD_JSON:
        return [line for line in frame.split(MARK) if line.strip()]
    return [frame.lstrip()]
