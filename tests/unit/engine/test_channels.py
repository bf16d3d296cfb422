"""Channels: FIFOs with two ends that are taken once (07 §2)."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator

import pytest

from iii.engine.channel_refs import Direction
from iii.engine.channels import (
    ALL_WAITING_BYTES,
    READ_AHEAD_BYTES,
    SHARE_BYTES,
    SWEEP_S,
    Channel,
    Channels,
    Item,
)
from iii.protocol.limits import CHANNEL_BUFFER_MAX, CHANNEL_TTL_S
from iii.testing import FakeClock


class End:
    """Either end; remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def writable(self) -> None:
        self.told.append("writable")

    def reader_gone(self) -> None:
        self.told.append("reader_gone")

    def readable(self) -> None:
        self.told.append("readable")

    def expired(self) -> None:
        self.told.append("expired")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def channels(clock: FakeClock) -> Iterator[Channels]:
    channels = Channels(clock)
    yield channels
    clock.advance(CHANNEL_TTL_S + 2 * SWEEP_S)
    assert len(channels) == sum(1 for _ in clock.timers)  # without channels nothing waits


@pytest.fixture
def channel(channels: Channels) -> Channel:
    return channels.create(2)


@pytest.fixture
def writer(channel: Channel) -> End:
    end = End()
    assert channel.claim_writer(end)
    return end


@pytest.fixture
def reader(channel: Channel) -> End:
    end = End()
    assert channel.claim_reader(end)
    return end


def taken(channel: Channel) -> list[Item]:
    items = []
    while (item := channel.take()) is not None:
        items.append(item)
    return items


def key_of(channel: Channel) -> str:
    return channel.ref("read").access_key


def test_07_check_1_ids_and_keys_are_independent_random_uuids(channels: Channels) -> None:
    several = [channels.create() for _ in range(200)]
    texts = [text for channel in several for text in (channel.id, key_of(channel))]
    assert len(set(texts)) == 400
    for text in texts:
        parsed = uuid.UUID(text)
        assert (str(parsed), parsed.version, parsed.variant) == (text, 4, uuid.RFC_4122)
    for channel in several:
        channels.remove(channel)


def test_07_check_1_no_id_or_key_comes_twice(channels: Channels) -> None:
    """They are made many at once; of random digits each place takes every value."""
    refs = [channels.promise("read", lambda channel: None) for _ in range(500)]
    texts = [text for ref in refs for text in (ref.channel_id, ref.access_key)]
    assert len(set(texts)) == len(texts)
    for text in texts:
        assert (str(uuid.UUID(text)), uuid.UUID(text).version, uuid.UUID(text).variant) == (text, 4, uuid.RFC_4122)
    for at in range(36):
        values = {"-": 1, "4": 1, "y": 4}.get("xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx"[at], 16)
        assert len({text[at] for text in texts}) == values
    for ref in refs:
        channels.forget(ref.channel_id)


def test_07_check_3_only_id_and_key_together_open_it(channels: Channels, channel: Channel) -> None:
    assert channels.find(channel.id, key_of(channel), "read") is channel
    assert channels.find(channel.id, str(uuid.uuid4()), "read") is None
    assert channels.find(str(uuid.uuid4()), key_of(channel), "read") is None
    assert channels.find("x", "x", "write") is None
    assert channels.find(channel.id, "ä", "read") is None


def test_07_check_4_order_and_kinds_are_kept_for_a_reader_that_comes_later(channel: Channel, writer: End) -> None:
    channel.put(b"a", is_text=True)
    channel.put(b"\x00\x01\x02")
    channel.put(b"", is_text=True)
    channel.finish()
    reader = End()
    assert channel.claim_reader(reader)
    assert taken(channel) == [Item(b"a", True), Item(b"\x00\x01\x02"), Item(b"", True)]
    assert channel.at_end
    assert not channel.aborted


def test_07_check_7_each_end_is_taken_once_even_when_it_has_left(channel: Channel, writer: End, reader: End) -> None:
    assert not channel.claim_writer(End())
    assert not channel.claim_reader(End())
    channel.finish()
    assert not channel.claim_writer(End())


def test_a_reader_is_told_of_the_first_message_and_of_the_end(channel: Channel, writer: End, reader: End) -> None:
    channel.put(b"1")
    channel.put(b"2")
    assert reader.told == ["readable"]
    taken(channel)
    channel.put(b"3")
    assert reader.told == ["readable"] * 2
    channel.finish()
    assert reader.told == ["readable"] * 2  # it has not taken everything yet, and will see the end then
    taken(channel)
    assert channel.at_end


def test_the_end_of_an_empty_channel_is_told(channel: Channel, writer: End, reader: End) -> None:
    channel.finish(aborted=True)
    channel.finish()
    assert reader.told == ["readable"]
    assert channel.at_end
    assert channel.aborted


def test_07_check_6_it_is_full_when_capacity_and_read_ahead_are_used_up(channel: Channel, writer: End) -> None:
    channel.put(bytes(READ_AHEAD_BYTES))
    channel.put(b"2")
    full = [channel.full]  # within the capacity
    channel.put(b"3")
    full.append(channel.full)
    channel.take()
    full.append(channel.full)
    assert full == [False, True, False]
    assert writer.told == []


def test_07_s2_5_bytes_are_bounded_whatever_the_capacity(channels: Channels) -> None:
    channel, writer = channels.create(5000), End()
    channel.claim_writer(writer)
    for _ in range(CHANNEL_BUFFER_MAX // 2):
        channel.put(bytes(4 * READ_AHEAD_BYTES // CHANNEL_BUFFER_MAX))
    full = [channel.full]
    while writer.told == []:
        assert channel.take() is not None
    assert [*full, channel.full] == [True, False]
    channels.remove(channel)


def test_tiny_messages_count_too(channels: Channels) -> None:
    channel = channels.create(1)
    messages = 0
    while not channel.full:
        channel.put(b"")
        messages += 1
    assert messages * 64 >= READ_AHEAD_BYTES
    channels.remove(channel)


def test_a_writer_inside_the_engine_stops_at_the_capacity(channel: Channel, writer: End) -> None:
    channel.put(b"1")
    crowded = [channel.crowded]
    channel.put(b"2")
    assert [*crowded, channel.crowded] == [False, True]
    channel.take()
    assert writer.told == ["writable"]
    channel.take()
    assert writer.told == ["writable"]


def test_07_check_12_a_writer_learns_that_the_reader_left(
    channels: Channels, channel: Channel, writer: End, reader: End
) -> None:
    channel.put(b"1")
    channel.leave()
    channel.leave()
    assert writer.told == ["reader_gone"]
    channel.put(b"2")
    assert channel.take() is None
    assert len(channels) == 1  # until the writer has ended
    channel.finish()
    assert len(channels) == 0


def test_07_check_11_it_is_forgotten_when_both_ends_have_ended(
    channels: Channels, channel: Channel, writer: End, reader: End
) -> None:
    channel.put(b"1")
    channel.finish()
    taken(channel)
    channel.leave()
    assert len(channels) == 0
    assert channels.find(channel.id, key_of(channel), "read") is None


def test_a_reader_that_left_before_a_writer_came_ends_it(channels: Channels, channel: Channel, reader: End) -> None:
    channel.leave()
    assert len(channels) == 0


def test_07_check_9_a_channel_with_an_untaken_end_expires(
    channels: Channels, channel: Channel, writer: End, clock: FakeClock
) -> None:
    channel.put(b"1")
    clock.advance(CHANNEL_TTL_S)
    assert len(channels) == 1
    clock.advance(SWEEP_S)
    assert writer.told == ["expired"]
    assert channels.find(channel.id, key_of(channel), "read") is None


def test_07_check_9_a_waiting_reader_is_told_too(channel: Channel, reader: End, clock: FakeClock) -> None:
    clock.advance(CHANNEL_TTL_S + SWEEP_S)
    assert reader.told == ["expired"]


def test_07_check_9_with_both_ends_taken_it_lives_on(
    channels: Channels, channel: Channel, writer: End, reader: End, clock: FakeClock
) -> None:
    clock.advance(10 * CHANNEL_TTL_S)
    channel.put(b"late")
    assert taken(channel) == [Item(b"late")]
    channels.remove(channel)


def test_removing_tells_both_ends(channels: Channels, channel: Channel, writer: End, reader: End) -> None:
    channels.remove(channel)
    channels.remove(channel)
    assert writer.told == ["reader_gone"]
    assert reader.told == ["readable"]
    assert channel.at_end
    assert channel.aborted
    channel.put(b"1")
    channel.finish()
    channel.leave()
    assert channel.take() is None


def test_what_was_finished_is_not_aborted_by_its_removal(channels: Channels, channel: Channel, reader: End) -> None:
    channel.finish()
    channels.remove(channel)
    assert channel.at_end
    assert not channel.aborted


def test_callbacks_may_call_back(channels: Channels) -> None:
    channel = channels.create(1)
    got: list[bytes] = []

    class Greedy(End):
        def readable(self) -> None:
            got.extend(item.data for item in taken(channel))
            if channel.at_end:
                channel.leave()

    class Talkative(End):
        def writable(self) -> None:
            channel.put(b"again")
            channel.finish()

    channel.claim_writer(Talkative())
    channel.put(b"1")
    assert channel.crowded
    channel.claim_reader(Greedy())
    first = channel.take()
    assert (first, got) == (Item(b"1"), [])  # not before the one that is being taken
    assert channel.take() == Item(b"again")
    assert channel.at_end
    channel.leave()
    assert len(channels) == 0


def test_a_promised_channel_is_made_for_whoever_knows_its_key(channels: Channels) -> None:
    made: list[Channel] = []
    ref = channels.promise("read", made.append)
    assert uuid.UUID(ref.channel_id).version == 4
    assert len(channels) == 1
    assert channels.find(ref.channel_id, str(uuid.uuid4()), "read") is None
    assert made == []
    channel = channels.find(ref.channel_id, ref.access_key, "read")
    assert [channel] == made
    assert channels.find(ref.channel_id, ref.access_key, "read") is channel
    assert len(channels) == 1
    channels.forget(ref.channel_id)
    assert channels.find(ref.channel_id, ref.access_key, "read") is None
    assert len(channels) == 0


@pytest.mark.parametrize(("given", "other"), [("read", "write"), ("write", "read")])
def test_http_M2_a_promised_end_opens_neither_the_other_end_nor_another_channel(
    channels: Channels, given: Direction, other: Direction
) -> None:
    """07 §2.1: whoever is handed the upload of a request gets no hold on its response."""
    refs = [channels.promise(given, lambda channel: None) for _ in range(100)]
    assert len({text for ref in refs for text in (ref.channel_id, ref.access_key)}) == 200
    low = [int(ref.channel_id.replace("-", ""), 16) for ref in refs]
    assert not any(abs(a - b) < 2**32 for a, b in itertools.pairwise(low))  # no counter
    for ref, follower in itertools.pairwise(refs):
        assert channels.find(ref.channel_id, ref.access_key, other) is None
        assert channels.find(follower.channel_id, ref.access_key, given) is None
        assert channels.find(ref.channel_id, ref.access_key, given) is not None
        assert channels.find(ref.channel_id, ref.access_key, other) is None  # once it is made
    for ref in refs:
        channels.forget(ref.channel_id)


def test_a_promise_is_forgotten_without_a_channel(channels: Channels) -> None:
    made: list[Channel] = []
    ref, other = channels.promise("read", made.append), channels.promise("read", made.append)
    assert ref.channel_id != other.channel_id
    channels.forget(ref.channel_id)
    channels.forget(ref.channel_id)
    assert channels.find(ref.channel_id, ref.access_key, "read") is None
    channels.keep(other.channel_id)
    channels.keep(other.channel_id)
    assert len(made) == 1
    channels.forget(other.channel_id)
    assert len(channels) == 0


def test_http_minor_many_readers_that_pause_cost_a_share_each(channels: Channels) -> None:
    """Together they hold `ALL_WAITING_BYTES` and a share each, not 16 MiB each."""
    piece = bytes(READ_AHEAD_BYTES // 8)
    all_of_them = [channels.create(2) for _ in range(100)]
    for channel in all_of_them:
        channel.claim_writer(End())
        channel.claim_reader(End())
        while not channel.full:
            channel.put(piece)
    assert channels.waiting_bytes < ALL_WAITING_BYTES + len(all_of_them) * 4 * len(piece)
    for channel in all_of_them:
        channels.remove(channel)
    assert channels.waiting_bytes == 0


def test_07_2_5_shares_of_very_many_channels_are_smaller(channels: Channels) -> None:
    """So that all shares together are bounded, too."""
    all_of_them = [channels.create() for _ in range(4 * ALL_WAITING_BYTES // SHARE_BYTES)]

    assert channels.share_bytes == SHARE_BYTES // 4
    for channel in all_of_them:
        channels.remove(channel)
    assert channels.share_bytes == SHARE_BYTES
