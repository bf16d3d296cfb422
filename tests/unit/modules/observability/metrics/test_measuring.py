"""What modules measure, asked for at each scrape (16 §1)."""

import asyncio
from collections.abc import Sequence

import pytest

from iii.engine.module import Module
from iii.modules.observability.metrics import measuring as room
from iii.modules.observability.metrics.instruments import instruments
from iii.modules.observability.metrics.loop_lag import EVERY_S, LoopLag
from iii.modules.observability.metrics.measuring import Measuring
from iii.protocol.measurement import Distribution, Measurement
from iii.testing import FakeClock, MemoryEngine


class Measured(Module):
    name = "one"
    description = ""

    async def measurements(self) -> Sequence[Measurement]:
        return [Measurement("iii.x", "{x}", "gauge", "X.", [((("part", self.instance),), 3)])]


class Hanging(Measured):
    async def measurements(self) -> Sequence[Measurement]:
        return await asyncio.Future()


class Failing(Measured):
    async def measurements(self) -> Sequence[Measurement]:
        raise ValueError("no")


async def test_a_module_that_fails_or_hangs_costs_its_own_metrics_only(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(room, "ANSWER_S", 0.01)
    core = MemoryEngine(FakeClock(), modules=[]).core
    modules = [Hanging(core, "hangs"), Measured(core, "a"), Failing(core, "fails"), Measured(core, "b")]
    measured = await Measuring(modules).measured()
    assert len(measured) == 2
    (metric,) = [each for each in instruments(core, "iii", (), measured) if each.name == "iii.x"]
    assert [(point.attributes, getattr(point, "value", None)) for point in metric.data_points] == [
        ([("part", "a")], 3.0), ([("part", "b")], 3.0)
    ]  # fmt: skip
    assert len([record for record in caplog.records if "left out" in record.getMessage()]) == 2


def test_the_lag_of_the_loop_is_how_late_a_timer_is() -> None:
    clock = FakeClock()
    lag = LoopLag(clock)
    assert not clock.timers  # before the first scrape nothing runs
    lag.start()
    lag.start()
    clock.advance(EVERY_S)
    lag.stop()
    assert not clock.timers
    ((_, seen),) = lag.measured().points
    assert isinstance(seen, Distribution)
    assert sum(seen.buckets) == seen.buckets[0] == 1
