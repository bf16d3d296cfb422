"""What waits for one socket: in order, counted to the byte, and told to senders (P5, core 22)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from hypothesis.strategies import integers, sampled_from

from iii.net import outbox as module
from iii.net.frames import text_frames
from iii.net.outbox import Flusher, Outbox
from iii.protocol.backpressure import Backpressure
from iii.protocol.limits import DEAF_S, KIB, PACE_BYTES_PER_S, SLOW_DOWN_AT_MOST_S, SLOW_DOWN_S

LOW, HIGH, FULL, LIMIT, PART = 20 * KIB, 40 * KIB, 100 * KIB, 200 * KIB, 8 * KIB
TRANSPORT_HIGH = 16 * KIB
CHUNK = 32  # what a piece that waits costs besides its bytes


class Loop:
    """Collects what is to be called in the next turn."""

    def __init__(self) -> None:
        self.soon: list[Callable[[], None]] = []

    def call_soon(self, callback: Callable[[], None]) -> None:
        self.soon.append(callback)

    def turn(self) -> None:
        soon, self.soon = self.soon, []
        for callback in soon:
            callback()


class Transport:
    """Says that it has enough, as soon as it has; what it wrote is in `taken`."""

    def __init__(self, flusher: Flusher) -> None:
        self.outbox = Outbox(self, flusher)  # type: ignore[arg-type]
        self.writes = 0
        self.buffer = b""
        self.taken = b""
        self.fails = False
        self.aborted = False

    def write(self, data: bytes) -> None:
        if self.fails:
            raise MemoryError
        self.writes += 1
        self.buffer += data
        if len(self.buffer) > TRANSPORT_HIGH and not self.outbox.paused:
            self.outbox.pause()

    def take(self, size: int) -> None:
        self.taken += self.buffer[:size]
        self.buffer = self.buffer[size:]
        if len(self.buffer) < TRANSPORT_HIGH // 4 and self.outbox.paused:
            self.outbox.resume()

    def get_write_buffer_size(self) -> int:
        return len(self.buffer)

    def get_extra_info(self, name: str) -> Any:
        return ("127.0.0.1", 1)

    def abort(self) -> None:
        self.aborted = True


@pytest.fixture(autouse=True)
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (
        ("OUTBOUND_LOW_BYTES", LOW), ("OUTBOUND_HIGH_BYTES", HIGH), ("OUTBOUND_QUEUE_BYTES", FULL),
        ("OUTBOUND_LIMIT_BYTES", LIMIT), ("_AT_ONCE_BYTES", PART),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, value)


class Writing(RuleBasedStateMachine):
    """What any sender has around it: turns of the loop, and a peer that reads."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = Loop()
        self.transport = Transport(Flusher(self.loop))  # type: ignore[arg-type]
        self.outbox = self.transport.outbox

    @rule()
    def turn(self) -> None:
        self.loop.turn()

    @rule(size=integers(1, 60_000))
    def take(self, size: int) -> None:
        self.transport.take(size)


class Sending(Writing):
    def __init__(self) -> None:
        super().__init__()
        self.pieces: deque[bytes] = deque()  # that wait, by what was sent and what arrived
        self.expected = b""
        self.number = 0

    @rule(size=sampled_from([0, 1, 125, 126, 2000, 9000, 70_000]), urgent=sampled_from([False, False, True]))
    def send(self, size: int, urgent: bool) -> None:
        self.number += 1
        before = self.outbox.waiting_bytes
        message = (b"%d " % self.number * (size // 2 + 1))[:size]
        backlog = self.outbox.send(message, urgent)
        assert (backlog is Backpressure.FULL) == (before > (LIMIT if urgent else FULL))
        if before > HIGH:
            assert backlog is not None
        if before <= LOW:
            assert backlog is None
        if backlog is not Backpressure.FULL:
            self.sent(*text_frames(message))

    @rule()
    def send_frame(self) -> None:
        self.outbox.send_frame(b"\x8a\x00")
        self.sent(b"\x8a\x00")

    def sent(self, *pieces: bytes | memoryview) -> None:
        self.pieces.extend(map(bytes, pieces))
        self.expected += b"".join(pieces)

    @invariant()
    def everything_is_somewhere_in_order_and_counted(self) -> None:
        arrived = len(self.transport.taken) + len(self.transport.buffer)
        while self.pieces and len(self.expected) - sum(map(len, self.pieces)) < arrived:
            self.pieces.popleft()
        if not self.outbox.waiting_bytes:
            self.pieces.clear()  # of an empty piece nothing shows that it has left
        assert self.transport.taken + self.transport.buffer + b"".join(self.pieces) == self.expected
        assert self.outbox.waiting_bytes == sum(map(len, self.pieces)) + CHUNK * len(self.pieces)
        assert self.outbox.waiting_bytes <= LIMIT + 80_000
        assert len(self.transport.buffer) <= TRANSPORT_HIGH + PART + 70_100
        if self.outbox.waiting_bytes:
            assert self.outbox.paused or self.loop.soon, "nobody would ever write them"

    def teardown(self) -> None:
        while self.outbox.waiting_bytes or self.transport.buffer:
            self.loop.turn()
            self.transport.take(10_000)
        assert self.transport.taken == self.expected
        while self.outbox.waiting_bytes <= HIGH:  # what was before is forgotten
            assert self.outbox.send(b"x" * 1000) is None
        assert self.outbox.send(b"x") is Backpressure.HIGH


def test_P5_a_slow_reader_gets_all_that_was_taken_in_order() -> None:
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(Sending, settings=settings(max_examples=60, stateful_step_count=40))


class SendingTogether(Writing):
    """With batches: the same messages leave, and each byte is counted."""

    def __init__(self) -> None:
        super().__init__()
        self.outbox.batches = True
        self.sent: list[bytes] = []

    @rule(size=sampled_from([2, 125, 126, 2000, 8191, 9000]), breaks=sampled_from([False, False, True]))
    def send(self, size: int, breaks: bool) -> None:
        message = b"{%b}" % (b"\n" if breaks else b"%d " % len(self.sent) * size)[: size - 2]
        if self.outbox.send(message) is not Backpressure.FULL:
            self.sent.append(message)

    @rule()
    def send_frame(self) -> None:
        self.outbox.send_frame(b"\x8a\x00")

    @invariant()
    def nothing_waits_uncounted(self) -> None:
        assert self.outbox.waiting_bytes <= LIMIT + 80_000
        if self.outbox.waiting_bytes:
            assert self.outbox.paused or self.loop.soon, "nobody would ever write them"

    def teardown(self) -> None:
        while self.outbox.waiting_bytes or self.transport.buffer or self.loop.soon:
            self.loop.turn()
            self.transport.take(10_000)
        assert self.outbox.waiting_bytes == 0
        assert messages_of(self.transport.taken) == self.sent


def messages_of(written: bytes) -> list[bytes]:
    """What whole frames of text carry, batches taken apart."""
    found: list[bytes] = []
    while written:
        size, start = written[1], 2
        if size == 126:
            size, start = int.from_bytes(written[2:4], "big"), 4
        text, is_text = written[start : start + size], written[0] == 0x81
        written = written[start + size :]
        if is_text:
            found += text.split(b"\n")[1:] if text[:1] == b"\n" else [text]
    return found


def test_29_1_batches_are_in_order_and_counted() -> None:
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(SendingTogether, settings=settings(max_examples=60, stateful_step_count=40))


def test_what_is_sent_in_one_turn_is_written_at_once_for_all_sockets() -> None:
    loop = Loop()
    flusher = Flusher(loop)  # type: ignore[arg-type]
    transports = [Transport(flusher) for _ in range(3)]
    for number in range(100):
        for each in transports:
            each.outbox.send(b"%d" % number)
    assert len(loop.soon) == 1
    loop.turn()
    assert [each.writes for each in transports] == [1, 1, 1]
    assert not loop.soon


def test_core_22_a_flush_that_raises_ends_its_connection_and_no_other(caplog: pytest.LogCaptureFixture) -> None:
    loop = Loop()
    flusher = Flusher(loop)  # type: ignore[arg-type]
    transports = [Transport(flusher) for _ in range(3)]
    transports[1].fails = True
    for turn in (b"a", b"b"):
        for each in transports:
            each.outbox.send(turn)
        loop.turn()
    assert [transport.buffer for transport in transports] == [b"\x81\x01a\x81\x01b", b"", b"\x81\x01a\x81\x01b"]
    assert [transport.aborted for transport in transports] == [False, True, False]
    assert caplog.messages == ["Connection closed: writing to it failed"]


@pytest.mark.parametrize(
    ("senders", "size"), [(1, 100), (1, 5000), (10, 100), (10, 1000), (10, 2000), (100, 100), (100, 200)]
)
@pytest.mark.parametrize("bytes_per_s", [50_000, 1_000_000, 50_000_000])
def test_P5_a_peer_that_reads_gets_everything_however_slowly_it_does(
    senders: int, size: int, bytes_per_s: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is refused, whoever and however many send as fast as they may; in simulated time, all sizes a thousandth."""
    monkeypatch.setattr(module, "PACE_BYTES_PER_S", PACE_BYTES_PER_S // 640)
    monkeypatch.setattr(module, "PACE_HALVED_BYTES", FULL // 16)
    loop = Loop()
    transport = Transport(Flusher(loop))  # type: ignore[arg-type]
    outbox = transport.outbox
    message = b"x" * size
    due = [0.0] * senders
    now, sent, most = 0.0, 0, 0.0
    while sent < min(4000, 40 * FULL // size) and now < 60:
        for number in range(senders):
            if due[number] <= now:
                backlog = outbox.send(message)
                assert backlog is not Backpressure.FULL
                sent += 1
                pause_s = 0.0 if backlog is None else outbox.pace(size, now)
                most = max(most, pause_s)
                due[number] = now + pause_s
        loop.turn()
        now += 0.01
        transport.take(bytes_per_s // 100)
    assert sent > 50
    assert most <= SLOW_DOWN_AT_MOST_S


def test_P5_who_feeds_a_deaf_peer_is_not_kept_from_the_rest_of_its_work() -> None:
    loop = Loop()
    outbox = Transport(Flusher(loop)).outbox  # type: ignore[arg-type]
    while outbox.send(b"x" * 5000) is not Backpressure.FULL:
        loop.turn()
    outbox.pace(5000, 1.0)
    assert outbox.pace(5000, 1.0 + DEAF_S + 0.1) == SLOW_DOWN_S
