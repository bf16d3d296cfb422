"""What workers and the engine are tested with: the real core without sockets, on a clock that a test moves."""

from iii.testing.clock import FakeClock, FakeTimer
from iii.testing.engine import MemoryEngine
from iii.testing.link import MemoryLink
from iii.testing.worker import MemoryWorker

__all__ = ["FakeClock", "FakeTimer", "MemoryEngine", "MemoryLink", "MemoryWorker"]
