"""What arrives while reading is paused, and what becomes of that when the connection ends (01 §2, §10)."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from unittest.mock import Mock

import pytest

from iii.net.inbox import Inbox
from iii.net.picows_side import TEXT, Kind
from iii.protocol.limits import MIB

MESSAGES = [b"%d" % number for number in range(7)]


class Ending:
    """A connection with messages that wait, each third of which asks for a turn of the loop."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.turns: deque[Callable[[], None]] = deque()
        self.ended: list[str] = []
        self.transport = Mock(is_closing=lambda: False)
        self.inbox = Inbox(self.transport, MIB, self._take)
        self.inbox.pause()
        for message in MESSAGES:
            self.inbox.put(TEXT, message)

    def _take(self, kind: Kind, message: bytes) -> None:
        self.taken.append(message)
        if not len(self.taken) % 3:
            self.inbox.let_others_in(self.turns.append)


@pytest.fixture
def ending() -> Ending:
    return Ending()


def test_29_1_what_waits_at_the_end_is_taken_in_turns(ending: Ending) -> None:
    """128 KiB of batches before a bad frame held the loop for 2.7 s."""
    ending.inbox.take_all(lambda: ending.ended.append("refused"))
    ending.inbox.take_all(lambda: ending.ended.append("lost"))
    assert (len(ending.taken), ending.ended) == (3, [])
    ending.inbox.resume()  # a pause of before is over meanwhile
    ending.inbox.put(TEXT, b"late")
    ending.turns.popleft()()
    assert (len(ending.taken), ending.ended) == (6, [])
    ending.turns.popleft()()
    assert ending.taken == [*MESSAGES, b"late"]
    assert ending.ended == ["refused", "lost"]
    ending.transport.resume_reading.assert_called_once_with()


def test_29_1_messages_of_a_batch_come_in_order_at_the_end(ending: Ending) -> None:
    ending.inbox.take_all(lambda: ending.ended.append("lost"))
    ending.inbox.put_first([b"a", b"b"])
    ending.turns.popleft()()
    assert ending.taken[3:] == [b"a", b"b", MESSAGES[3]]


def test_what_is_dropped_at_the_end_does_not_keep_it_from_ending(ending: Ending) -> None:
    ending.inbox.take_all(lambda: ending.ended.append("lost"))
    ending.inbox.stop()
    ending.turns.popleft()()
    assert (len(ending.taken), ending.ended) == (3, ["lost"])


def test_at_the_end_any_pause_is_one_of_a_turn() -> None:
    async def slow() -> None:
        taken: list[bytes] = []
        ended = asyncio.Event()

        def take(kind: Kind, message: bytes) -> None:
            taken.append(message)
            inbox.slow_down(60)
            inbox.pause()

        inbox = Inbox(Mock(is_closing=lambda: True), MIB, take)
        inbox.put_first(MESSAGES[:1])
        inbox.pauses = 1
        for message in MESSAGES[1:]:
            inbox.put(TEXT, message)
        inbox.take_all(ended.set)
        assert len(taken) == 2
        await asyncio.wait_for(ended.wait(), 60)
        assert taken == MESSAGES

    asyncio.run(slow())
