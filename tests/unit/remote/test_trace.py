"""The trace context of a call of another engine (06 §3, 07 §6)."""

from contextvars import copy_context

import pytest

from iii.engine.invocation import Trace
from iii.remote import engine
from iii.sdk.invocation import carry_trace

VALID = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize(
    ("traceparent", "handed_on"),
    [(VALID, VALID), (None, None), ('x","function_id":"not::exposed","data":{"z":"', None), (VALID[:-1] + '"', None)],
)
def test_06_3_another_engine_writes_nothing_but_a_traceparent_into_the_frames_of_workers(
    traceparent: str | None, handed_on: str | None
) -> None:
    """It is not escaped there: an exposed function's worker was told to call any other of its functions."""

    def trace() -> Trace:
        carry_trace(traceparent, "a=b")
        found: Trace = vars(engine)["_trace"]()
        return found

    assert copy_context().run(trace) == Trace(handed_on, "a=b")
