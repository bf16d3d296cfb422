"""Where telemetry goes: whoever receives or makes it says so here, whoever keeps, exports or watches it listens."""

from collections.abc import Sequence
from enum import Enum

from iii.engine.listeners import Listeners
from iii.modules.observability.records import LogRecord, Metric, Span


class Source(Enum):
    """Who made a record."""

    ENGINE = "engine"
    WORKER = "worker"


class Signals:
    """Three kinds of records, each told with its source, in the order of their arrival, on the loop's thread.

    A listener must return soon: what takes long it does later, with a bound, and counts what it drops.

    Attributes:
        watched: whether somebody wants to know of spans as they come, open ones too.
        looking: called by whoever is about to look at spans: what makes them tells of those that it has held back, open ones too.
    """

    def __init__(self) -> None:
        self.spans: Listeners[[Sequence[Span], Source]] = Listeners()
        self.logs: Listeners[[Sequence[LogRecord], Source]] = Listeners()
        self.metrics: Listeners[[Sequence[Metric], Source]] = Listeners()
        self.looking: Listeners[[]] = Listeners()
        self.watched = False
