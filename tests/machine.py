"""How slow this machine is at the moment: what a promise in milliseconds, or a load, is scaled by.

A promise such as "within 100 ms" is made for an idle machine. On a slower or loaded one the test still tells a fault from
slowness: a fault takes seconds, or never ends.
"""

import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager

REFERENCE_S = 0.020  # the work below, on an idle machine of November 2026
LARGEST = 20.0


def slowness() -> float:
    """How many times longer than on the idle reference machine work takes now; from 1 to 20, the median of five looks."""
    looks = sorted(_look_s() for _ in range(5))
    return min(max(looks[2] / REFERENCE_S, 1.0), LARGEST)


def scaled(seconds: float) -> float:
    """A limit for the idle machine, for this one as it is now."""
    return seconds * slowness()


def _look_s() -> float:
    started = time.perf_counter()
    total = 0
    for number in range(500_000):
        total += number
    time.sleep(0)  # whoever else wants the core has its turn
    return time.perf_counter() - started


@contextmanager
def cpu_within(limit_s: float) -> Iterator[None]:
    """What is inside takes this thread no more of the CPU, whatever else the machine does.

    The collector rests meanwhile: its walk over all that a whole run of tests has made takes a second alone.
    """
    with uncollected():
        began = time.thread_time()
        yield
        took_s = time.thread_time() - began
    assert took_s < limit_s


@contextmanager
def uncollected() -> Iterator[None]:
    """The collector rests, and with it what it calls: finalizers of earlier tests' objects, callbacks of hypothesis."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
