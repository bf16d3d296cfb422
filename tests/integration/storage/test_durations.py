"""How long the steps of a store take, as a metric (16 §1)."""

from pathlib import Path

from iii.protocol.measurement import Distribution
from iii.storage.limits import StoreLimits
from iii.storage.sqlite_items import SqliteItems
from tests.integration.storage.store import Store


async def test_16_1_writes_fsyncs_and_checkpoints_are_timed(tmp_path: Path) -> None:
    items = SqliteItems(tmp_path, limits=StoreLimits(checkpoint_pages=3))
    await items.open()
    store = Store(items)
    for number in range(10):
        await store.set(("a", ""), str(number), b"x" * 5_000)
    (measured,) = items.measure("iii-state")
    counts: dict[str, int] = {}
    for labels, value in measured.points:
        assert isinstance(value, Distribution)
        assert dict(labels)["store"] == "iii-state"
        counts[dict(labels)["operation"]] = sum(value.buckets)
    assert counts.keys() == {"write", "fsync", "checkpoint"}
    assert counts["write"] == counts["fsync"] == 10
    assert 1 <= counts["checkpoint"] <= 10
    await items.close()
    assert items.measure("iii-state") == ()
