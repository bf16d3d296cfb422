"""The log is not a worker's to fill (06 §11)."""

import logging

import pytest

from iii.server.log_flood import FloodGate


def record(
    second: float, name: str = "iii.engine.session", level: int = logging.WARNING, line: int = 7
) -> logging.LogRecord:
    made = logging.LogRecord(name, level, "session.py", line, "Worker %s: %s", ("w", "message dropped"), None)
    made.created = second
    return made


def test_a_flood_from_one_place_is_cut_and_counted() -> None:
    gate = FloodGate()
    passed = [gate.filter(record(100 + number / 1000)) for number in range(500)]
    assert passed == [True] * 20 + [False] * 480

    assert not gate.filter(record(109.9))
    later = record(110)
    assert gate.filter(later)
    assert later.__dict__["fields"] == {"suppressed": 481}
    assert gate.filter(record(111))


def test_other_places_are_not_affected() -> None:
    gate = FloodGate()
    for number in range(500):
        gate.filter(record(100 + number / 1000))
    assert gate.filter(record(101, line=8))


@pytest.mark.parametrize(("name", "level"), [("iii.worker", 30), ("iii.engine.engine", 10), ("other", 40)])
def test_what_is_never_cut(name: str, level: int) -> None:
    gate = FloodGate()
    assert all(gate.filter(record(100, name, level)) for _ in range(500))


def test_core_9_ten_thousand_connections_are_not_ten_thousand_lines() -> None:
    gate = FloodGate()
    passed = sum(gate.filter(record(100 + number / 10_000, level=logging.INFO)) for number in range(10_000))
    assert passed == 200
