"""What all walks have in common."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def no_samples() -> Iterator[None]:
    """Walks run without an event loop, whose time samples of queues follow; unit tests have them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("iii.modules.queue.level_history.LevelHistory.begin", lambda self: None)
        yield
