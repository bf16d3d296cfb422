"""What a part of the engine measures of itself, as it hands that to whoever asks (16 §1)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Literal, TypeAlias

from msgspec import Struct

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Bounds of durations that callers wait for."""
SHORT_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""Bounds of what the engine itself waits for: a disk, its event loop."""

OTHER = "other"  # what is beyond a bound, counted together

Labels: TypeAlias = tuple[tuple[str, str], ...]


class Distribution:
    """Counts values by bounds.

    Attributes:
        buckets: how many were above the bound before and no higher than this one; one more for the rest.
    """

    __slots__ = ("bounds", "buckets", "sum")

    def __init__(self, bounds: Sequence[float] = SECONDS) -> None:
        self.bounds = bounds
        self.buckets = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        self.buckets[bisect_left(self.bounds, value)] += 1
        self.sum += value


class Measurement(Struct, frozen=True):
    """One metric as it is now, with the names of OpenTelemetry.

    Attributes:
        points: attributes, the same keys in each, and a number, or of a histogram all its counts.
    """

    name: str
    unit: str
    kind: Literal["counter", "gauge", "histogram"]
    description: str
    points: Sequence[tuple[Labels, float | Distribution]]
