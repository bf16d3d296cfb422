"""A process that is one app: how it serves, ends, and fails (11 §4)."""

import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator

import pytest

import iii
from iii.protocol.names import LIST_TRIGGERS
from tests.integration.sdk.fake_engine import DEADLINE_S, DRAIN, FakeEngine
from tests.machine import scaled
from tests.processes import EngineProcess, environment

Start = Callable[..., "subprocess.Popen[str]"]

HEAD = """
import asyncio, signal, sys, threading, time, iii
app = iii.App("orders", options=iii.InitOptions(enable_metrics_reporting=False))

@app.function("slow")
async def slow(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "slept"

@app.on_stop
def stop() -> None:
    print("stopped", flush=True)
"""
RUN = """
print("run", flush=True)
app.run(sys.argv[1])
print("over", flush=True)
"""


@pytest.fixture
def engine(engine: FakeEngine) -> FakeEngine:
    engine.answers[LIST_TRIGGERS] = {"triggers": []}
    return engine


@pytest.fixture
def start() -> Iterator[Start]:
    started: list[subprocess.Popen[str]] = []

    def start(url: str, declare: str = "", run: str = RUN) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-c", HEAD + textwrap.dedent(declare) + run, url],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment({"OTEL_ENABLED": "off"}),
            # the shell that runs the tests may have told its children to ignore it
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def ended(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    """Code, what it printed, and what it complained of."""
    printed, told = process.communicate(timeout=DEADLINE_S)
    return process.returncode, printed, "".join(line for line in told.splitlines(True) if "[INFO] iii.sdk " not in line)


@pytest.mark.parametrize("logs_itself", [False, True])
def test_it_tells_what_happens_unless_the_program_has_set_up_logging(
    engine: FakeEngine, start: Start, logs_itself: bool
) -> None:
    """A service that was started by hand must not look as if nothing had happened."""
    own = "import logging; logging.basicConfig(level=logging.WARNING)"
    process = start(engine.url, own if logs_itself else "")
    connection = engine.connection()
    connection.message("registerfunction", id="slow")
    first = ""
    while not logs_itself and "App started" not in first:
        assert process.stderr is not None
        first += process.stderr.readline()
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=DEADLINE_S)
    told = first + told
    shown = [line.partition("[INFO] iii.sdk ")[2].partition(" (")[0] for line in told.splitlines()]
    life = ["Connected to the engine", "App started and serving", "Worker draining", "Connection to the engine closed"]
    assert shown == ([] if logs_itself else life)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_11_check_9_a_signal_lets_handlers_end(engine: FakeEngine, start: Start, number: signal.Signals) -> None:
    process = start(engine.url)
    connection = engine.connection()
    connection.message("registerfunction", id="slow")
    call = {"type": "invokefunction", "function_id": "slow", "data": scaled(2), "invocation_id": "long"}
    connection.send(call)
    connection.invoke("slow", 0, invocation_id="short")  # so the long one runs
    process.send_signal(number)
    assert connection.message("invocationresult", invocation_id="long")["result"] == "slept"
    assert ended(process) == (0, "run\nstopped\nover\n", "")
    order = [
        each for each in connection.messages if each.get("function_id") == DRAIN or each.get("invocation_id") == "long"
    ]
    assert [each["type"] for each in order] == ["invokefunction", "invocationresult"]  # asked before the handler ended


def test_11_check_9_a_second_signal_ends_it_at_once(engine: FakeEngine, start: Start) -> None:
    process = start(
        engine.url,
        """
        @app.function("block")
        async def block(data: object) -> None:
            print("blocked", flush=True)
            while True: time.sleep(0.01)
        """,
    )
    connection = engine.connection()
    connection.message("registerfunction", id="block")
    connection.send({"type": "invokefunction", "function_id": "block", "data": None, "invocation_id": "i"})
    assert process.stdout is not None
    assert [process.stdout.readline(), process.stdout.readline()] == ["run\n", "blocked\n"]
    process.send_signal(signal.SIGTERM)
    while process.poll() is None:  # how soon the first one is noticed, nobody knows; two at one time are one
        process.send_signal(signal.SIGTERM)
    assert ended(process) == (-signal.SIGTERM, "", "")


def test_it_waits_for_an_engine_until_it_is_told_to_end(start: Start) -> None:
    process = start("ws://127.0.0.1:9", "signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGTERM))")
    assert process.stderr is not None
    assert "Cannot connect to the engine" in process.stderr.readline()
    process.send_signal(signal.SIGALRM)
    code, printed, complaints = ended(process)
    assert (code, printed) == (0, "run\nover\n")  # not started, so not stopped
    assert "Traceback" not in complaints


def test_11_check_10_what_the_engine_refuses_is_told_in_lines_and_a_code(start: Start) -> None:
    with EngineProcess() as engine:
        process = start(
            engine.url,
            """
            app.register_function("engine::functions::list", print)
            app.register_function("engine::workers::list", print)
            """,
        )
        code, printed, complaints = ended(process)
    assert (code, printed) == (1, "run\nstopped\n")
    told = complaints[complaints.index("Error:") :]
    refusal = "the id is the engine's own; choose one that does not begin with 'engine::'"
    assert told == (
        "Error: the engine refuses what app 'orders' declares:\n"
        f"  function 'engine::functions::list': {refusal}\n"
        f"  function 'engine::workers::list': {refusal}\n"
    )


def test_11_check_10_so_is_the_refusal_of_the_whole_worker(engine: FakeEngine, start: Start) -> None:
    process = start(engine.url)
    engine.connection().send(
        {"type": "registrationrejected", "code": "NOT_HERE", "namespace": "default", "worker_name": "orders"}
        | {"owner_worker_id": "w1"}
    )
    code, printed, complaints = ended(process)
    assert code == 1
    assert "over" not in printed
    assert re.search(r"^Error: NOT_HERE: worker 'orders.*\n\Z", complaints, re.MULTILINE), complaints
    assert "Traceback" not in complaints


def test_11_check_10_so_is_an_address_that_cannot_be_one(start: Start) -> None:
    code, printed, complaints = ended(start("http://127.0.0.1"))
    assert (code, printed) == (1, "run\n")
    assert complaints.startswith("Error: the engine's address must be ws://HOST:PORT or wss://HOST, got")
    assert complaints.count("\n") == 1


def test_an_error_of_the_program_is_told_as_such(engine: FakeEngine, start: Start) -> None:
    code, printed, complaints = ended(start(engine.url, "app.on_start(lambda: 1 / 0)"))
    assert (code, printed) == (1, "run\n")
    assert complaints.endswith("ZeroDivisionError: division by zero\n")


def test_09_check_28_handlers_have_as_long_as_the_options_of_the_app_say(engine: FakeEngine, start: Start) -> None:
    process = start(
        engine.url,
        """
        app = iii.App("brief", options=iii.InitOptions(drain_timeout_s=0.2, enable_metrics_reporting=False))
        @app.function("stuck")
        def stuck(data: object) -> None:
            print("begun", flush=True)
            threading.Event().wait()
        """,
    )
    connection = engine.connection()
    connection.message("registerfunction", id="stuck")
    connection.send({"type": "invokefunction", "function_id": "stuck", "data": None, "invocation_id": "i"})
    assert process.stdout is not None
    assert [process.stdout.readline() for _ in range(2)] == ["run\n", "begun\n"]
    process.terminate()
    code, printed, complaints = ended(process)
    assert (code, printed) == (0, "over\n")
    assert "Worker stops while handlers run; their calls fail" in complaints


def test_09_check_32_what_hangs_below_a_handler_does_not_keep_the_process(engine: FakeEngine, start: Start) -> None:
    """A task that catches its cancel, and a thread of the loop's pool: `asyncio.run` would wait for both without an end."""
    process = start(
        engine.url,
        """
        app = iii.App("brief", options=iii.InitOptions(drain_timeout_s=0.2, enable_metrics_reporting=False))
        left = []
        def hang() -> None:
            print("hangs", flush=True)
            threading.Event().wait()
        async def ignore() -> None:
            while True:
                try:
                    await asyncio.sleep(3600)
                except asyncio.CancelledError:
                    pass
        @app.function("pooled")
        async def pooled(data: object) -> None:
            left.append(asyncio.ensure_future(ignore()))
            await asyncio.to_thread(hang)
        """,
    )
    connection = engine.connection()
    connection.message("registerfunction", id="pooled")
    connection.send({"type": "invokefunction", "function_id": "pooled", "data": None, "invocation_id": "i"})
    assert process.stdout is not None
    assert [process.stdout.readline() for _ in range(2)] == ["run\n", "hangs\n"]
    process.terminate()
    code, printed, complaints = ended(process)
    assert (code, printed) == (0, "over\n")
    handlers, tasks, threads = complaints.splitlines()
    assert 'functions=["pooled"]' in handlers
    assert 'App ends while tasks run that do not stop (tasks=["ignore"]' in tasks
    assert "Process exits while threads of `asyncio.to_thread` run (threads=1, running=" in threads


def test_09_check_32_an_app_on_a_thread_that_outlives_the_main_program_ends_in_order(start: Start) -> None:
    """Then it is too late to have something done at the end of the main program."""
    process = start(
        "",
        """
        import iii.sdk.app_process
        options = iii.InitOptions(reconnection_config=iii.ReconnectionConfig(max_retries=0), enable_metrics_reporting=False)
        app = iii.App("late", options=options)
        def serve() -> None:
            threading.main_thread().join()
            try:
                app.run("ws://127.0.0.1:1")
            except SystemExit as error:
                print(error, flush=True)
        """,
        "threading.Thread(target=serve).start()",
    )
    code, printed, complaints = ended(process)
    assert (code, printed) == (0, "Error: Connection to ws://127.0.0.1:1 failed after max retries\n")
    assert "Traceback" not in complaints


@pytest.mark.parametrize("hook", ["app.on_start(hook)", "app.dependency(hook)"])
def test_11_s4_a_start_that_catches_its_cancel_does_not_serve(engine: FakeEngine, start: Start, hook: str) -> None:
    process = start(
        engine.url,
        f"""
        async def hook() -> None:
            print("starting", flush=True)
            try:
                await asyncio.sleep(60)
            except BaseException:
                pass

        {hook}
        """,
    )
    assert process.stdout is not None
    assert [process.stdout.readline() for _ in range(2)] == ["run\n", "starting\n"]
    process.terminate()
    code, printed, complaints = ended(process)
    assert (code, printed.endswith("over\n"), complaints) == (0, True, "")


def test_11_s4_a_start_that_goes_on_after_a_signal_is_told_of(engine: FakeEngine, start: Start) -> None:
    process = start(
        engine.url,
        """
        import iii.sdk.app_process
        iii.sdk.app_process.START_ENDS_S = 0.05
        @app.on_start
        async def hook() -> None:
            print("starting", flush=True)
            while True:
                try:
                    await asyncio.sleep(60)
                except asyncio.CancelledError:
                    pass
        """,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert [process.stdout.readline() for _ in range(2)] == ["run\n", "starting\n"]
    process.terminate()
    told = next(line for line in process.stderr if "[WARN" in line)
    assert "App has not ended: its start goes on although it was cancelled; a second signal ends it" in told
    process.terminate()
    assert process.wait(DEADLINE_S) == -signal.SIGTERM


def test_a_shutdown_ends_it(engine: FakeEngine, start: Start) -> None:
    process = start(
        engine.url,
        """
        @app.function("leave")
        def leave(data: object) -> None:
            app.shutdown()
        """,
    )
    connection = engine.connection()
    connection.message("registerfunction", id="leave")
    connection.send({"type": "invokefunction", "function_id": "leave", "data": None, "invocation_id": "i"})
    code, printed, _ = ended(process)
    assert (code, printed) == (0, "run\nstopped\nover\n")


def test_P12_a_drain_by_somebody_else_ends_it_with_its_hooks_connected(engine: FakeEngine, start: Start) -> None:
    engine.answers["state::set"] = {"old_value": None}
    process = start(
        engine.url,
        """
        @app.on_stop
        async def farewell() -> None:
            await app.trigger_async({"function_id": "state::set"})
        """,
    )
    connection = engine.connection()
    connection.message("registerfunction", id="slow")
    connection.send({"type": "invokefunction", "function_id": "slow", "data": 0.2, "invocation_id": "i"})
    connection.send({"type": "drainworker", "timeout_ms": 9000})
    assert connection.message("invocationresult", invocation_id="i")["result"] == "slept"
    connection.message("invokefunction", function_id="state::set")
    assert ended(process) == (0, "run\nstopped\nover\n", "")


def test_a_handler_of_the_programs_own_stays(engine: FakeEngine, start: Start) -> None:
    process = start(
        engine.url,
        """
        def mine(number, frame):
            print("mine", flush=True)
            threading.Thread(target=app.shutdown).start()
        signal.signal(signal.SIGTERM, mine)
        """,
    )
    engine.connection().message("registerfunction", id="slow")
    process.send_signal(signal.SIGTERM)
    assert ended(process) == (0, "run\nmine\nstopped\nover\n", "")


def test_a_forked_child_can_be_ended(engine: FakeEngine, start: Start) -> None:
    process = start(
        engine.url,
        """
        import os
        @app.function("fork")
        def fork(data: object) -> int:
            child = os.fork()
            if child == 0:
                time.sleep(60)
                os._exit(1)
            os.kill(child, signal.SIGTERM)
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        """,
    )
    connection = engine.connection()
    connection.message("registerfunction", id="fork")
    assert connection.invoke("fork")["result"] == -signal.SIGTERM
    process.send_signal(signal.SIGTERM)
    assert ended(process)[0] == 0


async def test_in_a_running_loop_it_says_what_to_use() -> None:
    with pytest.raises(RuntimeError, match=r"cannot run in a running event loop: use `async with app.connect\(\):`"):
        iii.App("orders").run()
