"""Entries of modules: there without being registered (18 §2.1, C8)."""

from __future__ import annotations

import pytest

from iii.modules.configuration.templates import Filled
from tests.integration.configuration.office import Office
from tests.integration.server.waiting import until


class Lamp:
    """The settings of some module."""

    id = "iii-lamp"
    aliases: tuple[str, ...] = ("lamp",)
    name = "Lamp"
    description = "A lamp."
    schema = b'{"type":"object"}'

    def __init__(self) -> None:
        self.changes = 0

    def block(self) -> bytes:
        return b'{"watts":40}'

    def live(self) -> bytes:
        return b'{"watts":40,"colour":"warm"}'

    def problem(self, value: Filled) -> str | None:
        return "watts: expected a number" if b"many" in value.value else None

    def changed(self) -> None:
        self.changes += 1


@pytest.fixture
def lamp(office: Office) -> Lamp:
    lamp = Lamp()
    office.module.attach_all([lamp])
    return lamp


async def test_C8_the_alias_of_a_module_is_accepted(office: Office, lamp: Lamp) -> None:
    heard = await office.on({"configuration_id": "lamp"})
    await office.set({"watts": 60}, "lamp")
    assert await office.get("iii-lamp") == await office.get("lamp") == {"watts": 60}
    assert office.file("iii-lamp").exists()
    await until(lambda: bool(heard))
    assert (heard[0]["id"], heard[0]["old_value"]) == ("iii-lamp", {"watts": 40})


async def test_18_s2_1_a_stored_value_hides_the_block_until_it_is_deleted(office: Office, lamp: Lamp) -> None:
    assert await office.get("lamp") == {"watts": 40}
    assert not office.folder.exists()
    await office.set({"watts": 60}, "lamp")
    assert await office.get("lamp", live=True) == {"watts": 40, "colour": "warm"}
    assert await office.call("configuration::delete", id="lamp") == {"deleted": True, "old_value": {"watts": 60}}
    assert await office.call("configuration::delete", id="lamp") == {"deleted": False, "old_value": None}
    assert await office.get("lamp") == {"watts": 40}
    assert lamp.changes == 2


async def test_18_s2_3_placeholders_of_a_block_are_kept_by_who_reads_it_filled(
    office: Office, lamp: Lamp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lamp, "block", lambda: b'{"watts":"${SET}","host":"${HOST}","colour":"red"}')
    read = await office.get("lamp")
    assert read == {"watts": 7, "host": "db", "colour": "red"}
    changed = await office.set({**read, "colour": "blue"}, "lamp")
    assert changed["new_value"] == {"watts": "${SET}", "host": "${HOST}", "colour": "blue"}
    assert "db" not in office.file("iii-lamp").read_text()
    assert (await office.set({"watts": 7, "host": "db2"}, "lamp"))["new_value"] == {"watts": "${SET}", "host": "db2"}


async def test_18_s2_1_an_edit_of_its_file_is_a_change_too(office: Office, lamp: Lamp) -> None:
    office.folder.mkdir()
    office.file("iii-lamp").write_text("id: lamp\nname: x\nvalue: {watts: 25}\n")
    await until(lambda: lamp.changes == 1)
    assert await office.get("lamp") == {"watts": 25}
    office.file("iii-lamp").write_text("id: lamp\nname: x\nvalue: {watts: many}\n")
    for _ in range(3):
        await office.module.edits.look()
    assert await office.get("lamp") == {"watts": 25}
    office.file("iii-lamp").unlink()
    await until(lambda: lamp.changes == 2)
    assert await office.get("lamp") == {"watts": 40}


async def test_18_s2_1_what_it_cannot_run_with_is_refused(office: Office, lamp: Lamp) -> None:
    code, message = await office.error("configuration::set", {"id": "lamp", "value": {"watts": "many"}})
    assert (code, message) == ("SCHEMA_INVALID", "schema validation failed: watts: expected a number")
    payload = {"id": "lamp", "name": "Mine", "description": "", "schema": {}}
    code, message = await office.error("configuration::register", payload)
    assert (code, message) == (
        "INVALID_ID",
        "configuration 'lamp' belongs to a module of the engine; call configuration::set",
    )
