"""The adapter `bridge`: entries of another engine (27 §5)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

import iii
from iii.modules.configuration.config import ConfigurationConfig
from iii.storage.adapter import AdapterConfig
from tests.integration.configuration.office import PORT, Office
from tests.integration.configuration.test_module_entries import Lamp
from tests.integration.server.waiting import until
from tests.processes import free_port


async def behind(url: str, folder: Path, **more: Any) -> Office:
    adapter = AdapterConfig(name="bridge", config={"bridge_url": url, **more})
    return await Office.with_config(ConfigurationConfig(adapter=adapter), folder, {"SET": "8"})


@pytest_asyncio.fixture
async def near(office: Office, tmp_path: Path) -> AsyncIterator[Office]:
    """An engine whose entries are those of `office`."""
    near = await behind(f"ws://127.0.0.1:{office.listener.port}", tmp_path / "none")
    await near.call("configuration::list")  # connected
    yield near
    await near.close()


async def test_27_s5_what_is_set_here_is_there(office: Office, near: Office) -> None:
    entry = await near.register(initial_value={"port": 1}, metadata={"owner": "x"})
    assert entry["value"] == {"port": 1}
    assert await near.set({"port": 2}) == {"old_value": {"port": 1}, "new_value": {"port": 2}}
    assert await near.get() == await office.get() == {"port": 2}
    assert office.file().exists()
    assert not near.folder.exists()
    rows = (await near.call("configuration::list"))["configurations"]
    assert rows == (await office.call("configuration::list"))["configurations"]
    assert (await near.call("configuration::schema", id="svc"))["schema"] == PORT
    for function_id, payload, code in (
        ("set", {"id": "svc", "value": {"port": "x"}}, "SCHEMA_INVALID"),
        ("set", {"id": "nobody", "value": 1}, "NOT_REGISTERED"),
        ("get", {"id": "nobody"}, "NOT_FOUND"),
        ("get", {"id": 7}, "deserialization_error"),
        ("set", {"id": "svc"}, "deserialization_error"),
    ):
        assert (await near.error(f"configuration::{function_id}", payload))[0] == code
    assert (await near.call("configuration::delete", id="svc"))["deleted"] is True
    assert (await office.error("configuration::get", {"id": "svc"}))[0] == "NOT_FOUND"


async def test_07_check_54b_one_change_is_one_event(office: Office, near: Office) -> None:
    here, there = await near.on(), await office.on()
    await near.register(initial_value={"port": 1})
    await near.set({"port": 2})
    await office.set({"port": 3})
    await until(lambda: len(here) >= 3 and len(there) >= 3)
    await near.settled()
    told = [(event["event_type"], event["old_value"], event["new_value"]) for event in here]
    assert told == [
        ("configuration:registered", None, {"port": 1}),
        ("configuration:updated", {"port": 1}, {"port": 2}),
        ("configuration:updated", {"port": 2}, {"port": 3}),
    ]
    assert here == there
    await near.register()
    await until(lambda: len(here) >= 4)
    assert here[3]["event_type"] == "configuration:updated"
    assert len(here) == 4


async def test_27_s5_placeholders_are_filled_where_a_value_is_read(office: Office, near: Office) -> None:
    await near.register(initial_value={"port": "${SET}"})
    assert await office.get() == {"port": 7}
    assert await near.get() == {"port": 8}
    assert await near.get(raw=True) == {"port": "${SET}"}
    code, message = await near.error("configuration::set", {"id": "svc", "value": {"port": "${HOST:1}"}})
    assert code == "SCHEMA_INVALID", "a value is judged where it is stored"
    assert "port" in message
    assert "db" not in message


async def test_18_s2_3_what_was_read_filled_here_is_set_with_its_placeholder_there(
    office: Office, near: Office
) -> None:
    await near.register(initial_value={"port": "${SET}", "other": 1})
    assert await near.set({"port": 8, "other": 2}) == {
        "old_value": {"port": "${SET}", "other": 1},
        "new_value": {"port": "${SET}", "other": 2},
    }
    assert await office.get() == {"port": 7, "other": 2}
    await near.call("configuration::set", id="svc", value={"port": 8}, raw=True)
    assert await office.get(raw=True) == {"port": 8}
    code, _ = await near.error("configuration::set", {"id": "svc", "value": {"port": 9}, "expected": {"port": 7}})
    assert code == "VALUE_CHANGED"
    code, _ = await near.error("configuration::set", {"id": "none", "value": 1})
    assert code == "NOT_REGISTERED"


async def test_27_s5_settings_of_modules_stay_with_their_engine(office: Office, near: Office) -> None:
    mine, theirs = Lamp(), Lamp()
    near.module.attach_all([mine])
    office.module.attach_all([theirs])
    code, message = await near.error("configuration::set", {"id": "iii-lamp", "value": {"on": True}})
    assert code == "ADAPTER_ERROR"
    assert "stores no settings of modules; change the block of 'iii-lamp'" in message
    assert (await near.call("configuration::delete", id="iii-lamp"))["deleted"] is False
    heard = await near.on()
    await office.call("configuration::set", id="iii-lamp", value={"on": True})
    await near.register()
    await until(lambda: heard)
    assert [event["id"] for event in heard] == ["svc"]
    assert [row["id"] for row in (await near.call("configuration::list"))["configurations"]] == ["iii-lamp", "svc"]


async def test_27_s1_an_engine_that_is_not_there_is_named(tmp_path: Path) -> None:
    url = f"ws://127.0.0.1:{free_port()}"
    near = await behind(url, tmp_path, timeout_ms=500)  # a first attempt to connect ends before
    try:
        for function_id in ("configuration::get", "configuration::set", "configuration::list"):
            async with asyncio.timeout(near.deadline_s):
                with pytest.raises(iii.InvocationError) as failed:
                    await near.call(function_id, id="svc", value=1)
            text = f"{function_id} via bridge: invocation timed out ({url}: connection refused)"
            assert (failed.value.code, failed.value.message) == ("ADAPTER_ERROR", text)
    finally:
        await near.close()
