"""What waits while there is no connection (08 §5.6)."""

import logging

import pytest

from iii.sdk.offline import OfflineQueue
from iii.sdk.worker_socket import Outgoing


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
    assert len(caplog.records) == 1
    for text in (b"5", b"6", b"7"):
        queue.put(Outgoing(text))
    assert len(caplog.records) == 2


def test_calls_that_nobody_waits_for_make_room_and_are_not_sent() -> None:
    queue = OfflineQueue(limit=2)
    queue.put(Outgoing(b"gone", lambda: False))
    queue.put(Outgoing(b"kept", lambda: True))
    queue.put(Outgoing(b"new"))
    queue.put_back([Outgoing(b"registration", kept=False)])
    assert messages(queue.take()) == [b"kept", b"new"]


def test_what_a_socket_did_not_write_comes_first() -> None:
    queue = OfflineQueue()
    queue.put_back([Outgoing(b"unsent"), Outgoing(b"registration", kept=False)])
    queue.put(Outgoing(b"later"))
    assert messages(queue.take()) == [b"unsent", b"later"]
