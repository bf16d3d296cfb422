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

    @property
    def unwell(self) -> bool:
        return self.broken


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
