"""The configuration file changes while the engine runs (07 checks 44–48, 18 §3)."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

import iii
from tests.integration.server.reloading import Reloading, Run
from tests.integration.server.waiting import until
from tests.processes import free_port

HEAD = "workers:\n  - {name: iii-worker-manager, config: {port: 0}}\n"


@pytest_asyncio.fixture
async def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Run]:
    monkeypatch.chdir(tmp_path)
    engines: list[Reloading] = []

    async def run(text: str) -> Reloading:
        engine = Reloading(tmp_path / "config.yaml", text)
        engines.append(engine)
        await engine.start()
        return engine

    yield run
    for engine in engines:
        await engine.stop()


def http(**options: object) -> str:
    return f"{HEAD}  - {{name: iii-http, config: {options}}}\n"


async def route(engine: Reloading) -> None:
    async def hello(data: object) -> dict[str, object]:
        return {"status_code": 200, "body": "hello"}

    engine.worker.register_function("hello", hello)
    config = {"api_path": "/hello", "http_method": "GET"}
    engine.worker.register_trigger({"type": "http", "function_id": "hello", "config": config})
    await engine.functions()


async def test_07_check_45_another_port_moves_the_http_server(run: Run) -> None:
    old, new = free_port(), free_port()
    engine = await run(http(port=old))
    await route(engine)
    worker_id = engine.worker.worker_id
    async with aiohttp.ClientSession() as session:
        async with session.get(f"http://127.0.0.1:{old}/hello") as response:
            assert response.status == 200
        assert await engine.write(http(port=new))
        assert await engine.get("/hello", new) == 200
        with pytest.raises(aiohttp.ClientError):  # the idle connection is closed, and the port
            await session.get(f"http://127.0.0.1:{old}/hello")
    assert engine.worker.worker_id == worker_id


async def test_18_s3_2_a_request_at_work_ends_at_the_port_that_is_left(run: Run) -> None:
    old, new = free_port(), free_port()
    engine = await run(http(port=old))
    entered, leave = asyncio.Event(), asyncio.Event()

    async def slow(data: object) -> dict[str, object]:
        entered.set()
        await leave.wait()
        return {"status_code": 200}

    engine.worker.register_function("slow", slow)
    config = {"api_path": "/slow", "http_method": "GET"}
    engine.worker.register_trigger({"type": "http", "function_id": "slow", "config": config})
    await engine.functions()
    asking = asyncio.ensure_future(engine.get("/slow", old))
    await entered.wait()
    moving = asyncio.ensure_future(engine.write(http(port=new)))
    await until(lambda: engine.module("iii-http").port == new)
    leave.set()
    assert await asking == 200
    assert await moving


async def test_18_s3_2_a_port_that_is_in_use_keeps_the_old_one(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    old = free_port()
    engine = await run(http(port=old))
    await route(engine)
    busy = engine.module("iii-worker-manager").listener.port
    assert not await engine.write(http(port=busy, default_timeout=5))
    assert "Reload rejected" in caplog.text
    assert f"address 127.0.0.1:{busy} is already in use" in caplog.text
    assert await engine.get("/hello", old) == 200
    assert engine.module("iii-http").config.default_timeout == 30_000


async def test_18_s3_1_settings_count_for_the_next_request(run: Run) -> None:
    engine = await run(http(port=0))
    await route(engine)
    module = engine.module("iii-http")
    assert await engine.write(http(port=0, not_found_function="hello", default_timeout=77))
    assert engine.module("iii-http") is module
    assert await engine.get("/nowhere") == 200


async def test_18_s3_1_what_cannot_change_at_work_is_started_again_with_its_triggers(run: Run) -> None:
    port = free_port()
    engine = await run(http(port=port))
    await route(engine)
    assert await engine.get("/hello/") == 404
    assert await engine.write(http(port=port, ignore_trailing_slash="true").replace("'true'", "true"))
    assert await engine.get("/hello/") == 200


async def test_L11_hangups_that_come_at_once_are_one_reload(run: Run) -> None:
    engine = await run(HEAD)
    begun = list[None]()
    engine.reload.begun.subscribe(lambda: begun.append(None))

    for _ in range(100):
        engine.reload.soon()
    await until(lambda: bool(begun))
    for _ in range(100):  # in the midst of one
        engine.reload.soon()
    await until(lambda: len(begun) == 2)
    await engine.reload.now()  # after all that wait

    assert len(begun) == 3


async def test_07_check_46_the_order_of_keys_is_no_change(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    port = free_port()
    engine = await run(http(port=port, default_timeout=5))
    assert await engine.write(http(default_timeout=5, port=port))
    assert "no module has other settings" in caplog.text


async def test_07_check_46_entries_of_one_name_are_paired_by_what_they_say(run: Run) -> None:
    ports = [free_port() for _ in range(3)]

    def listeners(*ports: int) -> str:
        return "workers:\n" + "".join(f"  - {{name: iii-worker-manager, config: {{port: {port}}}}}\n" for port in ports)

    engine = await run(listeners(*ports))
    before = [engine.module(f"iii-worker-manager{end}") for end in ("", "#1", "#2")]
    assert await engine.write(listeners(ports[2], ports[1]))
    assert engine.module("iii-worker-manager") is before[2]
    assert engine.module("iii-worker-manager#1") is before[1]
    assert [module.listener.port for module in before[1:]] == ports[1:]


async def test_07_check_47_a_removed_module_takes_its_functions_along(run: Run) -> None:
    engine = await run(HEAD + "  - {name: iii-state}\n")
    assert "state::set" in await engine.functions()
    assert await engine.write(HEAD)
    assert "state::set" not in await engine.functions()
    assert await engine.write(HEAD + "  - {name: iii-state}\n")
    assert await engine.call("state::set", scope="s", key="k", value=1) == {"old_value": None, "new_value": 1}


@pytest.mark.parametrize(
    "broken",
    ["workers: [", "", "  \n", HEAD + "  - {name: iii-htp}\n", HEAD + "  - {name: iii-http, config: {port: x}}\n"],
)
async def test_07_check_48_P18_a_broken_file_changes_nothing(
    run: Run, broken: str, caplog: pytest.LogCaptureFixture
) -> None:
    engine = await run(http(port=free_port()))
    await route(engine)
    before = [part.module for part in engine.server.parts]
    assert not await engine.write(broken)
    engine.path.unlink()
    assert not await engine.reload.now()
    assert [part.module for part in engine.server.parts] == before
    assert await engine.get("/hello") == 200
    assert caplog.text.count("Reload rejected") == 2
    assert "parse failed" in caplog.text
    assert "Config file not found" in caplog.text
    assert "put the file back, which the next start needs" in caplog.text
    assert "--use-default-config" not in caplog.text


async def test_L11_a_named_pipe_in_the_place_of_the_file_is_not_waited_for(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    """Else it is the last change of the file that is noticed."""
    engine = await run(HEAD)
    engine.path.unlink()
    os.mkfifo(engine.path)
    async with asyncio.timeout(60):
        assert not await engine.reload.now()
    assert "is a pipe, not a regular file; put the file back" in caplog.text
    engine.path.unlink()
    assert await engine.write(HEAD + "  - {name: iii-state}\n")


async def test_L11_what_was_changed_before_a_failure_is_taken_back(run: Run) -> None:
    taken = free_port()
    text = HEAD + "  - {name: iii-state, config: {max_value_bytes: 7}}\n  - {name: iii-pubsub}\n"
    engine = await run(text)
    pubsub = engine.module("iii-pubsub")
    blocker = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", taken)
    bad = (
        HEAD
        + f"  - {{name: iii-state, config: {{max_value_bytes: 9}}}}\n  - {{name: iii-http, config: {{port: {taken}}}}}\n"
    )
    assert not await engine.write(bad)
    blocker.close()
    assert engine.module("iii-state").config.max_value_bytes == 7
    assert engine.module("iii-pubsub") is not pubsub
    assert {"publish", "state::set"} <= await engine.functions()
    assert await engine.write(bad)
    assert "publish" not in await engine.functions()


async def test_L11_a_module_that_cannot_start_again_has_its_old_settings_back(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    engine = await run(http(port=port))
    await route(engine)
    assert not await engine.write(http(port=port, host="192.0.2.1"))  # an address of documentation
    assert "failed to bind to 192.0.2.1" in caplog.text
    assert await engine.get("/hello") == 200
    assert await engine.write(http(port=port, default_timeout=9))


async def test_18_s3_2_two_listeners_can_exchange_their_ports(run: Run) -> None:
    one, two = free_port(), free_port()

    def both(http_port: int, stream_port: int) -> str:
        return HEAD + (
            f"  - {{name: iii-http, config: {{port: {http_port}}}}}\n"
            f"  - {{name: iii-stream, config: {{port: {stream_port}}}}}\n"
        )

    engine = await run(both(one, 0))
    assert await engine.write(both(two, one))
    assert (engine.module("iii-http").port, engine.module("iii-stream").server.port) == (two, one)


async def test_18_s3_2_a_moved_worker_listener_closes_connections_with_a_restart(run: Run) -> None:
    one, two = free_port(), free_port()
    text = "workers: [{name: iii-worker-manager, config: {port: 0}}, {name: iii-worker-manager, config: {port: PORT}}]"
    engine = await run(text.replace("PORT", str(one)))
    async with aiohttp.ClientSession() as session, session.ws_connect(f"ws://127.0.0.1:{one}") as socket:
        assert await engine.write(text.replace("PORT", str(two)))
        while (message := await socket.receive()).type != aiohttp.WSMsgType.CLOSE:
            pass
        assert message.data == 1012
    async with aiohttp.ClientSession() as session, session.ws_connect(f"ws://127.0.0.1:{two}"):
        pass


async def test_18_s3_2_queues_come_and_change_while_jobs_run(run: Run) -> None:
    def queues(**configs: object) -> str:
        return HEAD + f"  - {{name: iii-queue, config: {{queue_configs: {configs}}}}}\n"

    engine = await run(queues(mails={"concurrency": 1}))
    queue = engine.module("iii-queue")
    assert await engine.write(queues(mails={"concurrency": 3}, others={"concurrency": 1}))
    assert engine.module("iii-queue") is queue
    assert queue.queues["mails"].config.concurrency == 3
    done: list[object] = []

    async def work(data: object) -> None:
        done.append(data)

    engine.worker.register_function("work", work)
    await engine.worker.trigger_async(
        {"function_id": "work", "payload": 1, "action": iii.TriggerAction.Enqueue(queue="others")}
    )
    await until(lambda: done == [1])


async def test_18_s3_2_levels_of_the_log_count_at_once_and_exporters_at_the_next_start(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    def observability(**options: object) -> str:
        return HEAD + f"  - {{name: iii-observability, config: {options}}}\n"

    engine = await run(observability())
    assert await engine.write(observability(level="debug", service_name="other"))
    config = engine.module("iii-observability").config
    assert (config.level, config.service_name == "other") == ("debug", False)
    assert "count at the next start" in caplog.text
    assert "service_name of iii-observability" in caplog.text
    assert "level of iii-observability" not in caplog.text
    assert await engine.write(observability())
    assert engine.module("iii-observability").config.level == "info"


@pytest.mark.parametrize("stored", [False, True])
async def test_06_s11_an_unknown_source_of_a_new_level_is_warned_of_once(
    run: Run, caplog: pytest.LogCaptureFixture, stored: bool
) -> None:
    level = {"level": "info,iii.engin=debug"}
    engine = await run(f"{HEAD}  - {{name: iii-observability, config: {{level: info}}}}\n")
    caplog.clear()
    if stored:
        ended = asyncio.Event()
        engine.reload.ended.subscribe(ended.set)
        await engine.call("configuration::set", id="iii-observability", value=level)
        async with asyncio.timeout(60):
            await ended.wait()
    else:
        assert await engine.write(f"{HEAD}  - {{name: iii-observability, config: {level}}}\n")
    warnings = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
    (warning,) = [each for each in warnings if "iii.engin" in each]
    assert "nothing logs under 'iii.engin', did you mean 'iii.engine'?" in warning


async def test_18_s3_2_telemetry_begins_and_moves_to_the_disk_when_the_file_says_so(run: Run, tmp_path: Path) -> None:
    block = HEAD + "  - {name: iii-observability, config: {enabled: ENABLED, trace_storage: {directory: traces}}}\n"
    engine = await run(block.replace("ENABLED", "false"))
    listing: iii.TriggerRequest = {"function_id": "engine::traces::list", "payload": {}}
    with pytest.raises(iii.InvocationError, match="memory_exporter_not_enabled"):
        await engine.worker.trigger_async(listing)
    assert await engine.write(block.replace("ENABLED", "true"))
    assert "spans" in await engine.worker.trigger_async(listing)
    await until((tmp_path / "traces" / "traces.sqlite3").exists)
    assert await engine.write(block.replace("ENABLED", "false"))
    assert "spans" in await engine.worker.trigger_async(listing)
