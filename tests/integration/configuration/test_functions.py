"""`configuration::*` as workers call them (07 checks 49–53, 18 §2.2)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from iii.modules.observability.module import Observability
from tests.integration.configuration.office import PORT, Office, Open
from tests.integration.server.waiting import until

DEADLINE_S = 60.0


async def test_07_check_49_set_answers_with_old_and_new(office: Office) -> None:
    assert await office.register() == {
        "id": "svc", "name": "Service", "description": "Settings", "schema": PORT, "value": None,
    }  # fmt: skip
    assert await office.set({"port": 4242}) == {"old_value": None, "new_value": {"port": 4242}}
    assert await office.set({"port": 1}) == {"old_value": {"port": 4242}, "new_value": {"port": 1}}
    assert await office.get() == {"port": 1}


@pytest.mark.parametrize(
    ("function", "payload", "code", "text"),
    [
        ("set", {"id": "svc", "value": {"port": "x"}}, "SCHEMA_INVALID", 'schema validation failed: port: "x" is not of type "integer"'),
        ("set", {"id": "new", "value": 1}, "NOT_REGISTERED", "configuration 'new' is not registered; call configuration::register first"),
        ("set", {"id": "Bad.Id", "value": 1}, "INVALID_ID", "invalid configuration id 'Bad.Id': must match [a-z0-9_-]{1,64}"),
        ("set", {"id": "x" * 65, "value": 1}, "INVALID_ID", "must match"),
        ("set", {"id": "svc"}, "deserialization_error", "missing field `value`"),
        ("set", {"id": "svc", "value": [[]] * 20_001}, "SCHEMA_INVALID", "exceeds the limit of 20000 values"),
        ("set", {"id": "svc", "value": "x" * 300_000}, "SCHEMA_INVALID", "exceeds the limit of 262144"),
        ("get", {"id": "Bad.Id"}, "NOT_FOUND", "configuration 'Bad.Id' not found"),
        ("schema", {"id": "x" * 65}, "NOT_FOUND", "not found"),
        ("get", {"id": "svc", "live": True}, "NOT_FOUND", "is not of a module"),
        ("delete", {"id": "new"}, "NOT_FOUND", "configuration 'new' not found"),
    ],
)  # fmt: skip
async def test_07_check_49_refusals(office: Office, function: str, payload: Any, code: str, text: str) -> None:
    await office.register()
    found, message = await office.error(f"configuration::{function}", payload)
    assert found == code
    assert text in message


@pytest.mark.parametrize(
    ("change", "code", "text"),
    [
        ({"id": "Bad.Id"}, "INVALID_ID", "must match"), ({"schema": 5, "initial_value": 1}, "SCHEMA_INVALID", "invalid JSON Schema"),
        ({"initial_value": {"port": "x"}}, "SCHEMA_INVALID", "schema validation failed"), ({"name": 1}, "deserialization_error", "`$.name`"),
    ],
)  # fmt: skip
async def test_18_s2_2_a_registration_is_checked(office: Office, change: Any, code: str, text: str) -> None:
    payload = {"id": "svc", "name": "S", "description": "D", "schema": PORT, **change}
    found, message = await office.error("configuration::register", payload)
    assert (found, text in message) == (code, True)


async def test_18_s2_2_a_registration_needs_a_schema(office: Office) -> None:
    code, message = await office.error("configuration::register", {"id": "svc", "name": "S", "description": "D"})
    assert (code, message[-22:]) == ("deserialization_error", "missing field `schema`")


async def test_07_check_50_a_template_is_kept_and_filled_when_it_is_read(office: Office) -> None:
    await office.register(initial_value={"port": "${P:3111}"})
    assert await office.get() == {"port": 3111}
    assert await office.get(raw=True) == {"port": "${P:3111}"}
    await office.set({"port": "${Q}"})
    code, message = await office.error("configuration::get", {"id": "svc"})
    assert code == "EXPAND_FAILED"
    assert message == "configuration 'svc' references unset environment variable(s) with no default: Q"


@pytest.mark.parametrize(
    ("placeholder", "count", "limit"), [("${P:1.0}", 1_001, "1000 placeholders"), ("${P:1.%s}" % ("0" * 1_000), 300, "262144 bytes")]
)  # fmt: skip
async def test_18_s2_5_a_value_is_within_its_limits_with_its_placeholders(
    office: Office, placeholder: str, count: int, limit: str
) -> None:
    """Else its file could not be read again, or have gigabytes: one placeholder stood for all items that are alike."""
    await office.register(schema={}, initial_value=[placeholder])
    code, message = await office.error("configuration::set", {"id": "svc", "value": [1.0] * count})
    assert (code, message) == ("SCHEMA_INVALID", f"value with its placeholders exceeds the limit of {limit}")
    await office.set([1.0, 1.0])
    assert await office.get(raw=True) == [placeholder] * 2


async def test_07_check_51_a_list_is_sorted_and_has_no_values(office: Office) -> None:
    for entry_id in ("b", "a"):
        await office.register(entry_id, initial_value={"port": 1}, metadata={"owner": entry_id})
    assert (await office.call("configuration::list"))["configurations"] == [
        {"id": each, "name": "Service", "description": "Settings", "schema": PORT, "metadata": {"owner": each}}
        for each in ("a", "b")
    ]


async def test_07_check_52_a_registration_again_keeps_the_value(office: Office) -> None:
    await office.register(initial_value={"port": 1}, metadata={"a": 1})
    again = await office.register(schema={"type": "string"})
    assert again == {
        "id": "svc",
        "name": "Service",
        "description": "Settings",
        "schema": {"type": "string"},
        "value": {"port": 1},
    }
    assert "metadata" not in office.file().read_text()
    assert (await office.error("configuration::get", {"id": "svc"}))[0] == "SCHEMA_INVALID"
    assert await office.get(raw=True) == {"port": 1}


async def test_18_s2_6_values_outlive_the_engine_and_schemas_do_not(office: Office, open_office: Open) -> None:
    await office.register(initial_value={"port": 1})
    office = await open_office()
    assert await office.get() == {"port": 1}
    assert (await office.call("configuration::schema", id="svc"))["schema"] is None
    assert (await office.error("configuration::set", {"id": "svc", "value": 1}))[0] == "SCHEMA_UNAVAILABLE"
    assert (await office.register())["value"] == {"port": 1}


async def test_18_s2_2_a_deleted_entry_is_gone_with_its_file(office: Office) -> None:
    heard = await office.on()
    await office.register(initial_value={"port": 1})
    assert await office.call("configuration::delete", id="svc") == {"deleted": True, "old_value": {"port": 1}}
    assert not office.file().exists()
    await until(lambda: len(heard) == 2)
    assert (heard[1]["event_type"], heard[1]["new_value"]) == ("configuration:deleted", None)


async def test_18_s2_6_what_cannot_be_written_is_not_set(office: Office) -> None:
    await office.register(initial_value={"port": 1})
    office.file().with_suffix(".yaml.tmp").mkdir()  # where the new text would be written first
    code, message = await office.error("configuration::set", {"id": "svc", "value": {"port": 2}})
    assert (code, message) == ("ADAPTER_ERROR", "Is a directory (os error 21)")
    assert await office.get() == {"port": 1}


async def test_07_check_53_a_trigger_hears_of_what_it_asks_for(office: Office) -> None:
    everything = await office.on()
    updates = await office.on({"event_types": ["configuration:updated"]})
    others = await office.on({"configuration_id": "other"})
    never = await office.on({"event_types": [], "unknown": 1})
    await office.register(initial_value={"port": "${SET}"}, metadata={"owner": "x"})
    await office.set({"port": 5})
    await until(lambda: len(everything) == 2 and updates)
    assert everything[1] == {
        "type": "configuration", "event_type": "configuration:updated", "id": "svc", "name": "Service",
        "description": "Settings", "schema": PORT, "old_value": {"port": 7}, "new_value": {"port": 5}, "metadata": {"owner": "x"},
    }  # fmt: skip
    assert (everything[0]["event_type"], everything[0]["old_value"]) == ("configuration:registered", None)
    assert updates == everything[1:]
    assert not others
    assert not never


@pytest.mark.parametrize("config", ["text", {"configuration_id": 5}, {"event_types": "x"}])
async def test_18_s2_7_a_bad_trigger_is_refused(office: Office, config: Any) -> None:
    payload = {"trigger_type": "configuration", "function_id": "f", "config": config}
    code, message = await office.error("engine::register_trigger", payload)
    assert code == "trigger_registration_failed"
    assert "Failed to parse configuration trigger config" in message


async def test_07_check_55_an_entry_without_a_trigger_of_its_own_expires(open_office: Open) -> None:
    office = await open_office(ttl_seconds=1)
    everything = await office.on()
    own = await office.on({"configuration_id": "svc"})
    await office.register(initial_value={"port": 1})
    office.triggers[id(own)].unregister()
    await office.settled()
    await office.on({"configuration_id": "svc"})  # in time
    await asyncio.sleep(1.2)
    assert await office.get() == {"port": 1}
    leaving = await office.connect()
    await office.register("left", initial_value=1, schema={})
    await office.on({"configuration_id": "left"}, leaving)
    await leaving.shutdown_async()
    await until(lambda: any(each["event_type"] == "configuration:deleted" for each in everything))
    assert (everything[-1]["id"], office.file("left").exists()) == ("left", False)


async def test_17_s6_targets_of_a_change_belong_to_one_span_within_the_writers_trace(office: Office) -> None:
    observability = Observability(office.engine)
    office.engine.add_module(observability)
    traced = await office.connect(otel={"enabled": True})
    first, second = await office.on(), await office.on()

    async def named(name: str) -> list[dict[str, Any]]:
        """Spans of the engine that have ended."""
        found = await office.call("engine::traces::list", search_all_spans=True, include_internal=True)
        ended = [span for span in found["spans"] if not {"resource", "pending"} & span.keys()]
        return [span for span in ended if span["name"] == name]

    await office.register(initial_value={"port": 1})  # by a worker without traces
    await traced.trigger_async({"function_id": "configuration::set", "payload": {"id": "svc", "value": {"port": 2}}})
    async with asyncio.timeout(DEADLINE_S):
        while len(fan_outs := await named("configuration_triggers")) < 2:  # noqa: ASYNC110 - the store tells nobody
            await asyncio.sleep(0.01)
    assert len(first) == len(second) == 2
    (call,) = await named("call configuration::set")
    assert [span["parent_span_id"] for span in fan_outs] == [None, call["span_id"]]
    assert [span["status"] for span in fan_outs] == ["ok", "ok"]
    observability.tracing.stop()
