"""Lists that take long to make let others have their turns (23 §5)."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any, cast

import msgspec
import pytest

from iii.console.desk import Desk
from iii.console.lists import triggers as lists
from iii.console.lists.flow import flow
from iii.console.lists.schedule import upcoming_ms
from iii.protocol.cron_expression import Expression

_COUNT = 40


class _Desk:
    async def read_as(self, kind: type[Any], function_id: str, payload: object = None) -> Any:
        rows = [
            {"id": f"{n}", "trigger_type": "cron", "function_id": "f", "config": {"expression": "* * * * * *"}}
            for n in range(_COUNT)
        ]
        return msgspec.json.decode(msgspec.json.encode({"registered_triggers": rows}), type=kind)


@pytest.mark.parametrize(
    ("make", "query"),
    [(lists.schedules, {"from": "0", "to": "5000"}), (lists.triggers, {"limit": "500", "internal": "true"})],
)
async def test_others_have_a_turn_after_each_schedule(make: Any, query: dict[str, str]) -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.ensure_future(others())
    found = await make(cast("Desk", _Desk()), query)
    beside.cancel()

    assert len(found.rows) == _COUNT
    assert turns >= _COUNT


class _FlowDesk:
    async def read_as(self, kind: type[Any], function_id: str, payload: object = None, timeout_ms: int = 0) -> Any:
        if "traces" in function_id:
            return msgspec.json.decode(b'{"spans":[],"total":0}', type=kind)
        config = {"api_path": "a", "http_method": "GET"}
        rows = [{"id": f"{n}", "trigger_type": "http", "function_id": "f", "config": config} for n in range(5_000)]
        return msgspec.json.decode(msgspec.json.encode({"registered_triggers": rows}), type=kind)


async def test_23_5_others_have_turns_while_triggers_are_put_into_the_map() -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.ensure_future(others())
    found = await flow(cast("Desk", _FlowDesk()), {})
    beside.cancel()

    assert len(found.edges) == 1
    assert turns >= 10


class _Counted(Expression):
    looked = 0

    def after(self, moment: datetime) -> datetime | None:
        self.looked += 1
        return super().after(moment)


def test_times_beyond_what_is_shown_are_not_computed() -> None:
    expression = _Counted("0 0 0 29 2 *", UTC, "documented")

    assert next(upcoming_ms(expression, datetime(2026, 1, 1, tzinfo=UTC), 500)) == 1_835_395_200_000
    assert expression.looked == 1
