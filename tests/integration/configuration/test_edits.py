"""Files of entries that somebody edits, and writes of the engine meanwhile (07 check 54, 18 §2.6)."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import Any

import pytest

from tests.integration.configuration.office import Office, Open
from tests.integration.server.waiting import until
from tests.machine import scaled

EDITED = "id: svc\nname: Service\ndescription: Settings\nvalue:\n  port: {port}\n"


async def settled(office: Office) -> None:
    """Two looks: what changed before counts now."""
    for _ in range(2):
        await office.module.edits.look()


async def test_07_check_54_an_edit_counts_within_two_seconds(office: Office) -> None:
    heard = await office.on()
    await office.register(initial_value={"port": 1})
    office.file().write_text(EDITED.format(port=2))
    await until(lambda: len(heard) == 2, scaled(10.0))
    assert (heard[1]["event_type"], heard[1]["old_value"], heard[1]["new_value"]) == (
        "configuration:updated", {"port": 1}, {"port": 2},
    )  # fmt: skip
    assert await office.get() == {"port": 2}


@pytest.mark.parametrize(
    "bad", [EDITED.format(port="x"), "id: svc\nvalue: {port: 3}\n", "{", "", EDITED.format(port="${NOT_SET}")]
)
async def test_07_check_54_a_bad_edit_keeps_the_last_good_value(
    office: Office, caplog: pytest.LogCaptureFixture, bad: str
) -> None:
    caplog.set_level(logging.INFO)
    heard = await office.on()
    await office.register(initial_value={"port": 1})
    office.file().write_text(bad)
    for _ in range(3):
        await settled(office)
    assert await office.get() == {"port": 1}
    assert [
        record.__dict__["event"] for record in caplog.records if "configuration." in record.__dict__.get("event", "")
    ] == ["configuration.edit_rejected" if "name" in bad else "configuration.file_skipped"]
    office.file().write_text(EDITED.format(port=9))
    await settled(office)
    await until(lambda: len(heard) == 2)
    assert (heard[1]["old_value"], heard[1]["new_value"]) == ({"port": 1}, {"port": 9})


async def test_07_check_54_a_removed_file_deletes_the_entry(office: Office) -> None:
    heard = await office.on()
    await office.register(initial_value={"port": 1})
    office.file().unlink()
    await until(lambda: len(heard) == 2, scaled(10.0))
    assert heard[1]["event_type"] == "configuration:deleted"
    assert (await office.error("configuration::get", {"id": "svc"}))[0] == "NOT_FOUND"


async def test_18_s2_6_a_new_file_is_an_entry_whose_schema_is_not_known(office: Office) -> None:
    heard = await office.on()
    office.folder.mkdir()
    (office.folder / "whatever.yaml").write_text(EDITED.format(port=1))
    await until(lambda: bool(heard), scaled(10.0))
    assert (heard[0]["event_type"], heard[0]["schema"]) == ("configuration:registered", None)
    await office.register()
    await office.set({"port": 2})
    assert "port: 2" in (office.folder / "whatever.yaml").read_text()
    assert not office.file().exists()


async def test_18_s2_6_what_a_start_reads_was_edited_by_nobody(
    open_office: Open, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await (await open_office()).register(initial_value={"port": 1})
    again = await open_office()
    assert await again.get() == {"port": 1}
    assert "configuration.edited" not in [record.__dict__.get("event") for record in caplog.records]
    again.file().write_text(EDITED.format(port=2))
    await settled(again)
    assert "configuration.edited" in [record.__dict__.get("event") for record in caplog.records]


async def test_18_s2_6_another_id_inside_is_another_entry(office: Office) -> None:
    heard = await office.on()
    await office.register(initial_value={"port": 1})
    office.file().write_text(EDITED.format(port=1).replace("svc", "other"))
    await settled(office)
    await until(lambda: len(heard) == 3)
    assert [(each["event_type"], each["id"]) for each in heard[1:]] == [
        ("configuration:deleted", "svc"), ("configuration:registered", "other"),
    ]  # fmt: skip


async def test_18_s2_6_only_what_differs_is_an_update(office: Office) -> None:
    heard = await office.on()
    await office.register(initial_value={"port": 1}, metadata={"a": 1})
    office.file().write_text(EDITED.format(port=1) + "metadata: {a: 2}\nunknown: 1\n")
    await settled(office)
    office.file().write_text(EDITED.format(port=1).replace("Settings", "Others"))
    await settled(office)
    await until(lambda: len(heard) == 2)
    assert (heard[1]["description"], heard[1]["old_value"], heard[1]["new_value"]) == (
        "Others",
        {"port": 1},
        {"port": 1},
    )


async def test_18_s2_6_a_second_file_of_an_entry_is_skipped(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    await office.register(initial_value={"port": 1})
    (office.folder / "again.yaml").write_text(EDITED.format(port=2))
    await settled(office)
    assert await office.get() == {"port": 1}
    assert "the entry 'svc' is in svc.yaml" in caplog.text


async def test_07_check_54a_own_writes_are_not_edits(office: Office) -> None:
    """Two calls at every distance from a look: one event each, in order."""
    heard = await office.on()
    await office.register(initial_value={"port": 0})
    looking = asyncio.ensure_future(_look_all_the_time(office))
    for number in range(1, 101):
        await office.set({"port": number})
        assert await office.get() == {"port": number}
        await asyncio.sleep(random.random() / 100)
    looking.cancel()
    await until(lambda: len(heard) >= 101)
    await settled(office)
    await office.settled()
    changes: list[Any] = [(each["old_value"], each["new_value"]) for each in heard[1:]]
    assert changes == [({"port": number - 1}, {"port": number}) for number in range(1, 101)]


async def _look_all_the_time(office: Office) -> None:
    while True:
        await office.module.edits.look()
