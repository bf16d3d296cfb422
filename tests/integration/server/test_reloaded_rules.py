"""The configuration file changes who may do what, under connected sessions (20 §10)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import iii
from iii.protocol.access_token import hash_of, new_token
from tests.integration.server.reloading import Reloading
from tests.integration.server.waiting import until

TOKENS = {"stays": new_token(), "goes": new_token()}


def rules(*entries: tuple[str, str]) -> str:
    lines = "".join(
        f"\n            - {{name: {name}, hash: '{hash_of(TOKENS[name])}', {rest}}}" for name, rest in entries
    )
    return f"""\
workers:
  - {{name: iii-worker-manager, config: {{port: 0}}}}
  - name: iii-worker-manager
    config:
      port: 0
      rbac:
        tokens:{lines or " []"}
"""


async def session(port: int, token: str) -> iii.Worker:
    options: dict[str, Any] = {"otel": {"enabled": False}, "enable_metrics_reporting": False}
    headers = {"Authorization": f"Bearer {TOKENS[token]}"}
    return await iii.connect_worker(f"ws://127.0.0.1:{port}", iii.InitOptions(headers=headers, **options))


async def called(worker: iii.Worker, function_id: str) -> str:
    """What it answers, or the code of the error."""
    try:
        return str(await worker.trigger_async({"function_id": function_id, "payload": {}}))
    except iii.InvocationError as error:
        return error.code


async def test_20_check_43_sessions_of_tokens_that_stay_are_untouched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    engine = Reloading(
        tmp_path / "config.yaml", rules(("stays", "allow: ['match(\"api::a\")']"), ("goes", "allow: [worker]"))
    )
    await engine.start()
    try:
        engine.worker.register_function("api::a", lambda data: "a")
        engine.worker.register_function("api::b", lambda data: "b")
        await engine.functions()
        manager = engine.module("iii-worker-manager#1")
        port = manager.listener.port
        stays, goes = await session(port, "stays"), await session(port, "goes")
        try:
            assert await called(stays, "api::a") == "a"
            first = stays.worker_id

            assert await engine.write(rules(("stays", "allow: ['match(\"api::b\")']")))

            assert engine.module("iii-worker-manager#1") is manager
            assert manager.listener.port == port
            assert (await called(stays, "api::a"), await called(stays, "api::b")) == ("FORBIDDEN", "b")
            assert stays.worker_id == first
            await until(lambda: goes.get_connection_state() != "connected")
            assert await engine.write(rules(("goes", "allow: [worker]")))
            await until(lambda: goes.get_connection_state() == "connected")
            assert not await engine.write(rules(("goes", "allow: ['mach(\"x\")']")))
            assert await called(goes, "engine::health::check") != "FORBIDDEN", "a mistake leaves the rules as they are"
        finally:
            await stays.shutdown_async()
            await goes.shutdown_async()
    finally:
        await engine.stop()


async def test_20_10_a_listener_gets_rules_and_loses_them_without_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers log in again; the port, its channels and everybody else stay."""
    monkeypatch.chdir(tmp_path)
    config = "workers:\n  - {name: iii-worker-manager, config: {port: 0}}\n  - {name: iii-worker-manager, config: {port: 0}}\n"
    engine = Reloading(tmp_path / "config.yaml", config)
    await engine.start()
    try:
        manager = engine.module("iii-worker-manager#1")
        port, elsewhere = manager.listener.port, engine.worker.worker_id
        stays, goes = await session(port, "stays"), await session(port, "goes")
        try:
            channel = await stays.create_channel_async()
            await channel.writer.send_message("before")
            first = stays.worker_id

            assert await engine.write(rules(("stays", "allow: ['match(\"api::a\")']")))

            assert engine.module("iii-worker-manager#1") is manager
            assert manager.listener.port == port
            assert engine.worker.worker_id == elsewhere
            await until(lambda: stays.worker_id != first and stays.get_connection_state() == "connected")
            await until(lambda: goes.get_connection_state() != "connected")
            assert await called(stays, "api::b") == "FORBIDDEN"
            await channel.writer.send_message("after")
            second = stays.worker_id

            assert await engine.write(config)

            assert engine.module("iii-worker-manager#1") is manager
            await until(lambda: stays.worker_id != second and stays.get_connection_state() == "connected")
            await until(lambda: goes.get_connection_state() == "connected")
            assert await called(stays, "api::b") == "function_not_found"
            await channel.writer.close()
        finally:
            await stays.shutdown_async()
            await goes.shutdown_async()
    finally:
        await engine.stop()
