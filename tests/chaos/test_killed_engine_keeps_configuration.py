"""kill -9 of the engine during `configuration::set`: the file has the old value or the new one, never half of one (18 §2.6)."""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path
from typing import Any

import msgspec
import pytest

import iii
from iii.modules.configuration.folder import read_entry
from tests.integration.server.waiting import until
from tests.machine import scaled
from tests.processes import EngineProcess

KILLS = int(os.environ.get("III_TEST_KILLS", "12"))
LONGEST_S = 0.1
CONFIG = "workers:\n  - {name: iii-worker-manager, config: {host: 127.0.0.1, port: {port}}}\n"


def value_of(number: int) -> dict[str, Any]:
    return {"n": number, "text": f"{number} " * (number % 2000), "again": number}


@pytest.mark.timeout(300)
async def test_18_s2_6_a_kill_leaves_the_old_value_or_the_new_one(tmp_path: Path) -> None:
    sent = acknowledged = 0
    with EngineProcess(tmp_path, config=CONFIG) as engine:
        for round_number in range(KILLS):
            async with iii.connect_worker(engine.url, iii.InitOptions(otel={"enabled": False})) as worker:

                async def call(function_id: str, worker: iii.Worker = worker, **payload: Any) -> Any:
                    return await worker.trigger_async(
                        {"function_id": f"configuration::{function_id}", "payload": payload}
                    )

                entry = await call("register", id="svc", name="S", description="", schema={"type": "object"})
                if round_number:
                    stored = read_entry((tmp_path / "config" / "svc.yaml").read_bytes())
                    assert entry["value"] == msgspec.json.decode(stored.value)
                    if (value := entry["value"]) is None:  # killed before the first one
                        assert acknowledged == 0
                    else:
                        assert acknowledged <= value["n"] <= sent
                        assert value == value_of(value["n"])

                async def write() -> None:
                    nonlocal sent, acknowledged
                    while True:
                        sent += 1
                        await call("set", id="svc", value=value_of(sent))
                        acknowledged = sent

                before, writing = acknowledged, asyncio.ensure_future(write())
                if round_number % 2:  # else it may be in the first write, for which a slow disk takes long
                    await until(lambda before=before: acknowledged > before)  # type: ignore[misc]
                await asyncio.sleep(scaled(random.random() * LONGEST_S))  # that the moment is any moment is the point
                engine.kill()
                writing.cancel()
            engine.restart()
    assert acknowledged >= KILLS // 2
