"""`state::*` against a dict, on every adapter (issue 5)."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from iii.engine.engine import Engine
from iii.modules.state.config import StateConfig
from iii.modules.state.module import State
from iii.protocol.errors import InvocationError
from iii.server.clock import LoopClock
from iii.storage.adapter import AdapterConfig
from tests.integration.storage.redis_server import RedisServer
from tests.property.test_update_operations import ABSENT, OPS, VALUES, model

SCOPES = st.sampled_from(["a", "b", "", "a:b", "*"])
KEYS = st.sampled_from(["k", "l", "", "k:l"])


class StateMachine(RuleBasedStateMachine):
    """One engine; a dict of dicts says what it must hold."""

    adapter: AdapterConfig
    ordered = True
    survives = False

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        self.expected: dict[str, dict[str, Any]] = {}
        self.start()

    def start(self) -> None:
        adapter = self.adapter
        if adapter.kind(StateConfig.adapters) == "kv":
            adapter = AdapterConfig(config={**(adapter.config or {}), "file_path": self.folder.name})
        self.engine = Engine(LoopClock(self.loop))
        self.state = State(self.engine, StateConfig(adapter=adapter))
        self.engine.add_module(self.state)
        self.loop.run_until_complete(self.state.start())

    def call(self, function_id: str, **payload: Any) -> Any:
        """The result; ABSENT for none."""

        async def called() -> Any:
            answer: asyncio.Future[Any] = self.loop.create_future()

            def done(result: bytes | None, error: InvocationError | None) -> None:
                if error is None:
                    answer.set_result(ABSENT if result is None else json.loads(result))
                else:
                    answer.set_exception(error)

            self.engine.router.call(f"state::{function_id}", None, json.dumps(payload).encode(), done)
            async with asyncio.timeout(60):
                return await answer

        return self.loop.run_until_complete(called())

    @rule(scope=SCOPES, key=KEYS, value=VALUES)
    def set(self, scope: str, key: str, value: Any) -> None:
        old = self.expected.get(scope, {}).get(key)
        assert same(self.call("set", scope=scope, key=key, value=value), {"old_value": old, "new_value": value})
        self.expected.setdefault(scope, {})[key] = value

    @rule(scope=SCOPES, key=KEYS)
    def get(self, scope: str, key: str) -> None:
        found = self.call("get", scope=scope, key=key)
        expected = self.expected.get(scope, {}).get(key, ABSENT)
        assert found is expected if ABSENT in (found, expected) else same(found, expected)

    @rule(scope=SCOPES, key=KEYS)
    def delete(self, scope: str, key: str) -> None:
        gone = self.call("delete", scope=scope, key=key)
        expected = self.expected.get(scope, {}).pop(key, ABSENT)
        assert gone is expected if ABSENT in (gone, expected) else same(gone, expected)
        if scope in self.expected and not self.expected[scope]:
            del self.expected[scope]

    @rule(scope=SCOPES, key=KEYS, ops=st.lists(OPS, max_size=4))
    def update(self, scope: str, key: str, ops: list[dict[str, Any]]) -> None:
        start = self.expected.get(scope, {}).get(key, ABSENT)
        new, bad = model(start, ops)
        done = self.call("update", scope=scope, key=key, ops=ops)
        assert same(done["old_value"], None if start is ABSENT else start)
        assert same(done["new_value"], new)
        assert [error["op_index"] for error in done.get("errors", [])] == bad
        self.expected.setdefault(scope, {})[key] = new

    @rule(scope=SCOPES, key=KEYS, wanted=VALUES, new=VALUES, hit=st.booleans())
    def compare_and_set(self, scope: str, key: str, wanted: Any, new: Any, hit: bool) -> None:
        there = self.expected.get(scope, {}).get(key, ABSENT)
        wanted = there if hit and there is not ABSENT else wanted
        outcome = self.call("compare_and_set", scope=scope, key=key, expected_value=wanted, new_value=new)["outcome"]
        if there is ABSENT:
            assert outcome == "not_found"
        elif same(there, wanted):
            assert outcome == "applied"
            self.expected[scope][key] = new
        else:
            assert outcome == "conflict"

    @precondition(lambda self: self.survives)
    @rule()
    def restart(self) -> None:
        self.loop.run_until_complete(self.state.stop())
        self.start()

    @invariant()
    def lists_are_what_is_expected(self) -> None:
        assert self.call("list_groups")["groups"] == sorted(self.expected)
        for scope in ("a", "a:b"):
            keys = self.call("list_keys", scope=scope)["keys"]
            expected = list(self.expected.get(scope, {}))
            assert keys == expected if self.ordered else sorted(keys) == sorted(expected)
            entries = self.call("list_entries", scope=scope)["entries"]
            assert same(dict(entries), {key: self.expected[scope][key] for key in keys})
            assert len(self.call("list", scope=scope)) == len(expected)

    def teardown(self) -> None:
        for scope, values in self.expected.items():
            for key in values:
                self.call("delete", scope=scope, key=key)
        self.loop.run_until_complete(self.state.stop())
        self.loop.close()
        self.folder.cleanup()


def same(found: Any, expected: Any) -> bool:
    """1, 1.0 and true are three; the order of members is none's."""
    return json.dumps(found, sort_keys=True) == json.dumps(expected, sort_keys=True)


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    server = RedisServer(tmp_path)
    server.start()
    yield server.url
    server.kill()


@pytest.mark.parametrize("kind", ["memory", "sqlite", "redis"])
def test_state_is_a_dict_of_dicts(kind: str, request: pytest.FixtureRequest) -> None:
    class Machine(StateMachine):
        ordered = kind != "redis"
        survives = kind == "sqlite"
        adapter = (
            AdapterConfig(name="redis", config={"redis_url": request.getfixturevalue("redis_url")})
            if kind == "redis"
            else AdapterConfig(config={"store_method": "in_memory" if kind == "memory" else "file_based"})
        )

    run_state_machine_as_test(
        Machine, settings=settings(max_examples=60 if kind == "memory" else 15, stateful_step_count=30)
    )
