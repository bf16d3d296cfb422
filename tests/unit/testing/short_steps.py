"""Test engines whose steps are to end soon, for tests of what happens when they do not."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from time import monotonic

from iii.testing import TestEngine, Unfinished
from iii.testing.workbench import Connectable

SHORT_S = 1.5  # meant to pass
_START_S = 60.0


@contextmanager
def short_steps(app: Connectable) -> Iterator[TestEngine]:
    """Started once more if a busy machine had no time for its start, which is a step as well and not what is tested."""
    give_up_at = monotonic() + _START_S
    while True:
        engine = TestEngine(app, deadline_s=SHORT_S)
        try:
            engine.start()
            break
        except Unfinished:
            if monotonic() > give_up_at:
                raise
    with ExitStack() as stack:
        stack.push(engine)
        yield engine
