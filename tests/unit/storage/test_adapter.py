"""The `adapter` of a module's block (05 §7, C3, C5, C9)."""

from pathlib import Path

import pytest

from iii.protocol.start_failure import StartFailure
from iii.storage.adapter import AdapterConfig, Adapters, RedisConfig, StoreConfig, kv_items
from iii.storage.memory_items import MemoryItems
from iii.storage.sqlite_items import SqliteItems

ADAPTERS = Adapters(
    {"kv": "kv", "redis": "redis", "modules::state::adapters::RedisAdapter": "redis"},
    {"kv": StoreConfig, "redis": RedisConfig},
)


def test_C3_items_are_in_memory_unless_the_block_says_otherwise(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert isinstance(kv_items(StoreConfig(file_path=str(tmp_path)), "state"), MemoryItems)
    assert "Items are kept in memory and are gone when the engine ends" in caplog.text
    kept = kv_items(StoreConfig(store_method="file_based", file_path=str(tmp_path)), "state")
    assert isinstance(kept, SqliteItems)
    assert kept.path.parent == tmp_path / "state"  # C9
    assert not list(tmp_path.iterdir())


def test_C5_name_and_class_mean_the_same_and_name_goes_first(caplog: pytest.LogCaptureFixture) -> None:
    old = "modules::state::adapters::RedisAdapter"
    assert AdapterConfig().kind(ADAPTERS) == "kv"
    assert AdapterConfig(name=old).kind(ADAPTERS) == AdapterConfig(class_=old).kind(ADAPTERS) == "redis"
    assert caplog.messages == []
    assert AdapterConfig(name="kv", class_=old).kind(ADAPTERS) == "kv"
    assert caplog.messages == ["`class` of an adapter ignored: `name` is given too (name=kv)"]
    with pytest.raises(StartFailure, match=r"Adapter factory 'tape' not found\. Available: \[kv, redis\]"):
        AdapterConfig(class_="tape").kind(ADAPTERS)
