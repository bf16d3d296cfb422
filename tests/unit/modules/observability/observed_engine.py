"""An engine whose telemetry a test hands in."""

from typing import Any

from iii.engine.engine_functions import EngineFunctions
from iii.engine.module import Module
from iii.modules.observability.config import ObservabilityConfig
from iii.modules.observability.module import Observability
from iii.testing import FakeClock, MemoryEngine


class ObservedEngine:
    """Its clock stands at `clock.time_ms()` until a test moves it.

    Attributes:
        functions: what the ids of those that a test asks begin with.
        others: modules beside it.
    """

    functions = "engine::"
    others: tuple[type[Module], ...] = ()

    def __init__(self, **config: Any) -> None:
        self.clock = FakeClock()
        self.engine = MemoryEngine(self.clock, modules=[EngineFunctions, *self.others])
        self.module = Observability(self.engine.core, ObservabilityConfig(**config))
        self.engine.core.add_module(self.module)
        self.worker = self.engine.connect(name="console")

    def ask(self, function: str, **request: Any) -> Any:
        """The result of one of `functions`."""
        answer = self.call(function, request)
        assert "error" not in answer, answer
        return answer["result"]

    def call(self, function: str, request: Any) -> dict[str, Any]:
        """The whole answer; one that is made in turns too."""
        invocation_id = self.worker.start_call(f"{self.functions}{function}", request)
        for _ in range(1_000):
            answer = self.worker.answer_to(invocation_id)
            if answer is not None:
                return answer
            self.clock.advance(0)
        raise AssertionError(f"{function} did not answer")
