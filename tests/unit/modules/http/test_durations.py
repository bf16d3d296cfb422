"""HTTP requests in metrics, by method, route and status (16 §1)."""

import pytest

from iii.modules.http import durations as room
from iii.modules.http.durations import RequestDurations
from iii.protocol.measurement import Distribution


def counts(durations: RequestDurations) -> dict[tuple[str, ...], int]:
    (metric,) = durations.measured()
    found = {}
    for labels, value in metric.points:
        assert isinstance(value, Distribution)
        found[tuple(text for _, text in labels)] = sum(value.buckets)
    return found


def test_one_histogram_for_each_method_route_and_status() -> None:
    durations = RequestDurations()
    durations.took("GET", "users/:id", 200, 0.02)
    durations.took("GET", "users/:id", 200, 0.2)
    durations.took("GET", "users/:id", 404, 0.02)
    durations.took("BREW", "", 405, 0.02)
    assert counts(durations) == {
        ("GET", "users/:id", "200"): 2,
        ("GET", "users/:id", "404"): 1,
        ("_OTHER", "", "405"): 1,
    }


def test_they_are_bounded_and_none_changes_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "HTTP_HISTOGRAMS", 2)
    durations = RequestDurations()
    for _ in range(2):
        for number in range(50):
            durations.took("GET", f"r{number}", 500 + number, 1.0)
    assert counts(durations) == {("GET", "r0", "500"): 2, ("GET", "r1", "501"): 2, ("GET", "other", "5xx"): 96}
