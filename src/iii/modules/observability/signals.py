"""Where telemetry goes: whoever receives or makes it says so here, whoever keeps, exports or watches it listens."""

from collections.abc import Callable, Iterator, Sequence
from enum import Enum

from iii.engine.listeners import Listeners
from iii.modules.observability.records import LogRecord, Metric, Span


class Source(Enum):
    """Who made a record."""

    ENGINE = "engine"
    WORKER = "worker"


class UnreadSpans:
    """Ended spans that can be read later, a frame of a worker or some of the engine: most of a high rate leave memory before anybody asks for them.

    Its length is that of its spans.

    Attributes:
        bytes: of the frame, or of memory.
        read: the spans, some a step.
    """

    __slots__ = ("_count", "bytes", "read")

    def __init__(self, count: int, size: int, read: Callable[[], Iterator[Sequence[Span]]]) -> None:
        self._count = count
        self.bytes = size
        self.read = read

    def __len__(self) -> int:
        return self._count


class Signals:
    """Three kinds of records, each told with its source, in the order of their arrival, on the loop's thread.

    A listener must return soon: what takes long it does later, with a bound, and counts what it drops.

    Attributes:
        unread: who takes spans of such a source unread; None: somebody wants each span as it comes.
        crowded: whether so much waits to be kept that nothing more should come for now; it is asked again soon.
        watched: whether somebody wants to know of spans as they come, open ones too.
        looking: called by whoever is about to look at spans: what makes them tells of those that it has held back, open ones too.
    """

    def __init__(self) -> None:
        self.spans: Listeners[[Sequence[Span], Source]] = Listeners()
        self.logs: Listeners[[Sequence[LogRecord], Source]] = Listeners()
        self.metrics: Listeners[[Sequence[Metric], Source]] = Listeners()
        self.looking: Listeners[[]] = Listeners()
        self.unread: Callable[[Source], Callable[[UnreadSpans], None] | None] = lambda source: None
        self.crowded: Callable[[], bool] = lambda: False
        self.watched = False
