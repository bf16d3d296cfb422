"""Gauges of the own process where the system tells less (02 §4.5)."""

import sys
from pathlib import Path

import pytest

from iii.sdk.process_figures import ProcessFigures


@pytest.mark.parametrize(("platform", "memory"), [("linux", ["memory.rss"]), ("win32", [])])
def test_02_4_5_without_proc_there_is_the_largest_memory_or_none(
    platform: str, memory: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("iii.sdk.process_figures._PROC", tmp_path)
    monkeypatch.setattr(sys, "platform", platform)
    found = {name: value for name, _, value in ProcessFigures().now()}
    assert [name for name in found if name.startswith("memory")] == memory
    assert all(found[name] > 1_000_000 for name in memory)
    assert found["uptime_seconds"] > 0
