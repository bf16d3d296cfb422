"""Settings of modules that are set while they run (18 §3.3, C7, P20)."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import pytest_asyncio

import iii
from iii.modules.configuration.entries import VALUE_NOT_LOADED
from iii.server.catalogue import CATALOGUE
from iii.server.config_file import ServerConfig
from iii.server.stored_settings import Stored, schema_of
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


async def running(engines: list[Reloading], text: str, **environment: str) -> Reloading:
    """One engine after the other in the same folder."""
    while engines:
        await engines.pop().stop()
    engine = Reloading(Path("config.yaml"), text, environment)
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


async def test_18_s2_1_a_secret_of_the_file_stays_a_placeholder(
    engines: list[Reloading], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read filled, changed and set, as a page of the console does; what is stored and told has the placeholder."""
    secret = {"WORD": "hunter2hunter2", "PIN": "0x10"}
    for name, value in secret.items():
        monkeypatch.setenv(name, value)
    text = (
        HEAD
        + "  - {name: iii-http, config: {port: 0, not_found_function: '${WORD}', default_timeout: 9, host: ${PLACE:localhost}}}\n"
    )
    engine = await running(engines, text, **secret)
    read = (await engine.call("configuration::get", id="http"))["value"]
    assert read["not_found_function"] == "hunter2hunter2"
    changed = await set_to(engine, "http", {**read, "default_timeout": 5})
    await until(lambda: engine.module("iii-http").config.default_timeout == 5)
    assert changed["new_value"] == changed["old_value"] | {"default_timeout": 5}
    assert changed["old_value"] == {
        "port": 0, "not_found_function": "${WORD}", "default_timeout": 9, "host": "${PLACE:localhost}",
    }  # fmt: skip
    assert "hunter2" not in (FOLDER / "iii-http.yaml").read_text()
    assert engine.module("iii-http").config.not_found_function == "hunter2hunter2"
    with pytest.raises(iii.InvocationError) as refused:
        await set_to(engine, "http", {"port": "${WORD}"})
    assert refused.value.message == 'schema validation failed: port: expected a whole number, got "${WORD}"'


async def test_18_s3_3_a_start_says_once_what_is_hidden_and_tells_no_secret(
    engines: list[Reloading], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORD", "hunter2hunter2")
    write_entry(not_found_function="${WORD}", default_timeout=7)
    (FOLDER / "iii-state.yaml").write_text(
        json.dumps({"id": "iii-state", "name": "x", "value": {"max_value_bytes": "${WORD}"}})
    )
    text = HEAD + "  - {name: iii-http, config: {port: 0}}\n  - {name: iii-state, config: {max_value_bytes: 7}}\n"
    engine = await running(engines, text, WORD="hunter2hunter2")
    warnings = "\n".join(engine.load().warnings)
    assert warnings.count("hidden by") == 1
    assert 'max_value_bytes: expected a whole number, got "${WORD}"' in warnings
    await set_to(engine, "http", {"port": 0, "default_timeout": 8})
    await until(lambda: engine.module("iii-http").config.default_timeout == 8)
    assert caplog.text.count("hidden by config/iii-http.yaml") == 1, "by the reload, not by the start"
    assert "hunter2" not in caplog.text


async def test_18_s3_3_what_is_set_back_while_a_reload_is_at_work_counts(
    engines: list[Reloading], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reload has read the value before already."""
    has_read, may_go_on, ends = threading.Event(), threading.Event(), list[int]()
    load = Reloading.load

    def held(engine: Reloading, stored: Stored | None = None) -> ServerConfig:
        config = load(engine, stored)
        if stored:
            has_read.set()
            may_go_on.wait(60)
        return config

    monkeypatch.setattr(Reloading, "load", held)
    engine = await running(engines, HEAD + "  - {name: iii-state, config: {max_value_bytes: 7}}\n")
    engine.reload.ended.subscribe(lambda: ends.append(engine.module("iii-state").config.max_value_bytes))
    await set_to(engine, "state", {"max_value_bytes": 9})
    await until(has_read.is_set)
    await engine.call("configuration::delete", id="state")
    may_go_on.set()
    await until(lambda: len(ends) == 2)
    assert ends == [9, 7]


async def test_18_s2_3_the_log_says_which_variable_of_stored_settings_is_not_set(
    engines: list[Reloading], caplog: pytest.LogCaptureFixture
) -> None:
    engine = await running(engines, HEAD + "  - {name: iii-state, config: {max_value_bytes: 7}}\n")
    await set_to(engine, "state", {"max_value_bytes": "${NOT_SET_ANYWHERE}"})
    (told,) = [record for record in caplog.records if vars(record).get("event") == VALUE_NOT_LOADED.name]
    assert vars(told)["fields"] == {"configuration": "iii-state", "reason": "not set: NOT_SET_ANYWHERE"}
    assert engine.module("iii-state").config.max_value_bytes == 7


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
