"""Settings of modules that are set while they run (18 §3.3, C7, P20)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import pytest_asyncio

import iii
from iii.server.catalogue import CATALOGUE
from iii.server.stored_settings import schema_of
from tests.integration.server.reloading import Reloading
from tests.integration.server.test_reload import HEAD, http, route
from tests.integration.server.waiting import until
from tests.processes import free_port


@pytest_asyncio.fixture
async def engines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[Reloading]]:
    monkeypatch.chdir(tmp_path)
    engines: list[Reloading] = []
    yield engines
    for engine in engines:
        await engine.stop()


FOLDER = Path("config")


def write_entry(**value: Any) -> None:
    FOLDER.mkdir()
    (FOLDER / "iii-http.yaml").write_text(json.dumps({"id": "iii-http", "name": "x", "value": value}))


def written() -> bool:
    return FOLDER.exists()


async def running(engines: list[Reloading], text: str) -> Reloading:
    """One engine after the other in the same folder."""
    while engines:
        await engines.pop().stop()
    engine = Reloading(Path("config.yaml"), text)
    engines.append(engine)
    await engine.start()
    return engine


async def set_to(engine: Reloading, entry_id: str, value: Any) -> Any:
    return await engine.call("configuration::set", id=entry_id, value=value)


async def live(engine: Reloading, entry_id: str) -> Any:
    return (await engine.call("configuration::get", id=entry_id, live=True))["value"]


async def test_18_s3_3_http_settings_are_set_live_and_kept(engines: list[Reloading]) -> None:
    old, new = free_port(), free_port()
    engine = await running(engines, http(port=old, default_timeout=1000))
    await route(engine)
    answer = await engine.call("configuration::get", id="http")
    assert answer == {"id": "iii-http", "value": {"port": old, "default_timeout": 1000}}
    await set_to(engine, "iii-http", {"port": f"${{NEW_PORT:{new}}}", "default_timeout": 77})
    await until(lambda: engine.module("iii-http").port == new)
    assert await engine.get("/hello", new) == 200
    assert (await live(engine, "iii-http"))["default_timeout"] == 77
    busy = engine.module("iii-worker-manager").listener.port
    await set_to(engine, "iii-http", {"port": busy, "default_timeout": 5})
    await asyncio.sleep(0)
    await engine.reload.now()
    assert await engine.get("/hello", new) == 200
    assert (await live(engine, "iii-http"))["default_timeout"] == 77
    await set_to(engine, "iii-http", {"port": new, "default_timeout": 6})
    engine = await running(engines, http(port=old, default_timeout=1000))
    assert (engine.module("iii-http").port, (await live(engine, "http"))["default_timeout"]) == (new, 6)


async def test_C7_a_set_value_hides_the_block_until_it_is_deleted(
    engines: list[Reloading], caplog: pytest.LogCaptureFixture
) -> None:
    text = HEAD + "  - {name: iii-state, config: {max_value_bytes: 7}}\n"
    engine = await running(engines, text)
    assert not written()
    await set_to(engine, "state", {"max_value_bytes": 9})
    await until(lambda: engine.module("iii-state").config.max_value_bytes == 9)
    assert await engine.write(text.replace("7", "8"))
    assert "hidden by config/iii-state.yaml" in caplog.text
    assert engine.module("iii-state").config.max_value_bytes == 9
    await engine.call("configuration::delete", id="state")
    await until(lambda: engine.module("iii-state").config.max_value_bytes == 8)
    assert await engine.write(text)
    assert (await engine.call("configuration::get", id="state"))["value"] == {"max_value_bytes": 7}


@pytest.mark.parametrize(
    "value", [{"bogus": 1}, {"port": "x"}, {"port": 70_000}, [], None, {"cors": {"max_age": -1}}, "text"]
)
async def test_18_s3_3_what_the_module_cannot_have_is_refused(engines: list[Reloading], value: Any) -> None:
    engine = await running(engines, http(port=0))
    with pytest.raises(iii.InvocationError) as refused:
        await set_to(engine, "iii-http", value)
    assert refused.value.code == "SCHEMA_INVALID"
    assert refused.value.message.startswith("schema validation failed: ")
    assert ": :" not in refused.value.message
    assert not written()


async def test_P20_stored_settings_that_cannot_be_had_leave_the_module_on_its_block(
    engines: list[Reloading], caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    write_entry(port=port)
    blocker = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", port)
    engine = await running(engines, http(port=0, default_timeout=9))
    blocker.close()
    assert (await live(engine, "iii-http"))["default_timeout"] == 9
    assert "Stored settings of a module not used" in caplog.text
    assert f"address 127.0.0.1:{port} is already in use" in caplog.text


async def test_18_s3_3_a_module_that_comes_and_goes_has_its_entry_so_long(engines: list[Reloading]) -> None:
    engine = await running(engines, HEAD)
    ids = [each["id"] for each in (await engine.call("configuration::list"))["configurations"]]
    assert ids == ["iii-observability"]
    assert await engine.write(HEAD + "  - {name: iii-cron}\n")
    await set_to(engine, "cron", {"day_of_week": "quartz"})
    await until(lambda: engine.module("iii-cron").config.day_of_week == "quartz")
    assert await engine.write(HEAD)
    assert "iii-cron" in {each["id"] for each in (await engine.call("configuration::list"))["configurations"]}  # stored
    assert await engine.write(HEAD + "  - {name: iii-cron}\n")
    assert engine.module("iii-cron").config.day_of_week == "quartz"


@pytest.mark.parametrize("known", [row for row in CATALOGUE if row.has_entry], ids=lambda row: str(row.name))
def test_18_s3_3_a_schema_allows_no_other_members(known: Any) -> None:
    validator = jsonschema_rs.validator_for(json.loads(schema_of(known)), offline=True)
    assert validator.is_valid({})
    assert not validator.is_valid({"bogus": 1})
    if known.name in ("iii-state", "iii-queue"):
        assert not validator.is_valid({"adapter": {"name": "nowhere"}})
        assert not validator.is_valid({"adapter": {"name": "redis", "config": {"bogus": 1}}})
        assert validator.is_valid({"adapter": {"name": "redis", "config": {"redis_url": "redis://h"}}})
