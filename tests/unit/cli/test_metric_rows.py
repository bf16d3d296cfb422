"""The rows of `iii metrics` (16 §2)."""

from typing import Any

from iii.cli.metric_rows import metric_rows

MINUTE_NS = 60_000_000_000
NOW_NS = 100 * MINUTE_NS


def metric(name: str, *points: tuple[float, dict[str, str]], at: int = NOW_NS, **members: Any) -> dict[str, Any]:
    data = [{"value": value, "attributes": [*map(list, labels.items())]} for value, labels in points]
    return {
        "name": name, "unit": "1", "metric_type": "gauge", "service_name": "shop", "timestamp_unix_nano": at,
        "data_points": data, **members,
    }  # fmt: skip


def values(*metrics: dict[str, Any]) -> list[tuple[str, str]]:
    return [(row[2], row[-1]) for row in metric_rows(metrics, NOW_NS)]


def test_the_only_series_of_a_metric_has_its_latest_value_alone() -> None:
    earlier = metric("m", (1, {"worker.id": "w"}), at=NOW_NS - 1, service_instance_id="a")
    rows = metric_rows([earlier, metric("m", (2, {"worker.id": "w"}), service_instance_id="a")], NOW_NS)
    assert rows == [["m", "gauge", "2", "shop", ""]]


def test_each_copy_of_a_worker_has_a_row() -> None:
    copies = (metric("m", (number, {"route": "/"}), service_instance_id=f"copy-{number}") for number in (2, 1))
    assert values(*copies) == [("1", "instance=copy-1"), ("2", "instance=copy-2")]


def test_ids_of_workers_tell_copies_apart_without_their_instances() -> None:
    copies = [metric("m", (1, {"worker.id": f"w{n}"}), service_instance_id=f"copy-{n}") for n in (1, 2)]
    assert values(*copies) == [("1", "worker.id=w1"), ("1", "worker.id=w2")]


def test_each_series_of_a_metric_has_a_row_with_what_differs() -> None:
    points = metric("m", (1, {"code": "200", "route": "/"}), (2, {"code": "404", "route": "/"}), (3, {"route": "/"}))
    assert values(points) == [("3", ""), ("1", "code=200"), ("2", "code=404")]


def test_services_with_a_metric_of_one_name_are_told_by_their_names() -> None:
    rows = metric_rows([metric("m", (1, {}), service_name="b"), metric("m", (2, {}), service_name="a")], NOW_NS)
    assert [row[2:] for row in rows] == [["2", "a", ""], ["1", "b", ""]]


def test_what_has_not_come_for_long_has_its_age() -> None:
    gone = metric("m", (1, {}), at=NOW_NS - 12 * MINUTE_NS, service_instance_id="gone")
    here = metric("m", (2, {}), at=NOW_NS - 4 * MINUTE_NS, service_instance_id="here")
    assert values(gone, here) == [("1", "instance=gone (12 min 0 s ago)"), ("2", "instance=here")]


def test_of_many_series_the_last_ones_are_shown_and_the_others_counted() -> None:
    many = [metric("m", (number, {"id": f"{number:02}"}), at=NOW_NS - 100 + number) for number in range(25)]
    shown = values(*many)
    assert shown[0] == ("5", "id=05")
    assert shown[19:] == [("24", "id=24"), ("", "(5 older series; `--json` has all)")]


def test_histograms_have_their_number_and_mean_and_a_metric_without_points_no_row() -> None:
    point = {"count": 4, "sum": 10.0, "attributes": []}
    histogram = metric("h", metric_type="histogram", unit="s") | {
        "data_points": [point, {**point, "count": 0, "attributes": [["a", "b"]]}]
    }
    assert values(histogram, metric("m")) == [("4 values, mean 2.5 s", ""), ("0 values, mean 0 s", "a=b")]
