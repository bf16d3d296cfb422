"""Who gives way when the memory for JSON bodies is used up (http M4)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iii.modules.http.body_memory import BodyEvicted, BodyMemory
from iii.modules.http.client import BodyTooLarge, Client, ClientGone


class Sender:
    """The client's side of a request."""

    def __init__(self) -> None:
        self._messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def receive(self) -> dict[str, Any]:
        return await self._messages.get()

    async def send(self, message: Any) -> None:
        raise AssertionError("nothing is answered here")

    def say(self, chunk: bytes, more: bool = True) -> None:
        self._messages.put_nowait({"type": "http.request", "body": chunk, "more_body": more})

    def leave(self) -> None:
        self._messages.put_nowait({"type": "http.disconnect"})

    def read_by(self, memory: BodyMemory, limit_bytes: int = 1000) -> asyncio.Task[bytes]:
        return asyncio.ensure_future(memory.read(Client(self.receive, self.send, None), limit_bytes))


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_body_counts_until_it_is_released() -> None:
    memory, sender = BodyMemory(100, 5.0), Sender()
    sender.say(b"ab")
    sender.say(b"c", more=False)
    assert await sender.read_by(memory) == b"abc"
    assert memory.free_bytes == 97
    memory.release(3)
    assert memory.free_bytes == 100


async def test_the_one_that_stands_still_for_longest_gives_way() -> None:
    memory = BodyMemory(100, 5.0)
    stale, slow, quick = Sender(), Sender(), Sender()
    slow_one = slow.read_by(memory)
    slow.say(b"x" * 40)
    await turns()
    stale_one = stale.read_by(memory)
    stale.say(b"x" * 40)
    await turns()
    slow.say(b"x")  # it moved after the other one
    await turns()
    quick.say(b"y" * 50, more=False)
    assert len(await quick.read_by(memory)) == 50
    with pytest.raises(BodyEvicted):
        await stale_one
    slow.say(b"", more=False)
    assert len(await slow_one) == 41
    assert memory.free_bytes == 9


async def test_whole_bodies_are_kept_and_a_newcomer_is_refused() -> None:
    memory = BodyMemory(100, 5.0)
    first, second = Sender(), Sender()
    first.say(b"x" * 80, more=False)
    await first.read_by(memory)
    second.say(b"x" * 30, more=False)
    with pytest.raises(BodyEvicted):
        await second.read_by(memory)
    assert memory.free_bytes == 20


@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from(["say", "end", "leave", "large"])), max_size=40))
def test_whatever_happens_no_byte_is_lost_or_counted_twice(steps: list[tuple[int, str]]) -> None:
    async def walk() -> None:
        memory = BodyMemory(100, 5.0)
        senders = [Sender() for _ in range(5)]
        reading = [sender.read_by(memory, 60) for sender in senders]
        for number, step in steps:
            sender = senders[number]
            match step:
                case "leave":
                    sender.leave()
                case "end":
                    sender.say(b"x", more=False)
                case _:
                    sender.say(b"x" * (30 if step == "say" else 99))
            await turns()
            assert 0 <= memory.free_bytes <= 100
        for sender in senders:
            sender.leave()
        for outcome in await asyncio.gather(*reading, return_exceptions=True):
            if isinstance(outcome, bytes):
                memory.release(len(outcome))
            else:
                assert isinstance(outcome, BodyEvicted | BodyTooLarge | ClientGone), outcome
        assert memory.free_bytes == 100

    asyncio.run(walk())


async def test_a_gap_ends_it() -> None:
    """In the order in which they stood still; one that moves goes on."""
    memory, silent, stale, moving = BodyMemory(100, 0.1), Sender(), Sender(), Sender()
    ended: list[str] = []

    async def note(name: str, sender: Sender) -> None:
        try:
            await sender.read_by(memory)
        except (TimeoutError, ClientGone) as error:
            ended.append(f"{name} {error!r}")

    notes = [asyncio.create_task(note(*each)) for each in (("silent", silent), ("stale", stale), ("moving", moving))]
    await turns()
    stale.say(b"x")
    while len(ended) < 2:
        moving.say(b"")
        moving.say(b"y")
        await asyncio.sleep(0.01)
    assert ended == ["silent TimeoutError()", "stale TimeoutError()"]
    moving.leave()
    await asyncio.gather(*notes)
    assert ended[2:] == ["moving ClientGone()"]
    assert memory.free_bytes == 100


async def test_a_stop_is_no_timeout() -> None:
    memory, sender, quick = BodyMemory(100, 5.0), Sender(), Sender()
    reading = sender.read_by(memory)
    sender.say(b"x" * 60)
    await turns()
    quick.say(b"x" * 60, more=False)
    await memory.read(Client(quick.receive, quick.send, None), 100)  # at once: `reading` has given way
    reading.cancel()  # in the same turn
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert memory.free_bytes == 40
