"""Where records of `Logger` go when exporting them fails (08 §18)."""

import logging
from typing import Any

import pytest

import iii
from iii.sdk import logger


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
    monkeypatch.setattr(logger, "exporters", [broken, lambda *record: False])
    iii.Logger(service_name="fn").info("m")
    assert [record.getMessage() for record in caplog.records] == ["[fn] m"]

    logger.exporters.append(takes)
    own = iii.Logger()
    own.error("e", 5)
    assert taken == [(own, "ERROR", "e", 5)]
    assert len(caplog.records) == 1
