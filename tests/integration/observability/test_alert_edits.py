"""Rules of alerts are changed by call (16 §6.1)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

import iii
from iii.protocol.access_token import hash_of
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
    assert (stored["service_name"], [each["name"] for each in stored["alerts"]]) == ("shop", ["of the file", "many"])
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
