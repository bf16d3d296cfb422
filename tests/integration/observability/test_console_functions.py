"""What the console asks of observability: rules of alerts are changed (16 §6.1), the engine's metrics are listed (16 §5.1)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

import iii
from iii.protocol.access_token import hash_of
from tests.integration.server.waiting import until
from tests.processes import EngineProcess, free_port

OPERATOR = "operator-token-of-this-test-1"
RULE = {"name": "many", "metric": "iii.invocations.total", "threshold": 1e9, "operator": ">"}
DEADLINE_S = 60.0


@pytest.fixture(scope="module")
def guarded() -> Iterator[tuple[EngineProcess, str]]:
    """With where operators connect."""
    port = free_port()
    config = f"""
workers:
  - {{name: iii-worker-manager, config: {{port: {{port}}}}}}
  - name: iii-worker-manager
    config:
      port: {port}
      rbac: {{tokens: [{{name: ops, hash: '{hash_of(OPERATOR)}', allow: [operator, 'match("app::*")']}}]}}
  - name: iii-observability
    config: {{service_name: '${{NAME:shop}}', alerts: [{{name: of the file, metric: iii.workers.deaths, threshold: 5}}]}}
"""
    with EngineProcess(config=config) as engine:
        yield engine, f"ws://127.0.0.1:{port}"


@pytest.fixture
async def trusted(guarded: tuple[EngineProcess, str]) -> AsyncIterator[iii.Worker]:
    worker = await iii.connect_worker(guarded[0].url, iii.InitOptions(otel={"enabled": False}))
    yield worker
    await worker.shutdown_async()


@pytest.fixture
async def operator(guarded: tuple[EngineProcess, str]) -> AsyncIterator[iii.Worker]:
    headers = {"Authorization": f"Bearer {OPERATOR}"}
    worker = await iii.connect_worker(guarded[1], iii.InitOptions(headers=headers, otel={"enabled": False}))
    yield worker
    await worker.shutdown_async()


async def ask(worker: iii.Worker, function_id: str, payload: Any = None) -> Any:
    async with asyncio.timeout(DEADLINE_S):
        return await worker.trigger_async({"function_id": function_id, "payload": payload or {}})


async def code_of(worker: iii.Worker, function_id: str, payload: Any) -> tuple[str, str]:
    with pytest.raises(iii.InvocationError) as refused:
        await ask(worker, function_id, payload)
    return refused.value.code, refused.value.message


async def rules(worker: iii.Worker, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """By name, once they are so."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            listed = await ask(worker, "engine::alerts::list")
            found = {row["name"]: row for row in listed["rules"]}
            if wanted(found):
                return found
            await asyncio.sleep(0.05)


async def test_16_6_1_rules_are_made_replaced_and_removed(trusted: iii.Worker) -> None:
    made = await ask(trusted, "engine::alerts::set", {"rule": RULE})
    await rules(trusted, lambda found: set(found) == {"of the file", "many"})
    changed = await ask(trusted, "engine::alerts::set", {"rule": {**RULE, "threshold": 7, "cooldown_seconds": 5}})
    found = await rules(trusted, lambda found: found["many"]["threshold"] == 7)
    stored = (await ask(trusted, "configuration::get", {"id": "iii-observability", "raw": True}))["value"]
    removed = await ask(trusted, "engine::alerts::delete", {"name": "many"})
    await rules(trusted, lambda found: set(found) == {"of the file"})

    assert (made, changed) == ({"name": "many", "created": True}, {"name": "many", "created": False})
    assert (found["many"]["operator"], found["many"]["cooldown_seconds"]) == ("greaterthan", 5)
    assert (stored["service_name"], [each["name"] for each in stored["alerts"]]) == (
        "${NAME:shop}",
        ["of the file", "many"],
    )
    assert (removed, await ask(trusted, "engine::alerts::delete", {"name": "many"})) == (
        {"deleted": True}, {"deleted": False},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "named"),
    [
        ({**RULE, "metric": "iii.invocations.totl"}, "iii.invocations.total"),
        ({**RULE, "operator": "~"}, "operator"),
        ({**RULE, "action": {"type": "webhook"}}, "url"),
        ({**RULE, "name": " "}, "rule.name"),
        ({**RULE, "action": {"type": "function", "path": "engine::logs::clear"}}, "engine::logs::clear"),
    ],
)
async def test_16_6_1_a_rule_that_makes_no_sense_changes_nothing(
    trusted: iii.Worker, rule: dict[str, Any], named: str
) -> None:
    _, text = await code_of(trusted, "engine::alerts::set", {"rule": rule})

    assert named in text
    await rules(trusted, lambda found: set(found) == {"of the file"})


async def test_16_6_1_a_session_gets_nothing_by_a_rule(trusted: iii.Worker, operator: iii.Worker) -> None:
    """Neither variables of the engine, nor calls, nor requests that it could not make itself."""

    async def refused(**action: Any) -> str:
        code, text = await code_of(operator, "engine::alerts::set", {"rule": {**RULE, "action": action}})
        assert code == "FORBIDDEN"
        return text

    assert "placeholders" in await refused(type="webhook", url="https://evil.example/${HOME}")
    assert "allow_private_hosts" in await refused(type="webhook", url="http://10.0.0.1", allow_private_hosts=True)
    assert "private::f" in await refused(type="function", path="private::f")
    action = {"type": "function", "path": "app::f"}
    assert (await ask(operator, "engine::alerts::set", {"rule": {**RULE, "action": action}}))["created"]
    await rules(trusted, lambda found: "many" in found)
    assert (await ask(operator, "engine::alerts::delete", {"name": "many"}))["deleted"]
    await rules(trusted, lambda found: set(found) == {"of the file"})


async def test_16_6_1_a_session_changes_a_rule_whose_placeholder_it_cannot_read(
    trusted: iii.Worker, operator: iii.Worker, guarded: tuple[EngineProcess, str]
) -> None:
    action = {"type": "webhook", "url": "https://hooks.example/${HOOK:7}", "allow_private_hosts": True}
    rule = {**RULE, "name": "hook", "action": action}
    await ask(trusted, "engine::alerts::set", {"rule": rule, "replace": False})
    listed = (await rules(operator, lambda found: "hook" in found))["hook"]
    assert listed["action"] == action
    answer = await ask(operator, "engine::alerts::set", {"rule": {**listed, "threshold": 5}})
    assert answer == {"name": "hook", "created": False}
    assert (
        "placeholders" in (await code_of(operator, "engine::alerts::set", {"rule": {**listed, "metric": "${HOME}"}}))[1]
    )
    assert (await code_of(operator, "engine::alerts::set", {"rule": rule, "replace": False}))[0] == "alert_exists"
    assert (await ask(operator, "engine::alerts::delete", {"name": "hook"}))["deleted"]
    await rules(trusted, lambda found: set(found) == {"of the file"})

    def logged(event: str) -> bool:
        return any('who: "ops"' in entry.partition("\n[")[0] for entry in guarded[0].log().split(event)[1:])

    await until(lambda: logged("alert.rule_set") and logged("alert.rule_deleted"), DEADLINE_S)


async def test_16_6_1_settings_that_are_one_placeholder_are_not_changed() -> None:
    config = """
workers:
  - {name: iii-worker-manager, config: {port: {port}}}
  - {name: iii-observability, config: ${ALL}}
"""
    with EngineProcess(config=config, env={"ALL": "{level: info}"}) as engine:
        worker = await iii.connect_worker(engine.url, iii.InitOptions(otel={"enabled": False}))
        try:
            code, text = await code_of(worker, "engine::alerts::set", {"rule": RULE})
        finally:
            await worker.shutdown_async()
    assert (code, "${ALL}" in text) == ("alerts_not_changed", True)


async def test_16_6_1_no_change_is_lost_beside_other_changes_of_the_entry(trusted: iii.Worker) -> None:
    names = {f"rule {number}" for number in range(4)}

    async def others() -> None:
        for number in range(6):
            found = await ask(trusted, "configuration::get", {"id": "iii-observability", "raw": True})
            value = {**found["value"], "service_name": f"shop {number}"}
            with suppress(iii.InvocationError):  # a rule came first
                await ask(
                    trusted, "configuration::set",
                    {"id": "iii-observability", "value": value, "expected": found["value"]},
                )  # fmt: skip

    async with asyncio.TaskGroup() as group:
        group.create_task(others())
        for name in names:
            group.create_task(ask(trusted, "engine::alerts::set", {"rule": {**RULE, "name": name}}))
    stored = (await ask(trusted, "configuration::get", {"id": "iii-observability", "raw": True}))["value"]
    assert {each["name"] for each in stored["alerts"]} == names | {"of the file"}
    async with asyncio.TaskGroup() as group:
        for name in names:
            group.create_task(ask(trusted, "engine::alerts::delete", {"name": name}))
    await rules(trusted, lambda found: set(found) == {"of the file"})


async def test_16_5_1_the_engine_tells_its_own_metrics(operator: iii.Worker) -> None:
    answer = await ask(operator, "engine::metrics::series", {"names": ["iii.connections", "iii.event_loop.*"]})

    assert {"iii.connections", "iii.event_loop.lag", "iii.invocations.total"} <= set(answer["names"])
    assert {row["name"]: row["kind"] for row in answer["series"]} == {
        "iii.connections": "gauge", "iii.event_loop.lag": "histogram",
    }  # fmt: skip
    code, _ = await code_of(operator, "engine::metrics::series", {"limit": 501})
    assert code
