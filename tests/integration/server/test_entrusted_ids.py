"""Functions that the configuration trusts to decide are not a session's, even while their worker is away (20 §5)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import iii
from iii.protocol.access_token import hash_of, new_token
from tests.integration.server.reloading import Reloading

TOKENS = {"guest": new_token(), "named": new_token()}
CONFIG = f"""\
workers:
  - {{name: iii-worker-manager, config: {{port: 0}}}}
  - name: iii-worker-manager
    config:
      port: 0
      rbac:
        on_function_registration_function_id: t::hook
        on_trigger_registration_function_id: t::hook2
        tokens:
          - {{name: guest, hash: "{hash_of(TOKENS["guest"])}", allow: [worker]}}
          - {{name: named, hash: "{hash_of(TOKENS["named"])}", allow: [worker], register: ['match("t::hook2")']}}
  - {{name: iii-http, config: {{port: 0, middleware: [{{function_id: t::mw, phase: preHandler}}], not_found_function: t::404}}}}
  - {{name: iii-stream, config: {{port: 0, auth_function: t::auth}}}}
"""


async def session(port: int, token: str) -> iii.Worker:
    options: dict[str, Any] = {"otel": {"enabled": False}, "enable_metrics_reporting": False}
    headers = {"Authorization": f"Bearer {TOKENS[token]}"}
    return await iii.connect_worker(f"ws://127.0.0.1:{port}", iii.InitOptions(headers=headers, **options))


async def test_20_check_45_they_are_for_trusted_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    engine = Reloading(tmp_path / "config.yaml", CONFIG)
    await engine.start()
    try:
        engine.worker.register_function("t::hook", lambda registration: {})
        await engine.functions()
        port = engine.module("iii-worker-manager#1").listener.port
        guest, named = await session(port, "guest"), await session(port, "named")
        try:
            for function_id in ("t::hook2", "t::mw", "t::404", "t::auth", "guest::own"):
                guest.register_function(function_id, lambda data: "guest")
            named.register_function("t::hook2", lambda registration: {})
            assert await guest.list_functions_async()
            assert await named.list_functions_async()
            found = {each for each in await engine.functions() if each.startswith(("t::", "guest::"))}
            assert found == {"t::hook", "t::hook2", "guest::own"}
            owner = engine.server.engine.functions.find("t::hook2", None)
            assert owner is not None
            assert owner.owner.worker_id == named.worker_id

            changed = CONFIG.replace("not_found_function: t::404", "not_found_function: guest::own")
            assert await engine.write(changed)
            found = {each for each in await engine.functions() if each.startswith(("t::", "guest::"))}
            assert found == {"t::hook", "t::hook2"}, "registered first, trusted later"
            assert guest.get_connection_state() == "connected"
        finally:
            await guest.shutdown_async()
            await named.shutdown_async()
    finally:
        await engine.stop()
