"""Where records of `Logger` go when exporting them fails (08 §18)."""

import logging
from typing import Any

import pytest

import iii
from iii.sdk import log_entry, logger


def test_08_check_61_an_export_that_fails_leaves_the_record_to_logging(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*record: Any) -> bool:
        raise OSError("no room")

    taken: list[tuple[Any, ...]] = []

    def takes(*record: Any) -> bool:
        taken.append(record)
        return True

    caplog.set_level(logging.INFO, "iii.logger")
    exporters = [broken, lambda *record: False]
    monkeypatch.setattr(log_entry, "exporters", exporters)
    monkeypatch.setattr(logger, "exporters", exporters)
    iii.Logger(service_name="fn").info("m")
    assert [record.getMessage() for record in caplog.records] == ["[fn] m"]

    exporters.append(takes)
    iii.Logger().error("e", 5)
    assert [(entry.severity, entry.message, entry.attributes) for (entry,) in taken] == [
        (("ERROR", 17), "e", [("service.name", ""), ("log.data", 5)])
    ]
    assert len(caplog.records) == 1


def test_08_18_a_logger_without_a_service_has_the_message_alone(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "iii.logger")
    iii.Logger().info("100 % packed")
    iii.Logger(service_name="orders").info("packed")
    assert [record.getMessage() for record in caplog.records] == ["100 % packed", "[orders] packed"]
