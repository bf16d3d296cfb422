"""An engine whose own spans a test looks at."""

from typing import Any

from iii.engine.builtin import builtin
from iii.engine.engine import Engine
from iii.engine.invocation import Invocation
from iii.engine.module import Module
from iii.modules.observability.nothing import Nothing
from iii.protocol.errors import InvalidRequest
from tests.unit.modules.observability.observed_engine import ObservedEngine

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT_ID = "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE_ID}-{PARENT_ID}-01"
UNSAMPLED = f"00-{TRACE_ID}-{PARENT_ID}-00"


class Shelf(Module):
    """Builtins outside the module of observability."""

    name = "shelf"
    description = "One."

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.traceparents: list[str | None] = []

    @builtin("state::peek", spec="17 §2")
    def peek(self, request: Nothing, invocation: Invocation) -> None:
        """Look."""
        self.traceparents.append(invocation.traceparent)

    @builtin("state::drop", spec="17 §2")
    def drop(self, request: Nothing) -> None:
        """Fail."""
        raise InvalidRequest("nothing to drop")


class TracedEngine(ObservedEngine):
    functions = "engine::"
    others = (Shelf,)

    def spans(self, **request: Any) -> list[dict[str, Any]]:
        """All that are kept, by their start."""
        spans: list[dict[str, Any]] = self.ask("traces::list", search_all_spans=True, include_internal=True, **request)[
            "spans"
        ]
        return spans

    def span(self) -> dict[str, Any]:
        """The only one."""
        (span,) = self.spans()
        return span


def attributes(span: dict[str, Any]) -> dict[str, str]:
    return dict(map(tuple, span["attributes"]))
