"""How many channels a connection may have (07 §2.6)."""

from __future__ import annotations

from iii.engine.engine_functions import EngineFunctions
from iii.protocol.limits import CHANNEL_TTL_S
from iii.testing import FakeClock, MemoryEngine, MemoryWorker
from tests.unit.engine.access.sessions import access, error_of

CREATE = "engine::channels::create"
LIMIT = 3


def create(worker: MemoryWorker, many: int = LIMIT) -> None:
    worker.session.calling.channels_limit = LIMIT
    for _ in range(many):
        assert worker.result_of(CREATE, {})["writer"]["direction"] == "write"


def test_07_2_6_a_connection_has_so_many_at_once(engine: MemoryEngine) -> None:
    worker, other = engine.connect(), engine.connect()
    create(worker)

    code, message = error_of(worker, CREATE, {})
    assert code == "too_many_channels"
    assert "3 channels of this connection are open" in message
    assert "`max_channels`" in message
    create(other)

    channel = next(iter(engine.core.channels))
    engine.core.channels.remove(channel)
    create(worker, 1)
    assert error_of(worker, CREATE, {})[0] == "too_many_channels"


def test_07_2_6_channels_that_expire_make_room(clock: FakeClock) -> None:
    engine = MemoryEngine(clock, modules=[EngineFunctions])
    worker = engine.connect()
    create(worker)

    clock.advance(2 * CHANNEL_TTL_S)

    assert engine.core.channels.held_by(worker.id) == 0
    create(worker)
    engine.drop_all_workers()
    clock.advance(2 * CHANNEL_TTL_S)


def test_07_2_6_a_session_that_comes_again_has_no_more(engine: MemoryEngine) -> None:
    """Channels outlive their creator: to leave and to come back is no way round the limit, nor is a second connection."""
    first, stranger = engine.connect(access=access()), engine.connect(access=access(identity="stranger"))
    create(first, 2)
    second = engine.connect(access=access())
    create(second, 1)
    first.drop()

    again = engine.connect(access=access())
    again.session.calling.channels_limit = LIMIT
    code, message = error_of(again, CREATE, {})

    assert (code, "of this identity" in message) == ("too_many_channels", True)
    create(stranger)
