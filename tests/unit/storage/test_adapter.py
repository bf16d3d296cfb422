"""The `adapter` of a module's block (05 §7, C3, C9)."""

from pathlib import Path

import pytest

from iii.storage.adapter import KvConfig, kv_items
from iii.storage.memory_items import MemoryItems
from iii.storage.sqlite_items import SqliteItems


def test_C3_items_are_in_memory_unless_the_block_says_otherwise(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert isinstance(kv_items(KvConfig(file_path=str(tmp_path)), "state"), MemoryItems)
    assert "in_memory" in caplog.text
    kept = kv_items(KvConfig(store_method="file_based", file_path=str(tmp_path)), "state")
    assert isinstance(kept, SqliteItems)
    assert kept.path.parent == tmp_path / "state"  # C9
    assert not list(tmp_path.iterdir())
