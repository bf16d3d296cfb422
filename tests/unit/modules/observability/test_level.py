"""The level of the log changes at run time (06 §11)."""

import logging
from collections.abc import Iterator

import pytest

from iii.engine.engine_functions import EngineFunctions
from iii.modules.observability.config import ObservabilityConfig
from iii.modules.observability.module import Observability
from iii.testing import FakeClock, MemoryEngine


@pytest.fixture
def observability() -> Iterator[Observability]:
    """Afterwards the levels are as they were."""
    source, root = logging.getLogger("iii.engine"), logging.getLogger()
    levels = source.level, root.level
    yield Observability(MemoryEngine(FakeClock(), modules=[EngineFunctions]).core, ObservabilityConfig(level="info"))
    source.setLevel(levels[0])
    root.setLevel(levels[1])


def test_06_s11_a_new_level_applies_at_once_and_takes_back_those_by_source(observability: Observability) -> None:
    source = logging.getLogger("iii.engine")
    observability.apply(ObservabilityConfig(level="warn,iii::engine=debug"))
    assert (logging.root.level, source.getEffectiveLevel()) == (logging.WARNING, logging.DEBUG)
    observability.apply(ObservabilityConfig(level="error", log_level="trace"))
    assert (logging.root.level, source.level) == (5, logging.NOTSET)


@pytest.mark.parametrize("level", ["not a [level", "info,iii.engine=loud", "=info"])
def test_06_check_59_a_level_that_makes_no_sense_keeps_the_one_before(
    observability: Observability, level: str, caplog: pytest.LogCaptureFixture
) -> None:
    observability.apply(ObservabilityConfig(level="warn,iii.engine=debug"))
    observability.apply(ObservabilityConfig(level=level))
    assert (logging.root.level, logging.getLogger("iii.engine").level) == (logging.WARNING, logging.DEBUG)
    (warning,) = [line for line in caplog.records if getattr(line, "event", "") == "observability.level_not_applied"]
    assert warning.fields["level"] == level  # type: ignore[attr-defined]
    observability.apply(ObservabilityConfig(level="error"))
    assert (logging.root.level, logging.getLogger("iii.engine").level) == (logging.ERROR, logging.NOTSET)
