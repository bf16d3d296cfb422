"""Our workers at our engine: whatever happens in the code of users, calls are answered and the worker serves on
(core 3, 4; bugs 2, 3, 7, 9)."""

import asyncio
import functools
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import pytest

import iii
from iii.sdk.open_sockets import open_sockets
from tests.hostile import EXCEPTIONS, WithoutText, explode, nested
from tests.integration.sdk.connecting import FAST
from tests.integration.sdk.test_real_engine import until
from tests.processes import EngineProcess

SOON_MS = 10_000  # for an answer that comes at once; the default is 30 s


@pytest.fixture(scope="module")
def process() -> Iterator[EngineProcess]:
    with EngineProcess() as process:
        yield process


@pytest.fixture
def worker(process: EngineProcess) -> Iterator[iii.Worker]:
    worker = iii.register_worker(process.url, iii.InitOptions(reconnection_config=FAST, enable_metrics_reporting=False))
    yield worker
    worker.shutdown()


@pytest.fixture(params=["sync", "async"])
def serve(request: pytest.FixtureRequest, worker: iii.Worker) -> Callable[[Callable[[], Any]], Callable[[], Any]]:
    """Registers a function that does so much, in the form of the parameter; gives how to call it."""

    def serve(do: Callable[[], Any]) -> Callable[[], Any]:
        def sync(payload: Any) -> Any:
            return do()

        async def in_loop(payload: Any) -> Any:
            return do()

        ref = worker.register_function("f", sync if request.param == "sync" else in_loop)
        request.addfinalizer(ref.unregister)
        return functools.partial(call, worker, "f")

    return serve


def call(worker: iii.Worker, function_id: str, payload: Any = None) -> Any:
    return worker.trigger({"function_id": function_id, "payload": payload, "timeout_ms": SOON_MS})


def raising(make: Callable[[], BaseException]) -> Callable[[], NoReturn]:
    def do() -> NoReturn:
        raise make()

    return do


Serve = Callable[[Callable[[], Any]], Callable[[], Any]]


def test_core_3a_any_exception_is_answered(serve: Serve) -> None:
    number = -1

    def do() -> NoReturn:
        raise EXCEPTIONS[number]()

    ask = serve(do)
    for number in range(len(EXCEPTIONS)):
        with pytest.raises(iii.InvocationError) as caught:
            ask()
        assert caught.value.code != "TIMEOUT", number


def test_core_3b_a_text_with_a_lone_surrogate(serve: Serve) -> None:
    with pytest.raises(iii.InvocationError, match=r"C: lone \?"):
        serve(raising(lambda: iii.InvocationError("C", "lone \ud800")))()


def test_core_3c_a_text_over_64_mib(serve: Serve) -> None:
    with pytest.raises(iii.InvocationError, match="characters cut") as caught:
        serve(raising(lambda: ValueError("x" * (65 << 20))))()
    assert caught.value.code == "invocation_failed"


def test_core_3d_a_result_that_is_nested_too_deeply(serve: Serve) -> None:
    with pytest.raises(
        iii.InvocationError, match="the result cannot be sent: JSON is nested deeper than 500"
    ) as caught:
        serve(lambda: nested(600))()
    assert caught.value.code == "invocation_failed"


def test_core_3e_a_payload_that_is_nested_too_deeply_is_refused_before_it_is_sent(worker: iii.Worker) -> None:
    for action in (None, iii.TriggerAction.Void()):
        with pytest.raises(iii.InvocationError, match="JSON is nested deeper than 500 levels") as caught:
            worker.trigger({"function_id": "f", "payload": nested(600), "action": action, "timeout_ms": SOON_MS})
        assert caught.value.code == "invalid_request"


def test_bugs_3_a_handler_that_was_cancelled_before_and_one_that_cancels_itself(worker: iii.Worker) -> None:
    def this_task() -> asyncio.Task[Any]:
        task = asyncio.current_task()
        assert task is not None
        return task

    @worker.function("went_on")
    async def went_on(payload: Any) -> None:
        this_task().cancel()
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            pass
        part = asyncio.create_task(asyncio.Event().wait())
        asyncio.get_running_loop().call_soon(part.cancel)
        await part

    @worker.function("itself")
    async def itself(payload: Any) -> None:
        this_task().cancel()
        await asyncio.Event().wait()

    @worker.function("survives")
    async def survives(payload: Any) -> str:
        this_task().cancel()
        return "done"

    for function_id in ("went_on", "itself"):
        with pytest.raises(iii.InvocationError, match="invocation_failed: CancelledError"):
            call(worker, function_id)
    assert call(worker, "survives") == "done"


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_core_4_an_exit_in_a_provider_is_an_answer(worker: iii.Worker, kind: str) -> None:
    asked = threading.Event()

    class Provider(iii.TriggerHandler):
        def register_trigger(self, config: iii.TriggerConfig) -> None:
            asked.set()
            explode()

        def unregister_trigger(self, config: iii.TriggerConfig) -> None:
            explode()

    class AsyncProvider(Provider):
        async def register_trigger(self, config: iii.TriggerConfig) -> None:  # type: ignore[override]
            Provider.register_trigger(self, config)

        async def unregister_trigger(self, config: iii.TriggerConfig) -> None:  # type: ignore[override]
            explode()

    worker.register_function("f", lambda payload: payload)
    worker.register_trigger_type({"id": f"exits-{kind}"}, Provider() if kind == "sync" else AsyncProvider())
    request = {"trigger_type": f"exits-{kind}", "function_id": "f", "config": {}}
    with pytest.raises(iii.InvocationError, match="SystemExit: of a callback"):
        call(worker, "engine::register_trigger", request)
    assert asked.is_set()
    assert call(worker, "f", 1) == 1


def test_core_4_an_exit_in_a_listener_does_not_end_the_loop(worker: iii.Worker) -> None:
    worker.register_function("f", lambda payload: payload)
    heard: list[str] = []

    def listen(state: str) -> None:
        heard.append(state)
        explode()

    worker.add_connection_state_listener(listen)
    network = next(each for each in open_sockets if each.fileno() >= 0)
    network.shutdown(socket.SHUT_RDWR)
    until(lambda: heard[-1] == "connected" and len(heard) > 3, "the reconnection")
    assert call(worker, "f", 1) == 1

    told = threading.Event()
    worker.on_functions_available(lambda functions: explode())
    worker.on_functions_available(lambda functions: told.set())
    worker.register_function("g", lambda payload: payload)
    assert told.wait(SOON_MS / 1000)
    assert call(worker, "g", 1) == 1


def test_core_4_an_exit_in_a_dump_or_a_log_handler_is_survived(worker: iii.Worker) -> None:
    class Exits(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            explode()

    class Model:
        model_dump = explode

    async def dumped(payload: Any) -> Any:
        return Model()

    worker.register_function("dumped", dumped)
    handler, logger = Exits(), logging.getLogger("iii.sdk")
    logger.addHandler(handler)
    try:
        with pytest.raises(iii.InvocationError, match="SystemExit: of a callback"):
            call(worker, "dumped")
        with pytest.raises(iii.InvocationError, match="SystemExit: of a callback"):
            call(worker, "dumped")
    finally:
        logger.removeHandler(handler)


def test_core_4_callbacks_of_a_worker_on_a_loop_of_the_users(process: EngineProcess) -> None:
    async def use() -> None:
        async with iii.connect_worker(process.url, iii.InitOptions(enable_metrics_reporting=False)) as worker:
            worker.add_connection_state_listener(explode)
            worker.register_function("without", lambda payload: (_ for _ in ()).throw(WithoutText()))
            with pytest.raises(iii.InvocationError, match="WithoutText"):
                await worker.trigger_async({"function_id": "without", "timeout_ms": SOON_MS})

    asyncio.run(use())


def test_core_17_payloads_and_results_have_one_rule(serve: Serve, worker: iii.Worker) -> None:
    class Safe(str):
        pass

    assert serve(lambda: {"a": Safe("s")})() == {"a": "s"}
    worker.register_function("echo", lambda payload: payload)
    assert call(worker, "echo", [Safe("s")]) == ["s"]
    with pytest.raises(TypeError, match=r"Object of type bytes is not JSON serializable - at `\$\[0\]`"):
        call(worker, "echo", [b"abc"])


def test_core_17_a_result_that_is_refused_names_its_path(serve: Serve) -> None:
    with pytest.raises(iii.InvocationError, match=r"TypeError: Object of type bytes .* at `\$\.a\[0\]`"):
        serve(lambda: {"a": [b"abc"]})()
