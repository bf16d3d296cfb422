"""How slow this machine is at the moment: what a promise in milliseconds, or a load, is scaled by.

A promise such as "within 100 ms" is made for an idle machine. On a slower or loaded one the test still tells a fault from
slowness: a fault takes seconds, or never ends.
"""

import time

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
