"""What happened between two looks at an engine (19 §5)."""

import math

import pytest

from iii.cli.samples import EngineActivity, Sample, percentile

BOUNDS = [0.005, 0.01, 0.1]


def sample(at: float, counts: list[int], error: int = 0) -> Sample:
    row = {
        "function_id": "f", "calls": sum(counts), "error": error, "running": 2, "bounds_s": BOUNDS, "bucket_counts": counts,
    }  # fmt: skip
    own = {**row, "function_id": "engine::own"}
    return Sample(at, "me", 0, {"f": row, "engine::own": own}, frozenset({"f"}), [{"id": "me"}], {})


@pytest.mark.parametrize(
    ("counts", "share", "found"),
    [([0, 0, 0, 0], 0.5, None), ([1, 0, 0, 0], 0.99, 0.005), ([50, 50, 0, 0], 0.5, 0.005), ([50, 50, 0, 0], 0.51, 0.01),
     ([98, 0, 1, 1], 0.99, 0.1), ([0, 0, 0, 1], 0.5, math.inf)],
)  # fmt: skip
def test_19_5_a_percentile_is_the_bound_of_its_bucket(counts: list[int], share: float, found: float | None) -> None:
    assert percentile(BOUNDS, counts, share) == found


def test_19_5_rates_and_times_are_those_of_the_interval() -> None:
    activity = EngineActivity(sample(10, [90, 0, 0, 0]), sample(12, [91, 2, 1, 0], error=1), every=False)
    (row,) = activity.functions
    assert (row.calls_per_s, row.errors_per_s, row.running, row.calls, row.errors) == (2.0, 0.5, 2, 94, 1)
    assert (row.p50, row.p95) == (0.01, 0.1)
    assert row.cells == ["f", "2.0", "0.5", "2", "≤ 10.0 ms", "≤ 100 ms", "≤ 100 ms", "94", "1"]
    assert activity.summary() == "0 workers, 2.0 calls/s, 25 % failed, over 2.0 s"
    assert len(EngineActivity(sample(10, [0] * 4), sample(12, [0] * 4), every=True).functions) == 2


def test_19_5_a_function_that_is_called_and_that_no_worker_has_is_shown() -> None:
    before, now = sample(10, [90, 0, 0, 0]), sample(12, [90, 0, 0, 0])
    before, now = (each._replace(of_workers=frozenset()) for each in (before, now))
    assert EngineActivity(before, now, every=False).functions == []
    before.functions["f"]["not_found"], now.functions["f"]["not_found"] = 3, 7
    activity = EngineActivity(before, now, every=False)
    (row,) = activity.functions
    assert (row.calls_per_s, row.errors_per_s, row.calls, row.errors, row.missing) == (2.0, 2.0, 97, 7, True)
    assert row.cells[0] == "f (no worker)"
    assert activity.summary() == "0 workers, 2.0 calls/s, 100 % failed, over 2.0 s"
    before.functions["engine::queue::list"], now.functions["engine::queue::list"] = (
        {**each.functions["f"], "function_id": "engine::queue::list"} for each in (before, now)
    )
    assert EngineActivity(before, now, every=False).functions == [row]
    back = now._replace(of_workers=frozenset("f"))
    assert EngineActivity(before, back, every=False).functions[0].cells[0] == "f"


def test_19_5_errors_sort_by_those_since_the_start_and_error_rate_by_those_of_the_interval() -> None:
    before, now = sample(10, [90, 0, 0, 0]), sample(12, [92, 0, 0, 0], error=1)
    before.functions["g"] = {**before.functions["f"], "function_id": "g", "error": 9}
    now.functions["g"] = {**now.functions["f"], "function_id": "g", "error": 9}
    before, now = (each._replace(of_workers=frozenset("fg")) for each in (before, now))
    activity = EngineActivity(before, now, every=False)
    orders = {
        sort: [row["function_id"] for row in activity.as_json(sort)["functions"]] for sort in ("errors", "error-rate")
    }
    assert orders == {"errors": ["g", "f"], "error-rate": ["f", "g"]}


def test_19_5_an_engine_that_was_started_again_counts_from_zero() -> None:
    (row,) = EngineActivity(sample(10, [90, 0, 0, 0]), sample(11, [0, 0, 0, 3]), every=False).functions
    assert (row.calls_per_s, row.p50) == (3.0, math.inf)
    assert row.cells[4] == "more"
    assert (
        EngineActivity(sample(10, [90, 0, 0, 0]), sample(11, [0, 0, 0, 3]), every=False).as_json("rate")["functions"][
            0
        ]["p50"]
        is None
    )


def test_19_5_a_queue_shows_the_functions_that_its_jobs_wait_for() -> None:
    stats = {"depth": 2, "in_flight": 0, "delayed": 0, "dlq_depth": 1}
    for waiting_for, more in ((["f", "g"], ["f, g"]), (None, [])):
        now = sample(12, [0] * 4)._replace(queues={"mails": {**stats, "waiting_for": waiting_for}})
        (table,) = (table for name, table in EngineActivity(now, now, every=False).tables("rate") if name == "queues")
        assert table.rows == [["mails", "2", "0", "0", "1", *more]]
        assert len(table.head) == 5 + len(more)
