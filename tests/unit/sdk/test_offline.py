"""What waits while there is no connection (08 §5.6)."""

import logging

import pytest

from iii.net.frames import BINARY
from iii.protocol.messages import InvocationResult, InvokeFunction
from iii.sdk.encoding import encode_outgoing
from iii.sdk.offline import OfflineQueue
from iii.sdk.outbox import Outgoing


def messages(outgoing: list[Outgoing]) -> list[bytes]:
    return [each.message for each in outgoing]


def test_the_oldest_goes_and_it_is_said_once_each_time(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    queue = OfflineQueue(limit=2)
    for text in (b"1", b"2", b"3", b"4"):
        queue.put(Outgoing(text))
    assert len(queue) == 2
    assert messages(queue.take()) == [b"3", b"4"]
    assert len(queue) == 0
    assert [each.getMessage() for each in caplog.records] == [
        "Message queue full, dropping oldest message",
        "Messages dropped before the reconnection: their queue was full (messages=2)",
    ]
    for text in (b"5", b"6", b"7"):
        queue.put(Outgoing(text))
    assert len(caplog.records) == 3


def test_core_16_it_is_bounded_in_bytes_too_and_one_message_always_fits() -> None:
    queue = OfflineQueue(limit=100, limit_bytes=10)
    for text in (b"1" * 4, b"2" * 4, b"3" * 4):
        queue.put(Outgoing(text))
    assert messages(queue.take()) == [b"2" * 4, b"3" * 4]
    queue.put(Outgoing(b"larger than that"))
    assert messages(queue.take()) == [b"larger than that"]
    queue.put_back([Outgoing(b"%03d" % number) for number in range(1000)])
    assert messages(queue.take()) == [b"997", b"998", b"999"]


def test_calls_that_nobody_waits_for_make_room_and_are_not_sent() -> None:
    queue = OfflineQueue(limit=2)
    queue.waits = lambda call_id: call_id == "waiting"
    queue.put(Outgoing(b"gone", "another"))
    queue.put(Outgoing(b"kept", "waiting"))
    queue.put(Outgoing(b"new"))
    queue.put_back([Outgoing(b"registration", kept=False)])
    assert messages(queue.take()) == [b"kept", b"new"]


def test_what_a_socket_did_not_write_comes_first() -> None:
    queue = OfflineQueue()
    queue.put_back([Outgoing(b"unsent"), Outgoing(b"registration", kept=False)])
    queue.put(Outgoing(b"later"))
    assert messages(queue.take()) == [b"unsent", b"later"]


def test_08_5_6_of_what_a_socket_kept_as_text_the_calls_are_known_by_their_ids() -> None:
    queue = OfflineQueue()
    queue.waits = lambda call_id: call_id == "waiting"
    gone, waiting, void = (
        encode_outgoing(InvokeFunction("f", invocation_id=call_id)) for call_id in ("another", "waiting", None)
    )
    answer = encode_outgoing(InvocationResult("another", "f"))
    queue.put_back([gone, waiting, void, answer, b"no JSON"])
    assert messages(queue.take()) == [waiting, void, answer, b"no JSON"]


def test_08_5_6_so_are_those_of_texts_that_were_counted_and_those_with_half_a_pair_of_surrogates() -> None:
    queue = OfflineQueue()
    queue.waits = lambda call_id: False
    gone = encode_outgoing(InvokeFunction("f", invocation_id="another"))
    half = encode_outgoing(InvokeFunction("f", "\ud800", invocation_id="another"))  # type: ignore[arg-type]
    queue.put_back([Outgoing(gone), half, Outgoing(half), Outgoing(b"\x00", opcode=BINARY)])
    assert messages(queue.take()) == [b"\x00"]
