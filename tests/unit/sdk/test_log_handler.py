"""Records of the standard `logging` as records of telemetry (08 §18)."""

import logging

import pytest

import iii
from iii.sdk import log_entry, log_handler
from iii.sdk.log_entry import LogEntry


def test_08_18_the_first_worker_that_exports_takes_a_record(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[LogEntry] = []

    def takes(entry: LogEntry) -> bool:
        taken.append(entry)
        return True

    exporters = [lambda entry: False]
    for module in (log_entry, log_handler):
        monkeypatch.setattr(module, "exporters", exporters)
    handler = iii.LogHandler()
    record = logging.makeLogRecord({"name": "shop", "levelno": logging.WARNING, "msg": "late %s", "args": ("again",)})
    handler.emit(record)
    assert taken == []
    exporters.append(takes)
    exporters.append(takes)
    handler.emit(record)
    (entry,) = taken
    assert (entry.severity, entry.message) == (("WARN", 13), "late again")
