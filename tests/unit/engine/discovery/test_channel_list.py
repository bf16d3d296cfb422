"""`engine::channels::list` (24 §8)."""

from __future__ import annotations

from typing import Any

from iii.engine.channels import Channel
from iii.testing import FakeClock, MemoryEngine
from tests.unit.engine.access.sessions import access

CREATE, LIST = "engine::channels::create", "engine::channels::list"


class Anybody:
    """Either end, which cares for nothing."""

    def writable(self) -> None: ...

    def reader_gone(self) -> None: ...

    def readable(self) -> None: ...

    def expired(self) -> None: ...


async def test_24_8_who_made_a_channel_which_ends_are_taken_and_what_waits(engine: MemoryEngine) -> None:
    worker = engine.connect(name="sender")
    ends = worker.result_of(CREATE)
    channel = engine.core.channels.find(ends["writer"]["channel_id"], ends["writer"]["access_key"], "write")
    assert channel is not None
    channel.claim_writer(Anybody())
    channel.put(b"x" * 100)
    channel.put(b"y" * 50)
    channel.take()
    clock = engine.core.clock
    assert isinstance(clock, FakeClock)
    clock.advance(3)

    found = worker.result_of(LIST)

    assert found["total"] == 1
    [row] = found["channels"]
    assert {
        "id": ends["writer"]["channel_id"], "kind": "worker", "worker_name": "sender", "writer": "open", "reader": "not taken",
        "waiting_messages": 1, "waiting_bytes": 50, "total_bytes": 150, "created_at_ms": clock.time_ms() - 3000,
    }.items() <= row.items()  # fmt: skip
    assert ends["writer"]["access_key"] not in str(found)
    channel.finish()
    assert worker.result_of(LIST)["channels"][0]["writer"] == "ended"


async def test_24_8_bodies_of_http_are_told_apart_and_the_newest_are_first(engine: MemoryEngine) -> None:
    made: list[Channel] = []
    for ref in (engine.core.channels.promise("read", made.append), engine.core.channels.promise("write", made.append)):
        engine.core.channels.keep(ref.channel_id)
    worker = engine.connect()
    worker.result_of(CREATE)
    found = worker.result_of(LIST, {"limit": 2})
    assert ([row["kind"] for row in found["channels"]], found["total"]) == (["worker", "response"], 3)


async def test_24_8_a_session_that_does_not_see_everything_sees_its_own(engine: MemoryEngine) -> None:
    engine.connect(name="other").result_of(CREATE)
    guest = engine.connect(name="guest", access=access('match("engine::*")'))
    guest.result_of(CREATE)
    found: dict[str, Any] = guest.result_of(LIST)
    assert ([row["worker_name"] for row in found["channels"]], found["total"]) == (["guest"], 1)
