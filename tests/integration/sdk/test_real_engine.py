"""Our workers at our engine, a process that is killed and comes back."""

import asyncio
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import iii
from iii.protocol.batch import hot_messages_of_engine
from iii.sdk import inbound
from tests.integration.sdk.connecting import FAST
from tests.processes import EngineProcess, environment

DEADLINE_S = 60.0


def until(look: Callable[[], Any], what: str) -> Any:
    give_up_at = time.monotonic() + DEADLINE_S
    while not (found := look()):
        assert time.monotonic() < give_up_at, f"waited for {what}"
        time.sleep(0.005)
    return found


@pytest.fixture
def process() -> Iterator[EngineProcess]:
    with EngineProcess() as process:
        yield process


@pytest.fixture
def connect(process: EngineProcess) -> Iterator[Callable[..., iii.Worker]]:
    workers: list[iii.Worker] = []

    def connect(**options: Any) -> iii.Worker:
        workers.append(iii.register_worker(process.url, iii.InitOptions(**{"reconnection_config": FAST} | options)))
        return workers[-1]

    yield connect
    for worker in workers:
        worker.shutdown()


def test_W13_workers_see_each_other_with_status_and_figures(connect: Callable[..., iii.Worker]) -> None:
    server = connect(worker_name="server", namespace="orders", otel={"metrics_export_interval_ms": 100})
    caller = connect(worker_name="caller", enable_metrics_reporting=False)
    release, entered = threading.Event(), threading.Event()

    @server.function("orders::slow")
    def slow(data: dict[str, Any]) -> int:
        """Takes its time."""
        entered.set()
        release.wait(DEADLINE_S)
        return len(data)

    def row(name: str) -> iii.WorkerInfo:
        return next(each for each in caller.list_workers() if each.name == name)

    until(lambda: row("server").functions == ["orders::slow"], "the registration")
    idle = row("server")
    assert (idle.status, idle.active_invocations, idle.function_count) == ("available", 0, 1)
    assert (idle.id, idle.runtime, idle.namespace) == (server.worker_id, "python", "orders")
    assert (idle.version or "").startswith("0.25.0+iii-py.")
    assert idle.connected_at_ms > 1_600_000_000_000

    answers: list[int] = []
    call: iii.TriggerRequest = {"function_id": "orders::slow", "payload": {"a": 1}, "namespace": "orders"}
    thread = threading.Thread(target=lambda: answers.append(caller.trigger(call)))
    thread.start()
    assert entered.wait(DEADLINE_S)
    busy = row("server")
    release.set()
    thread.join()
    assert (busy.status, busy.active_invocations) == ("busy", 1)
    assert answers == [2]  # the engine adds who called
    until(lambda: row("server").status == "available", "the end of the call")

    metrics = until(lambda: row("server").latest_metrics, "the gauges")
    assert metrics.memory_rss > 1_000_000
    assert metrics.event_loop_lag_ms >= 0
    assert row("caller").latest_metrics is None
    assert [each.function_id for each in caller.list_functions() if each.namespace == "orders"] == ["orders::slow"]


def test_a_worker_survives_a_killed_engine_and_no_unsent_call_is_lost(
    process: EngineProcess, connect: Callable[..., iii.Worker]
) -> None:
    worker, other = connect(worker_name="server"), connect(worker_name="other")
    noted: list[Any] = []

    @worker.function("note")
    async def note(data: Any) -> None:
        noted.append(data)

    worker.register_function("sum", lambda numbers: sum(numbers))
    worker.register_trigger({"type": "engine::functions-available", "function_id": "note"})
    until(lambda: of_workers(other) == {"note", "sum"}, "the registrations")

    for _ in range(2):
        first_id = worker.worker_id
        process.kill()
        until(lambda: worker.get_connection_state() == "reconnecting", "the loss")
        noted.clear()
        sums: list[int] = []

        def call(number: int, sums: list[int] = sums) -> None:
            sums.append(worker.trigger({"function_id": "sum", "payload": [number, 1]}))

        waiting = [threading.Thread(target=call, args=(number,)) for number in range(20)]
        for thread in waiting:
            thread.start()
        for number in range(50):
            worker.trigger({"function_id": "note", "payload": number, "action": iii.TriggerAction.Void()})
        process.start(wait=False)
        for thread in waiting:
            thread.join(DEADLINE_S)

        assert sorted(sums) == list(range(1, 21))
        until(lambda: 49 in noted, "the notes")  # among news of functions
        assert [each for each in noted if isinstance(each, int)] == list(range(50))
        assert worker.worker_id != first_id
        until(lambda: other.get_connection_state() == "connected", "the other one")
        until(lambda: of_workers(other) == {"note", "sum"}, "the registrations again")
        assert [each.trigger_type for each in other.list_triggers()] == ["engine::functions-available"]


def of_workers(worker: iii.Worker) -> set[str]:
    return {each.function_id for each in worker.list_functions() if "::" not in each.function_id}


async def test_one_connection_carries_thousands_of_calls_at_once(process: EngineProcess) -> None:
    async with iii.connect_worker(process.url) as worker:

        @worker.function("echo")
        async def echo(data: Any) -> Any:
            await asyncio.sleep(0)
            return data["n"]

        calls = [worker.trigger_async({"function_id": "echo", "payload": {"n": n}}) for n in range(3000)]
        assert await asyncio.gather(*calls) == list(range(3000))


def test_a_large_payload_passes_through(connect: Callable[..., iii.Worker]) -> None:
    server, caller = connect(worker_name="server"), connect(worker_name="caller")
    server.register_function("echo", lambda data: data)
    until(lambda: of_workers(caller) == {"echo"}, "the registration")
    payload = "x" * 30 * 2**20
    assert caller.trigger({"function_id": "echo", "payload": payload}) == payload


def test_01_check_a_function_that_is_not_there_is_said_so(connect: Callable[..., iii.Worker]) -> None:
    caller = connect()
    with pytest.raises(iii.FunctionNotFound, match="Function nobody::home not found"):
        caller.trigger({"function_id": "nobody::home"})
    assert caller.create_channel(8).writer_ref.direction == "write"


def test_newcomer_f_the_engine_tells_a_killed_worker_from_one_that_leaves(process: EngineProcess) -> None:
    program = (
        "import sys, iii\n"
        "worker = iii.register_worker(sys.argv[1], iii.InitOptions(worker_name=sys.argv[2]))\n"
        "worker.register_function('mortal::f', lambda payload: payload)\n"
        "worker.list_functions()\n"
        "print('ready', flush=True)\n"
    )

    def run(name: str, number: int) -> None:
        worker = subprocess.Popen(
            [sys.executable, "-c", program, process.url, name], stdout=subprocess.PIPE, env=environment()
        )
        with worker:
            assert worker.stdout is not None
            assert worker.stdout.readline() == b"ready\n"
            worker.send_signal(number)

    run("killed", signal.SIGKILL)
    run("stopped", signal.SIGTERM)
    until(lambda: 'Worker left\n    ├ worker: "stopped"' in process.log_path.read_text(), "the leave")
    log = process.log_path.read_text()
    lost = "[WARN] worker.lost Worker lost: its connection ended without a Close frame\n    ├ worker: "
    assert f'{lost}"killed"' in log
    assert 'functions: "mortal::f"' in log
    assert log.count(lost) == 1


def test_29_1_many_calls_share_frames_both_ways(
    connect: Callable[..., iii.Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both ends of 500 calls at once, with handlers that wait and that do not; strings with line breaks, too."""
    shared: list[int] = []

    def counting(frame: bytes) -> Any:
        shared.append(frame.count(b"\n"))
        return hot_messages_of_engine(frame)

    monkeypatch.setattr(inbound, "hot_messages_of_engine", counting)
    server, caller = connect(worker_name="server"), connect(worker_name="caller")

    @server.function("batched::echo")
    async def echo(value: Any) -> Any:
        return value

    @server.function("batched::later")
    async def later(value: Any) -> Any:
        await asyncio.sleep(0)
        return value

    until(lambda: "batched::later" in {each.function_id for each in caller.list_functions()}, "the functions")

    @caller.function("batched::drive")
    async def drive(_: Any) -> list[Any]:
        calls = [
            caller.trigger_async(
                {"function_id": name, "payload": {"number": number, "text": "a\nb"}, "timeout_ms": 60_000}
            )
            for number in range(250)
            for name in ("batched::echo", "batched::later")
        ]
        return await asyncio.gather(*calls)

    until(lambda: "batched::drive" in {each.function_id for each in server.list_functions()}, "the caller's function")
    answers = server.trigger({"function_id": "batched::drive", "payload": None, "timeout_ms": 60_000})
    assert [each["number"] for each in answers] == [number for number in range(250) for _ in range(2)]
    assert {each["text"] for each in answers} == {"a\nb"}
    assert sum(shared) > 500, "most of the calls and answers came with others"
