"""What the engine remembers of workers that were drained is bounded, and forgotten in time (09 §3.3)."""

from __future__ import annotations

import pytest

from iii.engine import drained
from iii.protocol.limits import DRAINED_S
from iii.testing import FakeClock, MemoryEngine


def test_09_3_3_the_oldest_tokens_leave(
    engine: MemoryEngine, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drained, "DRAINED_WORKERS", 2)
    known = drained.DrainedProcesses(clock)
    workers = [
        engine.connect(name=f"w{number}", pid=100 + number, version="0.10.0", runtime="python") for number in range(4)
    ]
    for worker in workers:
        known.add(worker.session)
    told = [known.was(worker.id, worker.session.reattach_token) for worker in workers]
    assert told == [False, False, True, True]
    assert not known.was(workers[3].id, "other")
    assert len(known) <= 4


def test_09_3_3_a_process_is_forgotten_after_its_time(engine: MemoryEngine, clock: FakeClock) -> None:
    known = drained.DrainedProcesses(clock)
    first = engine.connect(name="a", pid=7, version="0.10.0", runtime="python")
    known.add(first.session)
    assert known.ran(first.session)
    known.left(first.session)
    clock.advance(DRAINED_S + 1)
    assert not known.ran(first.session)
    second = engine.connect(name="b", pid=8, version="0.10.0", runtime="python")
    known.add(second.session)  # forgets the other one
    known.left(engine.connect(name="c", pid=9, version="0.10.0", runtime="python").session)  # that was not drained
    assert known.ran(second.session)
    assert not known.ran(engine.connect(announce=False).session)
