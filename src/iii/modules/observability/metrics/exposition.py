"""Metrics in the format of Prometheus, with names by OpenTelemetry's conventions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
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
    "s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds", "min": "minutes", "h": "hours", "d": "days",
    "By": "bytes", "bytes": "bytes", "KiBy": "kibibytes", "MiBy": "mebibytes", "%": "percent", "1": "ratio",
}  # fmt: skip
_ABBREVIATED = {"seconds": ("_s",), "milliseconds": ("_ms", "_millis"), "microseconds": ("_us", "_micros")}  # in names
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
        for point in metric.data_points:
            labels = _labels(point.attributes, _RESERVED.get(kind))
            key = tuple(sorted(labels.items()))
            if key in series:
                continue  # of names that are the same in Prometheus
            series.add(key)
            if isinstance(point, HistogramPoint):
                _add_histogram(family, labels, point)
            elif isinstance(point, SummaryPoint):
                _add_summary(family, labels, point)
            else:
                family.add_sample(f"{name}_total" if kind == "counter" else name, labels, point.value)
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
    unit = _UNITS.get(metric.unit, "")
    if unit == "ratio" and kind != "gauge":
        unit = ""  # of what is counted: a number
    if unit and not name.endswith(f"_{unit}"):
        for abbreviated in _ABBREVIATED.get(unit, ()):
            name = name.removesuffix(abbreviated)
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


def _add_histogram(family: Family, labels: dict[str, str], point: HistogramPoint) -> None:
    if are_buckets(point.explicit_bounds, point.bucket_counts):
        for bound, count in zip(point.explicit_bounds, accumulate(point.bucket_counts), strict=False):
            family.add_sample(f"{family.name}_bucket", {**labels, "le": str(float(bound))}, count)
    family.add_sample(f"{family.name}_bucket", {**labels, "le": "+Inf"}, point.count)
    family.add_sample(f"{family.name}_count", labels, point.count)
    family.add_sample(f"{family.name}_sum", labels, point.sum)


def _add_summary(family: Family, labels: dict[str, str], point: SummaryPoint) -> None:
    for quantile, value in {each.quantile: each.value for each in point.quantile_values}.items():
        family.add_sample(family.name, {**labels, "quantile": str(quantile)}, value)
    family.add_sample(f"{family.name}_count", labels, point.count)
    family.add_sample(f"{family.name}_sum", labels, point.sum)


def _text(text: str) -> str:
    """Without the halves of characters that no text can hold."""
    return text if text.isascii() else text.encode(errors="replace").decode()
