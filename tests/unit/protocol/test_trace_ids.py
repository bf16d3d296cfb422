"""Ids of traces and spans (06 §3)."""

import os
import threading
from collections.abc import Callable

import pytest

from iii.protocol.ids import TraceIds
from iii.protocol.tracecontext import is_traceparent

COUNT = 5000  # several blocks


def test_06_3_traces_are_valid_sampled_and_no_two_alike() -> None:
    ids = TraceIds()
    made = [ids.traceparent() for _ in range(COUNT)]
    assert all(is_traceparent(each) and each.endswith("-01") for each in made)
    assert len({each[3:35] for each in made}) == COUNT
    assert len({each[36:52] for each in made}) == COUNT


def test_06_3_spans_of_a_trace_are_valid_and_no_two_alike() -> None:
    ids = TraceIds()
    head = ids.traceparent()[:36]
    made = [head + ids.span_end() for _ in range(COUNT)]
    assert all(is_traceparent(each) and each.endswith("-01") for each in made)
    assert len(set(made)) == COUNT


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5, 0.9])
@pytest.mark.parametrize("digits", [16, 14], ids=["of eight bytes", "of seven bytes"])
def test_17_4_a_sampler_takes_its_share_of_any_few_traces(share: float, digits: int) -> None:
    ids = TraceIds()
    made = [ids.traceparent() for _ in range(1024)]
    taken = [int(each[35 - digits : 35], 16) < share * 16**digits for each in made]
    for start in range(0, 1024, 64):
        assert abs(sum(taken[start : start + 64]) - 64 * share) <= 6


def test_19_4_the_beginning_of_an_id_tells_the_traces_of_a_worker_apart() -> None:
    """People type it: `iii trace 69ef`."""
    ids = TraceIds()
    first = {ids.traceparent()[3:5] for _ in range(256)}
    assert len(first) == 256


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_makes_ids_of_its_own() -> None:
    ids = TraceIds()
    prepared = ids.traceparent(), ids.span_end()
    ids.begin()  # as is done in a child
    assert ids.traceparent()[:19] != prepared[0][:19]
    assert ids.span_end()[:13] != prepared[1][:13]


Make = Callable[[TraceIds], str]
MAKERS: list[Make] = [TraceIds.span_end, TraceIds.traceparent]


@pytest.mark.parametrize("make", MAKERS)
def test_ids_go_on_after_an_error_in_their_midst(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as that of a recursion that is too deep, or Ctrl-C in a console."""
    ids = TraceIds()

    def interrupted(size: int) -> bytes:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "urandom", interrupted)
        with pytest.raises(KeyboardInterrupt):
            make(ids)
    assert len({make(ids) for _ in range(COUNT)}) == COUNT


@pytest.mark.parametrize("make", MAKERS)
def test_what_several_threads_prepare_at_once_is_not_lost(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them find nothing ready, since a draw from the system lets others in; what is lost would be memory, for ever."""
    ids, draw, made = TraceIds(), os.urandom, list[str]()
    together = threading.Barrier(4, timeout=60)
    drawn: list[int] = []

    def draw_together(size: int) -> bytes:
        drawn.append(size)
        together.wait()
        return draw(size)

    with monkeypatch.context() as patch:
        patch.setattr(os, "urandom", draw_together)
        threads = [threading.Thread(target=lambda: made.append(make(ids))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        made += [make(ids) for _ in range(4 * 256 - len(made))]
    assert len(set(made)) == 4 * 256
    assert len(drawn) == 4
