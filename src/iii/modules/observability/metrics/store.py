"""The metrics that workers sent lately, by arrival and by name (16 §2)."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import takewhile
from math import inf
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from iii.modules.observability.records import NumberPoint
from iii.protocol.limits import METRIC_BYTES, METRIC_NAMES, METRIC_STORE_BYTES
from iii.protocol.log_event import LogEvent

if TYPE_CHECKING:
    from iii.modules.observability.records import Metric, MetricType

TOO_MANY_NAMES = LogEvent(
    __name__, "metrics.too_many_names", logging.WARNING, "Metrics dropped: there are too many names",
    means="Workers send metrics of more names than the engine keeps; those of new names are dropped. Said once.",
    do="Put what varies, such as ids, into attributes rather than into names.",
)  # fmt: skip

SECOND_NS = 1_000_000_000
_OVERHEAD_BYTES = 400  # of a metric beside its text
_NUMBER_BYTES = 32

_encode = msgspec.json.Encoder().encode


class StoredMetric(Struct, frozen=True, gc=False, eq=False):
    """One metric.

    Attributes:
        arrived: nanoseconds.
        numbers: the values of its points; none of a histogram or a summary.
        text: as it is answered.
    """

    name: str
    arrived: int
    kind: MetricType
    numbers: tuple[float, ...]
    text: bytes

    @property
    def size(self) -> int:
        """Bytes of memory, about."""
        return len(self.text) + _NUMBER_BYTES * len(self.numbers) + _OVERHEAD_BYTES


class MetricStore:
    """First in, first out: at most so many, of so many bytes and names, for so long.

    Attributes:
        dropped: metrics that were too large, or of one name too many.
    """

    def __init__(self, max_count: int, retention_s: int) -> None:
        self._max_count = max_count
        self._retention_ns = retention_s * SECOND_NS
        self._metrics: deque[StoredMetric] = deque()
        self._names: dict[str, deque[StoredMetric]] = {}
        self._bytes = 0
        self._said = False
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._metrics)

    def add(self, metric: Metric) -> bool:
        """False: it was dropped."""
        named = self._names.get(metric.name)
        if named is None and len(self._names) >= METRIC_NAMES:
            self.dropped += 1
            if not self._said:
                self._said = True
                TOO_MANY_NAMES(name=metric.name[:100], service=metric.service_name, limit=METRIC_NAMES)
            return False
        stored = _stored(metric)
        if stored.size > METRIC_BYTES:
            self.dropped += 1
            return False
        if named is None:
            named = self._names[stored.name] = deque()
        named.append(stored)
        self._metrics.append(stored)
        self._bytes += stored.size
        self.expire(stored.arrived)
        while len(self._metrics) > self._max_count or self._bytes > METRIC_STORE_BYTES:
            self._evict_instant()
        return True

    def limit(self, max_count: int, retention_s: int) -> None:
        """Keep so many, for so long, from now on."""
        self._max_count = max_count
        self._retention_ns = retention_s * SECOND_NS
        while len(self._metrics) > max_count:
            self._evict_instant()

    def expire(self, now: int) -> None:
        """Forget what is too old."""
        before = now - self._retention_ns
        while self._metrics and self._metrics[0].arrived < before:
            self._evict()

    def select(self, name: str | None = None, start: int = 0, end: float = inf) -> list[StoredMetric]:
        """In the order of arrival; the times are inclusive."""
        metrics: Iterable[StoredMetric] = self._metrics if name is None else self._names.get(name, ())
        return [each for each in metrics if start <= each.arrived <= end]  # the clock may have gone back

    def since(self, name: str, start: int) -> Iterator[StoredMetric]:
        """Of this name, the newest first."""
        return takewhile(lambda each: each.arrived >= start, reversed(self._names.get(name, ())))

    def _evict_instant(self) -> None:
        """What arrived together leaves together."""
        oldest = self._metrics[0].arrived
        while self._metrics and self._metrics[0].arrived == oldest:
            self._evict()

    def _evict(self) -> None:
        metric = self._metrics.popleft()
        self._bytes -= metric.size
        named = self._names[metric.name]
        named.popleft()
        if not named:
            del self._names[metric.name]


def _stored(metric: Metric) -> StoredMetric:
    hidden = metric.resource or metric.delta or metric.starts or metric.exponential
    shown = metric
    if hidden:
        instance = metric.resource.get("service.instance.id", "")
        shown = msgspec.structs.replace(
            metric, service_instance_id=instance, resource={}, delta=False, starts=[], exponential=[]
        )
    numbers = tuple(point.value for point in metric.data_points if type(point) is NumberPoint)
    return StoredMetric(metric.name, metric.timestamp_unix_nano, metric.metric_type, numbers, _encode(shown))
