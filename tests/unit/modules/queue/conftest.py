"""A queue in memory, in a core without sockets, with time in the test's hand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.unit.modules.queue.house import House, waiting


@pytest.fixture(autouse=True)
def nothing_waits() -> Iterator[None]:
    """What the module spawns ends at once, as its store answers at once."""
    waiting.clear()
    yield
    assert waiting == []


@pytest_asyncio.fixture
async def house() -> AsyncIterator[House]:
    found = House()
    await found.start()
    yield found


@pytest.fixture(autouse=True)
def no_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """The counting of jobs takes turns of the loop, which nothing here waits for; `test_level_history.py` takes its own."""
    monkeypatch.setattr("iii.modules.queue.level_history.SAMPLE_S", float("inf"))
