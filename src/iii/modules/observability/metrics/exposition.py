"""Metrics in the format of Prometheus, with names by OpenTelemetry's conventions."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import accumulate
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client import Metric as Family
from prometheus_client.registry import Collector

from iii.modules.observability.metrics.buckets import are_buckets
from iii.modules.observability.records import HistogramPoint, SummaryPoint

if TYPE_CHECKING:
    from iii.modules.observability.records import Attributes, Metric

_UNITS = {
    "s": ("seconds", 1, 1), "ms": ("seconds", 1, 1_000), "us": ("seconds", 1, 1_000_000), "ns": ("seconds", 1, 1_000_000_000),
    "min": ("seconds", 60, 1), "h": ("seconds", 3_600, 1), "d": ("seconds", 86_400, 1),
    "By": ("bytes", 1, 1), "bytes": ("bytes", 1, 1), "KiBy": ("bytes", 1_024, 1), "MiBy": ("bytes", 1_048_576, 1),
    "%": ("percent", 1, 1), "1": ("ratio", 1, 1),
}  # fmt: skip
"""Prometheus' base unit of each, and what its values are multiplied with, and divided by."""
_SPOKEN = {
    "s": ("_s",), "ms": ("_ms", "_millis", "_milliseconds"), "us": ("_us", "_micros", "_microseconds"),
    "ns": ("_ns", "_nanos", "_nanoseconds"), "min": ("_minutes",), "h": ("_hours",), "d": ("_days",),
    "KiBy": ("_kibibytes",), "MiBy": ("_mebibytes",),
}  # fmt: skip
"""How names end in them."""
_NO_UNIT = "", 1, 1
_NO_NAME = re.compile(r"[^a-zA-Z0-9_]+")
_KINDS = {
    "counter": "counter",
    "histogram": "histogram",
    "gauge": "gauge",
    "updowncounter": "gauge",
    "summary": "summary",
}
_SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "summary": ("_sum", "_count")}


_RESERVED = {"summary": "quantile"}  # labels beside `le`


class _Families(Collector):
    """Of one name those of the first kind; what would name the samples of another family is left out."""

    def __init__(self) -> None:
        self._families: dict[str, Family] = {}
        self._samples: set[str] = set()  # names, each of one family
        self._series: dict[str, set[tuple[tuple[str, str], ...]]] = {}  # by name of the family

    def collect(self) -> Iterator[Family]:
        return iter(self._families.values())

    def add(self, metric: Metric) -> bool:
        """False: its name is taken by something else."""
        kind = _KINDS[metric.metric_type]
        name = _name(metric, kind)
        family = self._families.get(name)
        if family is None:
            names = {name, *(f"{name}{suffix}" for suffix in _SUFFIXES.get(kind, ()))}
            if names & self._samples:
                return False
            self._samples |= names
            family = self._families[name] = Family(name, _text(metric.description or metric.name), kind)
        elif family.type != kind:
            return False
        series = self._series.setdefault(name, set())
        in_base = partial(_in_base, metric.unit)
        for point in metric.data_points:
            labels = _labels(point.attributes, _RESERVED.get(kind))
            key = tuple(sorted(labels.items()))
            if key in series:
                continue  # of names that are the same in Prometheus
            series.add(key)
            if isinstance(point, HistogramPoint):
                _add_histogram(family, labels, point, in_base)
            elif isinstance(point, SummaryPoint):
                _add_summary(family, labels, point, in_base)
            else:
                family.add_sample(f"{name}_total" if kind == "counter" else name, labels, in_base(point.value))
        return True


_PROCESS = ProcessCollector(registry=None)  # of this process: CPU, memory, open files


def exposition(own: Iterable[Metric], of_workers: Iterable[Metric] = ()) -> bytes:
    """The text of a scrape. Where a worker's metric has the name of one of ours, ours is shown."""
    families = _Families()
    for metric in own:
        families.add(metric)
    taken = {family.name for family in families.collect()}
    for metric in of_workers:
        if _name(metric, _KINDS[metric.metric_type]) not in taken:
            families.add(metric)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_PROCESS)
    registry.register(families)
    return generate_latest(registry)


def _name(metric: Metric, kind: str) -> str:
    name = _NO_NAME.sub("_", metric.name.removesuffix(".total")).strip("_") or "_"
    unit, _, _ = _UNITS.get(metric.unit, _NO_UNIT)
    if unit == "ratio" and kind != "gauge":
        unit = ""  # of what is counted: a number
    if unit and not name.endswith(f"_{unit}"):
        for spoken in _SPOKEN.get(metric.unit, ()):
            name = name.removesuffix(spoken)
        name = f"{name}_{unit}"
    name = name.removesuffix("_total") if kind == "counter" else name
    return f"_{name}" if name[0].isdigit() else name


def _labels(attributes: Attributes, reserved: str | None) -> dict[str, str]:
    """Two keys that become one have both values, as OpenTelemetry wants it."""
    labels: dict[str, str] = {}
    for key, value in attributes:
        name = _NO_NAME.sub("_", key).lstrip("_") or "_"  # what begins with two underscores is Prometheus' own
        if name[0].isdigit() or name in ("le", reserved):
            name = f"key_{name}"
        text = _text(value)
        labels[name] = f"{labels[name]};{text}" if name in labels else text
    return labels


def _in_base(unit: str, value: float) -> float:
    _, factor, divisor = _UNITS.get(unit, _NO_UNIT)
    return value if factor == divisor else value * factor / divisor


def _add_histogram(
    family: Family, labels: dict[str, str], point: HistogramPoint, in_base: Callable[[float], float]
) -> None:
    if are_buckets(point.explicit_bounds, point.bucket_counts):
        for bound, count in zip(point.explicit_bounds, accumulate(point.bucket_counts), strict=False):
            family.add_sample(f"{family.name}_bucket", {**labels, "le": str(float(in_base(bound)))}, count)
    family.add_sample(f"{family.name}_bucket", {**labels, "le": "+Inf"}, point.count)
    family.add_sample(f"{family.name}_count", labels, point.count)
    family.add_sample(f"{family.name}_sum", labels, in_base(point.sum))


def _add_summary(
    family: Family, labels: dict[str, str], point: SummaryPoint, in_base: Callable[[float], float]
) -> None:
    for quantile, value in {each.quantile: each.value for each in point.quantile_values}.items():
        family.add_sample(family.name, {**labels, "quantile": str(quantile)}, in_base(value))
    family.add_sample(f"{family.name}_count", labels, point.count)
    family.add_sample(f"{family.name}_sum", labels, in_base(point.sum))


def _text(text: str) -> str:
    """Without the halves of characters that no text can hold."""
    return text if text.isascii() else text.encode(errors="replace").decode()
