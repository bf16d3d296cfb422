"""The metrics of workers on `/metrics`, by OpenTelemetry's conventions and within bounds (16 §5)."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from iii.modules.observability.metrics import worker_series as room
from iii.modules.observability.metrics.exposition import exposition
from iii.modules.observability.metrics.worker_series import WorkerSeries
from iii.modules.observability.records import (
    Attributes,
    HistogramPoint,
    Metric,
    MetricType,
    NumberPoint,
    QuantileValue,
    SummaryPoint,
)
from iii.protocol.limits import WORKER_LABEL_CHARACTERS, WORKER_SERIES_S
from iii.testing import FakeClock


class Scrape:
    """What workers send, and what Prometheus gets of it."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.series = WorkerSeries(self.clock)
        self.own: list[Metric] = []

    def send(self, name: str, value: float, kind: MetricType = "gauge", unit: str = "1", **more: Any) -> None:
        attributes: Attributes = more.pop("attributes", [("worker.id", "w")])
        self.series.take(metric(name, [NumberPoint(value, attributes, 5)], kind, unit, **more))

    def lines(self) -> list[str]:
        text = exposition(self.own, self.series.metrics()).decode()
        return [line for line in text.splitlines() if not line.startswith(("#", "process_"))]


def metric(name: str, points: list[Any], kind: MetricType, unit: str = "1", **more: Any) -> Metric:
    members = {"description": "", "resource": {"service.name": "shop", "host": "h"}, **more}
    return Metric(
        name=name, unit=unit, metric_type=kind, data_points=points, service_name="shop", timestamp_unix_nano=7, **members
    )  # fmt: skip


@pytest.fixture
def scrape() -> Scrape:
    return Scrape()


def test_names_units_and_labels_follow_the_conventions(scrape: Scrape) -> None:
    scrape.send("iii.worker.memory.rss", 5, unit="By")
    scrape.send(
        "orders.total", 3, "counter", "{order}", attributes=[("2nd", "x"), ("le", "y"), ("a.b", "1"), ("a_b", "2")]
    )
    scrape.send("queue.depth", -1, "updowncounter", "ms")
    assert scrape.lines() == [
        'iii_worker_memory_rss_bytes{service_name="shop",worker_id="w"} 5.0',
        'orders_total{a_b="1;2",key_2nd="x",key_le="y",service_name="shop"} 3.0',
        'queue_depth_seconds{service_name="shop",worker_id="w"} -0.001',
    ]


def test_a_histogram_has_its_buckets(scrape: Scrape) -> None:
    point = HistogramPoint(6, 12.5, [1, 2, 3], [0.5, 1.0], None, None, [], 5)
    scrape.series.take(metric("took", [point], "histogram", "s"))
    assert scrape.lines() == [
        'took_seconds_bucket{le="0.5",service_name="shop"} 1.0',
        'took_seconds_bucket{le="1.0",service_name="shop"} 3.0',
        'took_seconds_bucket{le="+Inf",service_name="shop"} 6.0',
        'took_seconds_count{service_name="shop"} 6.0',
        'took_seconds_sum{service_name="shop"} 12.5',
    ]


def test_the_newest_point_counts_and_differences_are_summed_up(scrape: Scrape) -> None:
    scrape.send("depth", 1)
    scrape.send("depth", 2)
    scrape.send("sent", 1, "counter", delta=True)
    scrape.send("sent", 2, "counter", delta=True)
    for _ in range(2):
        point = HistogramPoint(3, 1.5, [1, 2], [0.5], None, None, [], 5)
        scrape.series.take(metric("took", [point], "histogram", delta=True))
    lines = scrape.lines()
    assert 'depth_ratio{service_name="shop",worker_id="w"} 2.0' in lines
    assert 'sent_total{service_name="shop",worker_id="w"} 3.0' in lines
    assert 'took_count{service_name="shop"} 6.0' in lines
    assert 'took_bucket{le="+Inf",service_name="shop"} 6.0' in lines


def test_16_5_a_summary_has_its_quantiles(scrape: Scrape) -> None:
    quantiles = [QuantileValue(0.5, 2.0), QuantileValue(0.99, 7.5), QuantileValue(0.5, 3.0)]
    for attributes in ([("quantile", "x")], [("key_quantile", "x")]):
        scrape.series.take(metric("took", [SummaryPoint(4, 9.0, quantiles, attributes, 5)], "summary", "s"))
    assert scrape.lines() == [
        'took_seconds{key_quantile="x",quantile="0.5",service_name="shop"} 3.0',
        'took_seconds{key_quantile="x",quantile="0.99",service_name="shop"} 7.5',
        'took_seconds_count{key_quantile="x",service_name="shop"} 4.0',
        'took_seconds_sum{key_quantile="x",service_name="shop"} 9.0',
    ]


def test_16_5_differences_of_histograms_with_other_bounds_are_summed_up(scrape: Scrape) -> None:
    """As exponential histograms have them."""
    for bounds, counts in (([1.0, 2.0], [0, 3, 1]), ([2.0, 4.0], [0, 2, 0]), ([9.0, 3.0], [1, 1, 1])):
        point = HistogramPoint(sum(counts), 1.5, counts, bounds, None, None, [], 5)
        scrape.series.take(metric("took", [point], "histogram", delta=True))
        shown = scrape.lines()
        if bounds == [2.0, 4.0]:
            assert shown == [
                'took_bucket{le="1.0",service_name="shop"} 0.0',
                'took_bucket{le="2.0",service_name="shop"} 3.0',
                'took_bucket{le="4.0",service_name="shop"} 5.0',
                'took_bucket{le="+Inf",service_name="shop"} 6.0',
                'took_count{service_name="shop"} 6.0',
                'took_sum{service_name="shop"} 3.0',
            ]
    assert 'took_count{service_name="shop"} 3.0' in shown  # no buckets: it begins again


def test_16_5_a_series_that_grows_stays_within_the_bound(scrape: Scrape, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "WORKER_SAMPLES", 10)
    for number in range(20):
        point = HistogramPoint(2, 1.0, [1, 1], [float(number)], None, None, [], 5)
        scrape.series.take(metric("took", [point], "histogram", delta=True))
    assert len(scrape.lines()) == 10
    assert scrape.series.dropped == 13
    scrape.clock.advance(WORKER_SERIES_S + 1)
    grown = HistogramPoint(9, 1.0, [1] * 8, [float(each) for each in range(7)], None, None, [], 5)
    scrape.series.take(metric("took", [grown], "histogram"))  # the room is its own
    assert len(scrape.lines()) == 10
    scrape.send("depth", 1)
    assert len(scrape.lines()) == 10


def test_a_silent_series_is_shown_no_more(scrape: Scrape) -> None:
    scrape.send("depth", 1, attributes=[("id", "old")])
    scrape.clock.advance(WORKER_SERIES_S - 1)
    scrape.send("depth", 2, attributes=[("id", "new")])
    scrape.clock.advance(2)
    assert scrape.lines() == ['depth_ratio{id="new",service_name="shop"} 2.0']
    scrape.clock.advance(WORKER_SERIES_S)
    assert scrape.lines() == []


def test_series_and_labels_are_bounded(
    scrape: Scrape, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(room, "WORKER_SAMPLES", 10)
    for number in range(100):
        scrape.send("depth", number, attributes=[("id", str(number))])
        scrape.send(f"depth{number}", number)
    scrape.send("depth", 7, attributes=[("id", "0")])  # a known one goes on
    assert len(scrape.lines()) == 10
    assert 'depth_ratio{id="0",service_name="shop"} 7.0' in scrape.lines()
    assert scrape.series.dropped == 190
    assert [record.getMessage() for record in caplog.records].count(caplog.records[0].getMessage()) == 1
    scrape.clock.advance(WORKER_SERIES_S + 1)
    scrape.send("depth", 1, attributes=[("id", "x" * WORKER_LABEL_CHARACTERS)])
    assert scrape.lines() == []
    scrape.send("depth", 1)
    assert len(scrape.lines()) == 1


def test_points_of_further_series_do_not_look_at_all_that_are_known(
    scrape: Scrape, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of them did: a frame of 2,500 held the loop for seconds."""
    looks: list[float] = []
    monkeypatch.setattr(room, "WORKER_SAMPLES", 10)
    monkeypatch.setattr(scrape.series, "_forget", lambda: looks.append(scrape.clock.now()))
    for number in range(1_000):
        scrape.send("depth", number, attributes=[("id", str(number))])
    scrape.clock.advance(1)
    scrape.send("depth", 1, attributes=[("id", "x")])
    assert len(looks) == 2


def test_the_engines_own_metric_stands_and_no_series_comes_twice(scrape: Scrape) -> None:
    scrape.own = [metric("iii.workers.active", [NumberPoint(1.0, [], 5)], "gauge", "{worker}")]
    scrape.send("iii.workers.active", 77, unit="{worker}")
    scrape.send("a.b", 1)
    scrape.send("a_b", 2)
    scrape.send("took", 1, "counter")
    scrape.send("took_total", 9)
    point = HistogramPoint(0, 0.0, [], [], None, None, [], 5)
    scrape.series.take(metric("h", [point], "histogram"))
    scrape.send("h.count", 9, unit="")
    scrape.send("half \ud800 \n", 1, attributes=[("k", "\ud800")])
    names = [line.partition("{")[0].partition(" ")[0] for line in scrape.lines()]
    assert sorted(set(names)) == [
        "a_b_ratio",
        "h_bucket",
        "h_count",
        "h_sum",
        "half_ratio",
        "iii_workers_active",
        "took_total",
        "took_total_ratio",
    ]
    assert names.count("a_b_ratio") == names.count("iii_workers_active") == names.count("h_count") == 1
    assert "iii_workers_active 1.0" in scrape.lines()


@pytest.mark.parametrize(
    ("name", "unit", "shown", "value"),
    [
        ("iii.worker.cpu.user_micros", "us", "iii_worker_cpu_user_seconds", "3e-06"),
        ("iii.worker.event_loop.lag_ms", "ms", "iii_worker_event_loop_lag_seconds", "0.003"),
        ("iii.worker.memory.rss", "bytes", "iii_worker_memory_rss_bytes", "3.0"),
        ("ms", "ms", "ms_seconds", "0.003"),
        ("gc.pause_nanoseconds", "ns", "gc_pause_seconds", "3e-09"),
        ("age", "d", "age_seconds", "259200.0"),
        ("cache.size", "MiBy", "cache_size_bytes", "3.145728e+06"),
        ("load", "%", "load_percent", "3.0"),
        ("depth", "{job}", "depth", "3.0"),
    ],
)
def test_16_s5_a_unit_stands_once_in_a_name_and_is_a_base_unit(name: str, unit: str, shown: str, value: str) -> None:
    scrape = Scrape()
    scrape.series.take(metric(name, [NumberPoint(3.0, [], 5)], "gauge", unit))
    assert scrape.lines() == [f'{shown}{{service_name="shop"}} {value}']


def test_16_s5_a_histogram_of_milliseconds_is_one_of_seconds() -> None:
    scrape = Scrape()
    point = HistogramPoint(3, 1_250.0, [1, 2, 0], [5.0, 1_000.0], 1.0, 900.0, [], 5)
    scrape.series.take(metric("took", [point], "histogram", "ms"))
    assert scrape.lines() == [
        'took_seconds_bucket{le="0.005",service_name="shop"} 1.0',
        'took_seconds_bucket{le="1.0",service_name="shop"} 3.0',
        'took_seconds_bucket{le="+Inf",service_name="shop"} 3.0',
        'took_seconds_count{service_name="shop"} 3.0',
        'took_seconds_sum{service_name="shop"} 1.25',
    ]


NAMES = st.text(max_size=12) | st.sampled_from(
    ["a.b", "a_b", "a_b_total", "a.b.total", "a.b.count", "iii.workers.active", "le"]
)
KINDS = st.sampled_from(["gauge", "counter", "updowncounter", "histogram", "summary"])
ATTRIBUTES = st.lists(st.tuples(NAMES, st.text(max_size=8)), max_size=3)
COUNTS = st.lists(st.integers(0, 2**64 - 1), max_size=4)
BOUNDS = st.lists(st.floats(allow_nan=False), max_size=4)


@given(st.lists(st.tuples(NAMES, st.text(max_size=3), KINDS, ATTRIBUTES, COUNTS, BOUNDS, st.booleans()), max_size=8))
def test_06_check_45_whatever_workers_send_a_scrape_can_be_read(sent: list[Any]) -> None:
    scrape = Scrape()
    scrape.own = [metric("iii.workers.active", [NumberPoint(1.0, [], 5)], "gauge", "{worker}")]
    for name, unit, kind, attributes, counts, bounds, delta in sent:
        point: Any = NumberPoint(float(sum(counts)), attributes, 5)
        if kind == "histogram":
            point = HistogramPoint(sum(counts), 0.5, counts, bounds, None, None, attributes, 5)
        if kind == "summary":
            quantiles = [QuantileValue(bound, 1.0) for bound in bounds]
            point = SummaryPoint(sum(counts), 0.5, quantiles, [*attributes, ("quantile", "q")], 5)
        scrape.series.take(metric(name, [point, point], kind, unit, delta=delta, description=name))
    text = exposition(scrape.own, scrape.series.metrics()).decode()
    families = list(text_string_to_metric_families(text))
    series = [(sample.name, tuple(sorted(sample.labels.items()))) for each in families for sample in each.samples]
    assert len(series) == len(set(series))
    assert ("iii_workers_active", ()) in series
