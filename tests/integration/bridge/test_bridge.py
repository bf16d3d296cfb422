"""Two engines and workers of ours at both (07 §6.2)."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

import iii
from tests.processes import EngineProcess, free_port

DEADLINE_S = 60.0
FORWARD = [
    {"local_function": "remote::echo", "remote_function": "echo"},
    {"local_function": "remote::fail", "remote_function": "fail"},
    {"local_function": "remote::slow", "remote_function": "slow", "timeout_ms": 300},
    {"local_function": "remote::none", "remote_function": "none::x"},
]
EXPOSE = [{"local_function": "here::double", "remote_function": "there::double"}, {"local_function": "here::fail"},
          {"local_function": "here::missing"}]  # fmt: skip


def bridging(folder: Path, url: str, **more: Any) -> EngineProcess:
    block = {"url": url, "forward": FORWARD, "expose": EXPOSE, **more}
    return EngineProcess(
        folder,
        config="workers:\n"
        "  - {name: iii-worker-manager, config: {host: 127.0.0.1, port: {port}}}\n"
        f"  - {{name: iii-bridge, config: {json.dumps(block)}}}\n",
    )


class Ends:
    """The engine with the bridge, the one behind it, and a worker at each."""

    def __init__(self, here: EngineProcess, there: EngineProcess) -> None:
        self.here = here
        self.there = there
        self.near: iii.Worker
        self.far: iii.Worker

    async def connect(self, url: str) -> iii.Worker:
        reconnection = iii.ReconnectionConfig(initial_delay_ms=50, max_delay_ms=200)
        return await iii.connect_worker(url, iii.InitOptions(otel={"enabled": False}, reconnection_config=reconnection))

    async def call(self, worker: iii.Worker, function_id: str, payload: Any = None, timeout_ms: int = 10_000) -> Any:
        async with asyncio.timeout(DEADLINE_S):
            return await worker.trigger_async(
                {"function_id": function_id, "payload": payload, "timeout_ms": timeout_ms}
            )

    async def error(self, worker: iii.Worker, function_id: str, payload: Any = None) -> iii.InvocationError:
        with pytest.raises(iii.InvocationError) as failed:
            await self.call(worker, function_id, payload)
        return failed.value

    async def known(self, worker: iii.Worker, function_id: str) -> None:
        """Until an engine has a function."""
        async with asyncio.timeout(DEADLINE_S):
            while function_id not in {each.function_id for each in await worker.list_functions_async()}:  # noqa: ASYNC110  # the engine has no event for it
                await asyncio.sleep(0.05)


async def echo(data: Any) -> Any:
    return data


async def fail(data: Any) -> Any:
    raise iii.InvocationError("E1", "m1")


async def slow(data: Any) -> Any:
    await asyncio.sleep(DEADLINE_S)


async def double(data: Any) -> Any:
    return None if data is None else data["n"] * 2


@pytest_asyncio.fixture
async def ends(tmp_path: Path) -> AsyncIterator[Ends]:
    with EngineProcess(tmp_path / "there") as there, bridging(tmp_path / "here", there.url) as here:
        ends = Ends(here, there)
        ends.near, ends.far = await ends.connect(here.url), await ends.connect(there.url)
        for name, handler in (("echo", echo), ("fail", fail), ("slow", slow)):
            ends.far.register_function(name, handler)
        for name, handler in (("here::double", double), ("here::fail", fail)):
            ends.near.register_function(name, handler)
        await ends.known(ends.far, "there::double")
        yield ends
        await ends.near.shutdown_async()
        await ends.far.shutdown_async()


async def test_07_check_58_forwarded_calls_and_their_errors(ends: Ends) -> None:
    value = {"a": [1, 2.5, "ü"], "big": 2**60}
    assert {**await ends.call(ends.near, "remote::echo", value), "_caller_worker_id": 0} == {
        **value,
        "_caller_worker_id": 0,
    }
    assert await ends.call(ends.near, "remote::echo", None) is None
    for function_id, payload in (("remote::fail", {}), ("bridge.invoke", {"function_id": "fail"})):
        error = await ends.error(ends.near, function_id, payload)
        assert (error.code, error.message) == ("E1", "m1")
    assert (await ends.error(ends.near, "remote::none")).code == "function_not_found"
    late = await ends.error(ends.near, "remote::slow")
    assert (late.code, late.message) == ("bridge_error", "invocation timed out")


async def test_07_check_59_what_is_no_request_is_refused(ends: Ends) -> None:
    for payload in ({}, {"function_id": 3}, {"function_id": "echo", "timeout_ms": -1}, None):
        for function_id in ("bridge.invoke", "bridge.invoke_async"):
            error = await ends.error(ends.near, function_id, payload)
            assert error.code == "deserialization_error"
            assert error.message.startswith("Failed to parse invoke input: ")
    found = await ends.call(ends.near, "bridge.invoke", {"function_id": "echo", "data": [1], "other": True})
    assert found == [1]


async def test_07_6_2_a_call_without_an_answer_arrives(ends: Ends) -> None:
    arrived: asyncio.Queue[Any] = asyncio.Queue()

    async def note(data: Any) -> None:
        await arrived.put(data)

    ends.far.register_function("note", note)
    await ends.far.list_functions_async()  # behind the registration
    assert await ends.call(ends.near, "bridge.invoke_async", {"function_id": "note", "data": [7]}) is None
    async with asyncio.timeout(DEADLINE_S):
        assert await arrived.get() == [7]
    assert await ends.call(ends.near, "bridge.invoke_async", {"function_id": "nobody", "data": 1}) is None


async def test_07_6_2_exposed_functions_and_their_errors(ends: Ends) -> None:
    assert await ends.call(ends.far, "there::double", {"n": 21}) == 42
    error = await ends.error(ends.far, "here::fail", {})
    assert (error.code, error.message) == ("E1", "m1")
    missing = await ends.error(ends.far, "here::missing", {})
    assert (missing.code, missing.message) == (
        "function_not_found", "Function here::missing not found in namespace default",
    )  # fmt: skip


async def test_07_6_2_both_are_listed(ends: Ends) -> None:
    near = {each.function_id: each.description for each in await ends.near.list_functions_async()}
    assert near["remote::echo"] == "Forward to remote function echo"
    assert {"bridge.invoke", "bridge.invoke_async"} <= set(near)
    names = [each.name for each in await ends.far.list_workers_async()]
    assert any(name is not None and name.startswith("iii-bridge-client:") for name in names)


async def test_07_check_58_the_other_engine_comes_back(ends: Ends) -> None:
    ends.there.kill()
    gone = await ends.error(ends.near, "remote::slow")
    assert (gone.code, gone.message) == ("bridge_error", "invocation timed out")
    ends.there.start()
    await ends.known(ends.far, "there::double")
    await ends.known(ends.far, "echo")
    assert await ends.call(ends.near, "remote::echo", [1]) == [1]
    assert await ends.call(ends.far, "there::double", {"n": 2}) == 4


async def test_07_6_2_calls_wait_for_an_engine_that_is_down(tmp_path: Path) -> None:
    there = EngineProcess(tmp_path / "there")
    with bridging(tmp_path / "here", there.url) as here:
        ends = Ends(here, there)
        async with await_closed(await ends.connect(here.url)) as near:
            waiting = asyncio.create_task(ends.call(near, "bridge.invoke", {"function_id": "engine::health::check"}))
            await ends.known(near, "remote::echo")
            with there:
                assert (await waiting)["status"] == "healthy"


async def test_C16_two_bridges_to_one_engine(ends: Ends, tmp_path: Path) -> None:
    with bridging(tmp_path / "second", ends.there.url, expose=[{"local_function": "second::echo"}]) as second:
        async with await_closed(await ends.connect(second.url)) as worker:
            worker.register_function("second::echo", echo)
            await ends.known(ends.far, "second::echo")
            assert await ends.call(ends.far, "second::echo", [2]) == [2]
            assert await ends.call(worker, "remote::echo", [3]) == [3]
            assert await ends.call(ends.far, "there::double", {"n": 1}) == 2


def test_07_6_2_an_address_that_none_can_be_stops_the_start(tmp_path: Path) -> None:
    process = bridging(tmp_path, f"http://127.0.0.1:{free_port()}")
    process.start(wait=False)
    assert process.wait() == 1
    assert "url: 'http://127.0.0.1:" in process.log()
    assert "is not a WebSocket address such as 'ws://127.0.0.1:49134'" in process.log()


class await_closed:
    """Shuts a worker down at the end."""

    def __init__(self, worker: iii.Worker) -> None:
        self._worker = worker

    async def __aenter__(self) -> iii.Worker:
        return self._worker

    async def __aexit__(self, *_: object) -> None:
        await self._worker.shutdown_async()
