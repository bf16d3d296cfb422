"""The rows of `iii metrics` for metrics of workers: one a series, with what tells it from the others of its metric (16 §2)."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from iii.cli.durations import duration_text
from iii.cli.output import figure

HEAD = ("METRIC", "TYPE", "VALUE", "SERVICE", "SERIES")

_SHOWN = 20  # series of one metric and service, those that came last
_STALE_NS = 300_000_000_000  # a value this old is shown with its age: its worker may be gone
_INSTANCE = "instance"


class _Series(NamedTuple):
    """One series as it came last.

    Attributes:
        labels: its attributes, and the instance of its service.
    """

    labels: dict[str, str]
    metric: Mapping[str, Any]
    point: Mapping[str, Any]


def metric_rows(metrics: Sequence[Mapping[str, Any]], now_ns: int) -> list[list[str]]:
    """Of what `engine::metrics::list` answers; `SERIES` is empty for a series that is the only one of its metric and service."""
    found: dict[tuple[str, str], dict[frozenset[tuple[str, str]], _Series]] = defaultdict(dict)
    for metric in metrics:
        of_metric = found[metric["name"], metric["service_name"]]
        for point in metric["data_points"]:
            labels = dict(point["attributes"])
            if instance := metric.get("service_instance_id"):
                labels[_INSTANCE] = instance
            of_metric[frozenset(labels.items())] = _Series(labels, metric, point)
    return [row for _, of_metric in sorted(found.items()) for row in _rows(list(of_metric.values()), now_ns)]


def _rows(several: list[_Series], now_ns: int) -> Iterator[list[str]]:
    several.sort(key=_arrival, reverse=True)
    shown = several[:_SHOWN]
    same = set.intersection(*(set(series.labels.items()) for series in several)) if several else set()
    if len({_without_instance(series) for series in several}) == len(several):
        same |= {
            item for series in several for item in series.labels.items() if item[0] == _INSTANCE
        }  # worker ids tell enough
    told = [(_told(series, same, now_ns), series) for series in shown]
    for text, (_, metric, point) in sorted(told, key=lambda each: each[0]):
        yield [metric["name"], metric["metric_type"], _value(metric, point), metric["service_name"], text]
    if more := len(several) - len(shown):
        metric = shown[0].metric
        yield [metric["name"], "", "", metric["service_name"], f"({more} older series; `--json` has all)"]


def _arrival(series: _Series) -> int:
    arrived: int = series.metric["timestamp_unix_nano"]
    return arrived


def _without_instance(series: _Series) -> frozenset[tuple[str, str]]:
    return frozenset(item for item in series.labels.items() if item[0] != _INSTANCE)


def _told(series: _Series, same: set[tuple[str, str]], now_ns: int) -> str:
    """What this series has and not all others of its metric, and its age if it is old."""
    labels = [f"{name}={value}" for name, value in sorted(set(series.labels.items()) - same)]
    age_ns = now_ns - _arrival(series)
    return " ".join([*labels, f"({duration_text(age_ns)} ago)"] if age_ns > _STALE_NS else labels)


def _value(metric: Mapping[str, Any], point: Mapping[str, Any]) -> str:
    unit = "" if metric["unit"] == "1" else metric["unit"]  # a plain number
    if metric["metric_type"] in ("histogram", "summary"):
        mean = point["sum"] / point["count"] if point["count"] else 0
        return f"{point['count']} values, mean {figure(mean)} {unit}".rstrip()
    return f"{figure(point['value'])} {unit}".rstrip()
