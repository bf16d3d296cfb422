"""An engine that has forgotten all observers when a test ends."""

from collections.abc import Iterator

import pytest

from iii.engine.engine_functions import EngineFunctions
from iii.protocol.limits import OBSERVERS_KEPT_S
from iii.testing import FakeClock, MemoryEngine


@pytest.fixture
def engine(clock: FakeClock) -> Iterator[MemoryEngine]:
    engine = MemoryEngine(clock, modules=[EngineFunctions])
    yield engine
    engine.drop_all_workers()
    clock.advance(OBSERVERS_KEPT_S + 1)
    observers = engine.core.observers
    assert not len(observers.store)
    assert not observers.activations.waiting_bytes
    assert not observers.kept.size
    assert all(function.observers is None for function in engine.core.functions)
    assert not clock.timers
