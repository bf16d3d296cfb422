"""A channel against a list, over any order of what its ends do, callbacks that call back included (07 §2.4–2.6)."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from iii.engine.channels import ALL_WAITING_BYTES, READ_AHEAD_BYTES, SWEEP_S, Channel, Channels, Item
from iii.protocol.limits import CHANNEL_BUFFER_MAX, CHANNEL_TTL_S
from iii.testing import FakeClock

CAPACITIES = st.sampled_from([0, 1, 2, 3, 5, 5000])
SIZES = st.sampled_from([0, 1, 65_536, READ_AHEAD_BYTES // 3, READ_AHEAD_BYTES])
PUTS = st.tuples(st.just("put"), SIZES, st.booleans())
STEPS = st.lists(
    st.one_of(PUTS, PUTS, st.sampled_from([("write",), ("read",), ("take",), ("take",)])), min_size=5, max_size=40
)
ENDINGS = st.sampled_from(["finish", "abort", "leave", "remove", "expire"])
_BLANK = bytes(READ_AHEAD_BYTES)


class Ends:
    """Both ends; the writer puts what is pending while there is room, an eager reader takes when it is told."""

    def __init__(self, channel: Channel, eager: bool, nested: bool) -> None:
        self.channel = channel
        self.eager = eager
        self.nested = nested
        self.pending: list[Item] = []
        self.put: list[Item] = []
        self.got: list[Item] = []
        self.stopped = False
        self.told: list[str] = []
        self.writing = self.reading = False

    def write(self) -> None:
        while self.writing and self.pending and not self.stopped:
            item = self.pending.pop(0)
            self.put.append(item)  # before: an eager reader may have it when `put` returns
            self.channel.put(*item)
            self.stopped = self.channel.full

    def take(self) -> None:
        while self.reading and (item := self.channel.take()) is not None:
            self.got.append(item)
            if not self.eager:
                return

    def writable(self) -> None:
        assert self.stopped
        self.stopped = False
        if self.nested:
            self.write()

    def readable(self) -> None:
        self.told.append("readable")
        if self.eager:
            self.take()

    def reader_gone(self) -> None:
        self.told.append("reader_gone")
        self.channel.finish()

    def expired(self) -> None:
        self.told.append("expired")


_SMALL_BEFORE_LARGE = [
    ("put", 0, False), ("put", 1, False), ("write",), *[("put", READ_AHEAD_BYTES, False)] * 4, ("read",), ("take",), ("take",),
]  # fmt: skip


@given(CAPACITIES, STEPS, ENDINGS, st.booleans(), st.booleans(), st.sampled_from([0, 0, ALL_WAITING_BYTES]))
@example(5000, _SMALL_BEFORE_LARGE, "finish", False, False, 0)
def test_07_s2_4_order_is_kept_and_nothing_is_lost_within_bounds(
    capacity: int, steps: list[tuple[str, int, bool] | tuple[str]], ending: str, eager: bool, nested: bool, others: int
) -> None:
    """`others` is what waits in other channels: a channel that may hold less than usual is as much of a FIFO."""
    clock = FakeClock()
    channels = Channels(clock)
    channels.waiting_bytes = others
    channel = channels.create(capacity)
    ends = Ends(channel, eager, nested)
    for step in steps:
        match step:
            case ("put", int(size), bool(is_text)):
                ends.pending.append(Item(_BLANK[:size], is_text))
            case ("write",):
                ends.writing = ends.writing or channel.claim_writer(ends)
            case ("read",):
                ends.reading = ends.reading or channel.claim_reader(ends)
            case _:
                ends.take()
        ends.write()
        waiting = len(ends.put) - len(ends.got)
        assert ends.put[: len(ends.got)] == ends.got
        assert sum(len(item.data) for item in ends.put[len(ends.got) :]) <= 3 * READ_AHEAD_BYTES  # twice, and a message
        lasting = sum(len(item.data) + 64 for item in ends.put[len(ends.got) :])
        assert channels.waiting_bytes == others + lasting
        assert not ends.stopped or waiting  # else nobody would ever wake the writer
        assert not (ends.writing and ends.pending) or ends.stopped
    _end(ending, clock, channels, ends)
    assert channels.waiting_bytes == others


def _end(ending: str, clock: FakeClock, channels: Channels, ends: Ends) -> None:
    channel = ends.channel
    if ending in ("finish", "abort"):
        ends.writing = ends.writing or channel.claim_writer(ends)
        ends.reading = ends.reading or channel.claim_reader(ends)
        ends.eager = ends.nested = True
        for _ in range(len(ends.pending) + 1):  # whoever waits is woken
            ends.take()
            ends.write()
        ends.take()
        assert not ends.pending
        channel.finish(aborted=ending == "abort")
        assert ends.got == ends.put
        assert channel.at_end
        assert channel.aborted == (ending == "abort")
        assert "readable" in ends.told
        channel.leave()
    elif ending == "leave":
        ends.writing = ends.writing or channel.claim_writer(ends)
        channel.claim_reader(ends)
        channel.leave()
        assert ends.told[-1] == "reader_gone"
    elif ending == "remove":
        channels.remove(channel)
        assert ("reader_gone" in ends.told) == ends.writing
    elif ends.writing and ends.reading:
        clock.advance(10 * CHANNEL_TTL_S)
        assert len(channels) == 1
        channels.remove(channel)
    else:
        clock.advance(CHANNEL_TTL_S + SWEEP_S)
        assert ("expired" in ends.told) == (ends.writing or ends.reading)
    assert len(channels) == 0
    assert channel.take() is None
    clock.advance(2 * SWEEP_S)
    assert not clock.timers


@given(st.integers(min_value=0, max_value=2 * CHANNEL_BUFFER_MAX))
def test_07_s2_1_a_writer_inside_the_engine_has_1_to_1024_messages(capacity: int) -> None:
    channels = Channels(FakeClock())
    channel = channels.create(capacity)
    messages = 0
    while not channel.crowded:
        channel.put(b"")
        messages += 1
    assert messages == min(max(capacity, 1), CHANNEL_BUFFER_MAX)
