"""What a call costs that nobody observes (21 §1, 21 check 6)."""

from __future__ import annotations

import os
import tracemalloc

import pytest

from iii.engine.functions import Function
from iii.engine.invocation import Invocation
from iii.testing import MemoryEngine
from tests.unit.engine.observing.scene import observe, old, v1

CALLS = int(os.environ.get("III_TEST_CALLS", "20000"))  # 1,000,000 before a release


class Counted(Function):
    """Counts how often its observers are looked for."""

    looked = 0

    @property
    def observers(self) -> None:
        type(self).looked += 1

    @observers.setter
    def observers(self, watch: object) -> None:
        """Nothing watches it."""


def test_21_check_6_observers_are_read_once_a_call(engine: MemoryEngine) -> None:
    host = old(engine)

    def answer(invocation: Invocation, function: Function) -> None:
        invocation.complete(b"1")

    engine.core.functions.register(Counted("default", "a::f", host.session, answer), takes_over=True)
    Counted.looked = 0

    for _ in range(10):
        engine.core.router.call("a::f", None, b"{}")

    assert Counted.looked == 10


def test_21_check_6_calls_that_nobody_observes_leave_nothing(engine: MemoryEngine) -> None:
    host, watcher = old(engine, "a::f", "a::g"), v1(engine, "a::t")
    observe(watcher, "pending", "a::f", "not::there")
    host.link.on_send = lambda frame: host.link.frames.clear()
    call = engine.core.router.call

    def calls(count: int) -> None:
        for _ in range(count):
            call("a::f", None, b"{}")
            for invocation in list(host.session.handling.values()):
                host.session.handling.clear()
                invocation.complete(b"1")

    calls(2000)
    tracemalloc.start()
    try:
        calls(100)
        before = tracemalloc.get_traced_memory()[0]
        calls(CALLS)
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()

    function = engine.core.functions.find("a::f", None)
    assert function is not None
    assert function.observers is None
    assert grown < 50_000  # a list of durations is put into the histogram each thousand calls


@pytest.mark.parametrize("wanted", ["nothing", "these"])
def test_21_check_6_observed_calls_leave_nothing(engine: MemoryEngine, wanted: str) -> None:
    host, watcher = old(engine, "a::f"), v1(engine, "a::t")
    observe(watcher, "o1", "a::f", "a::t", filters={"input.op": {"$eq": wanted}})
    sessions = (host.session, watcher.session)
    for worker in (host, watcher):
        worker.link.on_send = lambda frame, link=worker.link: link.frames.clear()
    call = engine.core.router.call

    def calls(count: int) -> None:
        for _ in range(count):
            call("a::f", None, b'{"op":"these"}')
            for session in sessions:
                running = list(session.handling.values())
                session.handling.clear()
                for invocation in running:
                    invocation.complete(b"1")

    calls(2000)
    tracemalloc.start()
    try:
        calls(100)
        before = tracemalloc.get_traced_memory()[0]
        calls(2000)
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()

    assert grown < 100_000  # a list of durations for each function; a call that stays has more than 1,000 bytes
