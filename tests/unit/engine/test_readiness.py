"""Whether the engine is ready (06 §13)."""

from typing import ClassVar

import pytest

from iii.engine.module import Module
from iii.testing import FakeClock, MemoryEngine


class Store(Module):
    """One whose store can break."""

    name = "store"
    description = "A store."
    broken: ClassVar[bool] = False
    missing: ClassVar[str | None] = None

    @property
    def unwell(self) -> bool:
        return self.broken

    @property
    def disconnected(self) -> str | None:
        return self.missing


def test_it_is_ready_from_the_start_of_all_modules_to_the_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    core = MemoryEngine(FakeClock(), modules=[Store]).core
    readiness = core.readiness
    assert readiness.why_not() == "starting"
    readiness.begin()
    assert readiness.why_not() is None
    monkeypatch.setattr(Store, "broken", True)
    assert readiness.why_not() == "not well: store"
    readiness.stopping = True
    assert readiness.why_not() == "stopping"


def test_a_module_that_misses_another_engine_is_named_and_the_engine_stays_ready(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    readiness = MemoryEngine(FakeClock(), modules=[Store]).core.readiness
    readiness.begin()
    assert (readiness.says("ok"), readiness.degraded()) == ("ok", {})
    monkeypatch.setattr(Store, "missing", "not connected to ws://far:1: connection refused")
    assert readiness.why_not() is None
    assert readiness.says("ok") == "ok; degraded: store"
    assert readiness.degraded() == {"store": "not connected to ws://far:1: connection refused"}
    monkeypatch.setattr(Store, "broken", True)
    assert readiness.degraded() == {"store": "the store refuses writes until the engine is restarted"}
