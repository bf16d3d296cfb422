"""Several messages in one frame (29 §1)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iii.net.frames import batch, batch_frames, batches, text_frames
from iii.protocol.batch import each_message, hot_messages, hot_messages_of_engine
from iii.protocol.limits import BATCH_BYTES
from iii.protocol.messages import InvocationResult, InvokeFunction

CALL: dict[str, Any] = {"type": "invokefunction", "function_id": "svc::f", "data": {"a": [1]}, "invocation_id": "1"}
RESULT: dict[str, Any] = {"type": "invocationresult", "function_id": "svc::f", "invocation_id": "2", "result": "é"}


def frame(*messages: Any) -> bytes:
    return b"".join(
        b"\n" + (each if isinstance(each, bytes) else json.dumps(each, ensure_ascii=False).encode())
        for each in messages
    )


def test_calls_and_results_are_read_in_one_go() -> None:
    read = hot_messages(frame(CALL, RESULT, CALL))
    assert read is not None
    assert [type(message) for message in read] == [InvokeFunction, InvocationResult, InvokeFunction]
    assert [bytes(message.data) for message in read if isinstance(message, InvokeFunction)] == [b'{"a": [1]}'] * 2


@pytest.mark.parametrize(
    "odd",
    [
        {"type": "ping"},
        b"not json",
        b'{"type":"invokefunction","function_id":"f","data":"\xff"}',
        b"",
        b"{",
        b"NaN",
        b'{"type":"invokefunction","function_id":"f","data":' + b"[" * 600 + b"]" * 600 + b"}",
        b'{"type":"invokefunction",\n"function_id":"f"}',
    ],
)
def test_anything_else_is_looked_at_one_by_one(odd: Any) -> None:
    """29 §1: one that cannot be read costs only itself."""
    whole = frame(CALL, odd, RESULT)
    assert hot_messages(whole) is None
    lines = each_message(whole)
    assert lines[0] == frame(CALL)[1:]
    assert lines[-1] == frame(RESULT)[1:]


def test_of_an_engine_lines_and_levels_are_not_counted() -> None:
    """29 §1: it has done so; a single message may begin with a line break all the same."""
    read = hot_messages_of_engine(frame(CALL, RESULT))
    assert read is not None
    assert [type(message) for message in read] == [InvokeFunction, InvocationResult]
    single = hot_messages_of_engine(b"\n" + json.dumps(RESULT, indent=1).encode())
    assert single is not None
    assert [message.invocation_id for message in single] == ["2"]
    for odd in ({"type": "ping"}, b"no JSON", b'{"type":"invokefunction","function_id":"f","data":"\xff"}'):
        assert hot_messages_of_engine(frame(CALL, odd)) is None


@pytest.mark.parametrize("text", [frame(CALL), b'\n{\n "type":\n "ping"\n}\n', b"\n\n" + frame(RESULT)])
def test_a_single_message_may_begin_with_a_line_break(text: bytes) -> None:
    """29 §1."""
    assert [json.loads(each) for each in each_message(text)] == [json.loads(text)]


messages_lists = st.lists(st.binary(max_size=20) | st.binary(min_size=100, max_size=5000), min_size=1, max_size=40)


@given(messages_lists)
def test_batches_hold_all_messages_in_order_within_the_limit(messages: list[bytes]) -> None:
    """29 §1: what has a line break of its own stands alone."""
    out: list[bytes] = []
    for text in batches(messages):
        if (text in messages and text[:1] != b"\n") or (text.count(b"\n") == 1 and text in messages):
            out.append(text)
        else:
            assert len(text) <= BATCH_BYTES
            out += text.split(b"\n")[1:] if text not in messages else [text]
    assert out == messages


@given(messages_lists)
def test_frames_of_the_engine_are_a_batch_or_one_for_each(messages: list[bytes]) -> None:
    size = sum(map(len, messages)) + len(messages)
    together = batch(messages)
    frames = b"".join(batch_frames(messages, size))
    if together is not None:
        assert len(messages) > 1
        assert together.split(b"\n")[1:] == messages
        assert frames == b"".join(text_frames(together))
    else:
        assert frames == b"".join(piece for each in messages for piece in text_frames(each))
        assert len(messages) == 1 or size > BATCH_BYTES or any(b"\n" in each for each in messages)
