"""An engine with discovery and a module that stands for those with trigger types of their own."""

from collections.abc import Iterator

import pytest

from iii.engine.channels import SWEEP_S
from iii.engine.engine_functions import EngineFunctions
from iii.protocol.limits import CHANNEL_TTL_S
from iii.testing import FakeClock, MemoryEngine
from tests.unit.engine.discovery.sample_module import SampleModule


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def engine(clock: FakeClock) -> Iterator[MemoryEngine]:
    engine = MemoryEngine(clock, modules=[EngineFunctions, SampleModule])
    yield engine
    engine.drop_all_workers()
    assert not engine.core.roster.workers()
    if engine.core.channels:
        clock.advance(CHANNEL_TTL_S + 2 * SWEEP_S)
    assert not engine.core.channels
    assert not clock.timers
