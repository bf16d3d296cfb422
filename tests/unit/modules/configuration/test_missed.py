"""Entries of another engine that change while the connection to it is lost (27 §5)."""

import json
from typing import Any

import pytest
from msgspec import Raw

from iii.modules.configuration.codes import EXPAND_FAILED
from iii.modules.configuration.missed import MissedChanges
from iii.modules.configuration.requests import ConfigurationEvent, EventType
from iii.protocol.errors import InvocationError, InvocationForbidden, ItemNotFound


class Far:
    """The other engine's entries, and what triggers here are told."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.names: dict[str, str] = {}
        self.unfilled: set[str] = set()
        self.told: list[tuple[str, str, Any, Any]] = []
        self.reports: dict[str, Any] = {}  # changes in the midst of a comparison: once this entry is read
        self.fails: InvocationError | None = None
        self.missed = MissedChanges(self._read, self._tell)

    def _tell(self, event: ConfigurationEvent) -> None:
        old, new = (json.loads(bytes(value)) for value in (event.old_value, event.new_value))
        self.told.append((event.event_type.removeprefix("configuration:"), event.id, old, new))

    async def _read(self, function_id: str, payload: dict[str, Any]) -> bytes:
        if self.fails is not None:
            raise self.fails
        if function_id == "configuration::list":
            rows = [
                {"id": each, "name": self.names.get(each, each), "description": "", "schema": {}}
                for each in self.values
            ]
            return json.dumps({"configurations": rows}).encode()
        entry_id = payload["id"]
        if entry_id in self.reports:
            self.change(entry_id, self.reports.pop(entry_id))
        if entry_id not in self.values:
            raise ItemNotFound(f"configuration '{entry_id}' not found")
        if entry_id in self.unfilled and not payload["raw"]:
            raise EXPAND_FAILED("${GONE}")
        return json.dumps({"id": entry_id, "value": self.values[entry_id]}).encode()

    def change(self, entry_id: str, value: Any, reported: bool = True) -> None:
        """None deletes."""
        old = self.values.pop(entry_id, None)
        if value is not None:
            self.values[entry_id] = value
        kind: EventType = "configuration:updated"
        if old is None or value is None:
            kind = "configuration:registered" if old is None else "configuration:deleted"
        if reported:
            self.report(kind, entry_id, old, value)

    def report(self, kind: EventType, entry_id: str, old: Any, new: Any) -> None:
        values = [Raw(json.dumps(each).encode()) for each in (old, new)]
        self.missed.heard(
            ConfigurationEvent(
                event_type=kind,
                id=entry_id,
                name=entry_id,
                description="",
                schema=Raw(b"{}"),
                old_value=values[0],
                new_value=values[1],
            )
        )


async def test_27_check_4_changes_while_the_connection_was_lost_are_told_once() -> None:
    far = Far()
    far.values = {"a": 1, "b": 2, "c": 3, "own": 1}
    await far.missed.compare({"own"})
    assert far.told == [], "what is there at first is no change"
    far.change("a", 10)
    far.change("a", 11, reported=False)
    far.change("b", None, reported=False)
    far.change("d", 4, reported=False)
    far.change("own", 2, reported=False)
    await far.missed.compare({"own"})
    await far.missed.compare({"own"})
    assert far.told == [
        ("updated", "a", 1, 10),
        ("updated", "a", 10, 11),
        ("deleted", "b", 2, None),
        ("registered", "d", None, 4),
    ]


async def test_27_s5_a_report_that_follows_the_comparison_is_not_told_again() -> None:
    far = Far()
    far.values = {"a": 1, "b": 1}
    await far.missed.compare(())
    far.change("a", 2, reported=False)
    far.change("b", 2, reported=False)
    await far.missed.compare(())
    far.report("configuration:updated", "a", 1, 2)
    far.report("configuration:updated", "b", 2, 2)  # set again, to the same
    far.change("a", 3)
    assert far.told[2:] == [("updated", "b", 2, 2), ("updated", "a", 2, 3)]


async def test_27_s5_a_change_in_the_midst_of_the_comparison_is_told_once() -> None:
    far = Far()
    far.values = {"a": 1, "b": 1, "c": 1}
    await far.missed.compare(())
    far.reports = {"b": 2, "c": None}
    await far.missed.compare(())
    await far.missed.compare(())
    assert far.told == [("updated", "b", 1, 2), ("deleted", "c", 1, None)]


async def test_27_s5_other_names_are_told_and_values_that_cannot_be_filled_compared() -> None:
    far = Far()
    far.values, far.unfilled = {"a": "${GONE}", "b": 1}, {"a"}
    await far.missed.compare(())
    far.names["b"] = "B"
    await far.missed.compare(())
    far.change("a", "${LOST}", reported=False)
    await far.missed.compare(())
    assert far.told == [("updated", "b", 1, 1), ("updated", "a", "${GONE}", "${LOST}")]


async def test_27_s5_a_comparison_that_fails_leaves_the_changes_to_the_next_one() -> None:
    far = Far()
    far.values = {"a": 1}
    await far.missed.compare(())
    far.change("a", 2, reported=False)
    far.fails = InvocationForbidden("no")
    with pytest.raises(InvocationForbidden):
        await far.missed.compare(())
    far.fails = None
    await far.missed.compare(())
    assert far.told == [("updated", "a", 1, 2)]


async def test_27_s5_what_was_heard_before_the_first_comparison_is_known() -> None:
    far = Far()
    far.values = {"old": 1}
    far.change("a", 1)
    far.change("a", 2, reported=False)
    await far.missed.compare(())
    assert far.told == [("registered", "a", None, 1), ("updated", "a", 1, 2)]


async def test_27_s5_what_no_engine_keeps_is_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    far = Far()
    far.values = {"a": 1, "b": "x" * 50}
    monkeypatch.setattr("iii.modules.configuration.missed.CONFIGURATION_ENTRIES", 1)
    with pytest.raises(InvocationError, match="the other engine has more than 1 entries"):
        await far.missed.compare(())
    monkeypatch.setattr("iii.modules.configuration.missed.CONFIGURATION_ENTRIES", 9)
    monkeypatch.setattr("iii.modules.configuration.missed.CONFIGURATION_BYTES", 58)
    with pytest.raises(InvocationError, match="the other engine has entries of more than 58 bytes"):
        await far.missed.compare(())
    far.values = {"a": 1}
    await far.missed.compare(())
    far.change("b", "x" * 50)
    far.change("a", 2, reported=False)
    await far.missed.compare({"b"})
    assert far.told == [("registered", "b", None, "x" * 50)], "nothing is known that could be compared"
