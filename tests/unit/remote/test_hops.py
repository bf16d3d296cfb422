"""Bridges that lead back to each other (07 §6.2)."""

from __future__ import annotations

import pytest

from iii.engine.invocation import Trace
from iii.protocol.errors import InvocationError
from iii.remote.hops import MOST_HOPS, across


def test_07_6_2_a_call_crosses_so_many_bridges_and_no_more() -> None:
    trace = Trace("00-1-2-01", "user=1")
    for _ in range(MOST_HOPS):
        trace = across(trace, "f")

    assert trace == Trace("00-1-2-01", f"user=1,iii.bridge.hops={MOST_HOPS}")
    with pytest.raises(InvocationError, match="has crossed 16 bridges"):
        across(trace, "f")


@pytest.mark.parametrize("told", ["", "x", "-1", "9" * 5000, "²", "1;p=1"])
def test_07_6_2_what_is_no_count_counts_as_none(told: str) -> None:
    crossed = across(Trace(None, f"iii.bridge.hops={told}"), "f")

    assert crossed.baggage in ("iii.bridge.hops=1", "iii.bridge.hops=2")
