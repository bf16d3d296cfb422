"""An engine that must have forgotten everything when a test ends."""

from collections.abc import Iterator

import pytest

from iii.engine.channels import SWEEP_S
from iii.engine.engine_functions import EngineFunctions
from iii.protocol.limits import CHANNEL_TTL_S, LONGEST_TIMEOUT_MS
from iii.testing import FakeClock, MemoryEngine


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def engine(clock: FakeClock) -> Iterator[MemoryEngine]:
    engine = MemoryEngine(clock, modules=[EngineFunctions])
    yield engine
    engine.drop_all_workers()
    core = engine.core
    assert not core.roster.connections
    assert not core.roster.names
    assert all(function.owner.in_process for function in core.functions)
    assert all(trigger_type.owner.in_process for trigger_type in core.trigger_types)
    assert all(binding.owner is None for binding in (*core.bindings, *core.bindings.parked.values()))
    if core.channels:
        clock.advance(CHANNEL_TTL_S + 2 * SWEEP_S)
    assert not core.channels
    if core.router.deadlines:  # their one timer stays until it fires
        clock.advance(LONGEST_TIMEOUT_MS / 1000)
    assert not core.router.deadlines
    assert not clock.timers
