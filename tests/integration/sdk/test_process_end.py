"""How a process with a worker ends, and with which code (issue 12 kind 5; core 13, 14, bugs 4, 8): real processes."""

import asyncio
import platform
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import psutil
import pytest

from tests.integration.sdk.fake_engine import DEADLINE_S, DRAIN, FakeEngine

Start = Callable[[str], "subprocess.Popen[str]"]


def can_unshare() -> bool:
    command = ["unshare", "-p", "-f", "--mount-proc", "true"]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


HEAD = """
import asyncio, sys, iii
worker = iii.register_worker(sys.argv[1], iii.InitOptions(enable_metrics_reporting=False))

@worker.function("pooled")
async def pooled(data: object) -> str:
    return await asyncio.to_thread(str, data)
"""


@pytest.fixture
def start(engine: FakeEngine) -> Iterator[Start]:
    started: list[subprocess.Popen[str]] = []

    def start(rest: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-c", HEAD + textwrap.dedent(rest), engine.url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            restore_signals=True,
            # the shell that runs the tests may have told its children to ignore it
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_08_check_17_it_serves_after_main_and_leaves_quietly_on_ctrl_c(engine: FakeEngine, start: Start) -> None:
    process = start(
        """
        import threading, traceback
        @worker.function("over")
        async def over(data: object) -> bool:
            frame = sys._current_frames()[threading.main_thread().ident]
            return "_serve_on" in [each.name for each in traceback.extract_stack(frame)]
        print('main is over', flush=True)
        """
    )
    connection = engine.connection()
    connection.message("registerfunction", id="pooled")
    assert process.stdout is not None
    assert process.stdout.readline() == "main is over\n"
    assert connection.invoke("pooled", 5)["result"] == "5"
    assert process.poll() is None

    numbers = count()
    engine.wait(lambda: connection.invoke("over", invocation_id=f"over-{next(numbers)}")["result"])
    process.send_signal(signal.SIGINT)
    _, complaints = process.communicate(timeout=DEADLINE_S)
    assert complaints == ""
    assert process.returncode == 0
    engine.wait(lambda: connection.close_code == 1000)


def test_it_ends_with_an_error_of_main(engine: FakeEngine, start: Start) -> None:
    process = start("raise RuntimeError('broken start')")
    _, complaints = process.communicate(timeout=DEADLINE_S)
    assert complaints.endswith("RuntimeError: broken start\n")
    assert process.returncode == 1


def test_it_ends_when_a_handler_shuts_it_down(engine: FakeEngine, start: Start) -> None:
    process = start("worker.register_function('leave', lambda data: worker.shutdown())")
    connection = engine.connection()
    connection.message("registerfunction", id="leave")
    connection.send({"type": "invokefunction", "function_id": "leave", "data": None, "invocation_id": "i"})
    _, complaints = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, complaints) == (0, "")


def test_it_ends_at_once_after_a_shutdown(engine: FakeEngine, start: Start) -> None:
    process = start("worker.shutdown()")
    _, complaints = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, complaints) == (0, "")


async def test_a_native_worker_needs_nothing_of_this(engine: FakeEngine) -> None:
    program = """
    import asyncio, sys, iii
    async def main() -> None:
        async with iii.connect_worker(sys.argv[1]):
            pass
    asyncio.run(main())
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", textwrap.dedent(program), engine.url, stderr=asyncio.subprocess.PIPE
    )
    _, complaints = await asyncio.wait_for(process.communicate(), DEADLINE_S)
    assert (process.returncode, complaints) == (0, b"")


def test_a_worker_that_is_refused_after_main_ends_and_says_why(engine: FakeEngine, start: Start) -> None:
    process = start("import iii.sdk.core; iii.sdk.core.NAME_TAKEN_S = 0.0; print('main is over', flush=True)")
    connection = engine.connection()
    assert process.stdout is not None
    assert process.stdout.readline() == "main is over\n"
    connection.send(
        {
            "type": "registrationrejected",
            "code": "WORKER_NAMESPACE_CONFLICT",
            "namespace": "default",
            "worker_name": "twin",
            "owner_worker_id": "W9",
        }
    )
    _, complaints = process.communicate(timeout=DEADLINE_S)
    assert "worker 'twin' rejected" in complaints
    assert "give this worker another name, or stop the other worker" in complaints
    assert "Traceback" not in complaints
    assert process.returncode == 1  # bugs 8b: a supervisor must see it


# -- every way to end, and its code (bugs 4, 8, core 14) ----------------------------------------------------------

EXITS = [
    ("sys.exit(0)", 0, ""),
    ("sys.exit()", 0, ""),
    ("sys.exit(1)", 1, ""),
    ("sys.exit(77)", 77, ""),
    ("sys.exit('no such order')", 1, "no such order\n"),
    ("raise SystemExit(3)", 3, ""),
    ("exit(4)", 4, ""),
    ("import argparse; argparse.ArgumentParser().error('wrong')", 2, None),
    ("def main():\n    return 5\nsys.exit(main())", 5, ""),
    ("try:\n    raise SystemExit(6)\nfinally:\n    worker.list_functions", 6, ""),
    ("with open('/dev/null'):\n    sys.exit(7)", 7, ""),
    ("async def main():\n    sys.exit(8)\nasyncio.run(main())", 8, ""),
    ("raise ValueError('broken')", 1, None),
    ("import os\nos._exit(9)", 9, ""),
    ("import os, signal\nos.kill(os.getpid(), signal.SIGTERM)", 0, ""),
    ("import signal, threading\nthreading.Timer(0.1, signal.raise_signal, [signal.SIGTERM]).start()", 0, ""),
]


@pytest.mark.parametrize(("ending", "code", "said"), EXITS, ids=[each[0] for each in EXITS])
def test_bugs_4_the_process_ends_as_main_says(
    engine: FakeEngine, start: Start, ending: str, code: int, said: str | None
) -> None:
    process = start(ending)
    _, complaints = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == code, complaints
    assert said is None or complaints == said
    if "_exit" not in ending:
        engine.wait(lambda: engine.connection().close_code == 1000)  # in order


def test_bugs_4_a_caught_exit_is_none(engine: FakeEngine, start: Start) -> None:
    process = start("try:\n    sys.exit(1)\nexcept SystemExit:\n    print('caught', flush=True)")
    connection = engine.connection()
    connection.message("registerfunction", id="pooled")
    assert process.stdout is not None
    assert process.stdout.readline() == "caught\n"
    assert connection.invoke("pooled", 5)["result"] == "5"


def test_bugs_4_a_module_run_with_m_ends_and_serves_too(engine: FakeEngine, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(HEAD + "if len(sys.argv) > 2: sys.exit(int(sys.argv[2]))")
    command = [sys.executable, "-m", "program", engine.url]
    assert subprocess.run([*command, "3"], cwd=tmp_path, timeout=DEADLINE_S, check=False).returncode == 3
    with subprocess.Popen(command, cwd=tmp_path) as serving:
        connection = engine.connection(2)
        connection.message("registerfunction", id="pooled")
        assert connection.invoke("pooled", 5)["result"] == "5"
        serving.terminate()
        assert serving.wait(DEADLINE_S) == 0


def test_bugs_8a_sigterm_lets_handlers_end_and_answers_them(engine: FakeEngine, start: Start) -> None:
    process = start(
        """
        import time
        @worker.function("slow")
        def slow(data: object) -> str:
            print("entered", flush=True)
            time.sleep(0.5)
            return "done"
        """
    )
    connection = engine.connection()
    connection.message("registerfunction", id="slow")
    connection.send({"type": "invokefunction", "function_id": "slow", "data": None, "invocation_id": "i"})
    assert process.stdout is not None
    assert process.stdout.readline() == "entered\n"
    process.terminate()
    assert connection.message("invocationresult", invocation_id="i")["result"] == "done"
    connection.message("invokefunction", function_id=DRAIN)
    _, complaints = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, complaints) == (0, "")


@pytest.mark.parametrize("main", ["", "import time\ntime.sleep(100)", "worker.trigger({'function_id': 'never'})"])
def test_bugs_8a_sigterm_ends_a_serving_process_with_0(engine: FakeEngine, start: Start, main: str) -> None:
    process = start("print('ready', flush=True)\n" + main)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.terminate()
    _, complaints = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, complaints) == (0, "")
    engine.wait(lambda: engine.connection().close_code == 1000)


def test_sigterm_ends_a_process_that_only_calls_with_143(engine: FakeEngine, start: Start) -> None:
    # 0 would tell a scheduler of batch jobs that it was finished
    process = start("worker.shutdown()\nw = iii.register_worker(sys.argv[1])\nw.trigger({'function_id': 'never'})")
    engine.connection(2).message("invokefunction", function_id="never")
    process.terminate()
    process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 143


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(
    "rest",
    [
        "worker.add_connection_state_listener(lambda state: struck())",
        "logging.getLogger('iii.sdk').addFilter(lambda record: struck()); worker.add_connection_state_listener(lambda _: 1 / 0)",
        "logging.setLogRecordFactory(lambda *_, **__: struck()); worker.add_connection_state_listener(lambda _: 1 / 0)",
        """
class Told:
    def model_dump(self, **_):
        struck()
from iii.sdk.payload_text import redact_and_truncate
redact_and_truncate(Told())
""",
    ],
    ids=["listener", "log filter", "record factory", "payload of a trace"],
)
def test_a_signal_that_strikes_in_a_callback_of_the_user_ends_the_process(
    engine: FakeEngine, start: Start, rest: str, number: signal.Signals
) -> None:
    """The interpreter raises it wherever the main thread is: here, always in the callback."""
    process = start(
        f"""
import logging, os
left = [1]
def struck():
    while left:
        os.kill(os.getpid(), left.pop() * {number})
{rest}
print("it went on", flush=True)
"""
    )
    written, _ = process.communicate(timeout=DEADLINE_S)
    assert (written, process.returncode) == ("", 0 if number == signal.SIGTERM else -signal.SIGINT)


def test_sigterm_is_left_to_a_program_that_handles_it(engine: FakeEngine, start: Start) -> None:
    process = start(
        """
        import os, signal
        signal.signal(signal.SIGTERM, lambda *_: os._exit(42))
        iii.register_worker(sys.argv[1])
        print("ready", flush=True)
        """
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.terminate()
    assert process.wait(DEADLINE_S) == 42


def test_sigterm_after_the_last_shutdown_ends_as_ever(engine: FakeEngine, start: Start) -> None:
    process = start("worker.shutdown()\nprint('ready', flush=True)\nimport time\ntime.sleep(100)")
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.terminate()
    assert process.wait(DEADLINE_S) == -signal.SIGTERM


STRUCK = """
import asyncio, logging, os, signal, sys, iii, {loop}
left = [1]
def struck():
    while left:
        os.kill(os.getpid(), left.pop() * signal.SIGTERM)
def leave(number, frame):
    sys.exit(42)
async def main() -> None:
    async with iii.connect_worker(sys.argv[1]) as worker:
        signal.signal(signal.SIGTERM, leave)
        @worker.function("f")
        async def f(data: object) -> None:
            {handler}
        await asyncio.Event().wait()
{loop}.run(main())
"""


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize(
    "handler",
    [
        "struck()",
        "await asyncio.sleep(0); struck()",
        "logging.getLogger('iii.sdk').addFilter(lambda _: struck()); 1 / 0",
    ],
    ids=["handler", "handler that waits", "log filter"],
)
def test_an_exit_of_the_program_that_strikes_in_a_handler_ends_the_process(
    engine: FakeEngine, loop: str, handler: str
) -> None:
    """09 §3.3: the program's own handler of SIGTERM raises it; a call was answered with it, and the process stayed."""
    with subprocess.Popen(
        [sys.executable, "-c", STRUCK.format(loop=loop, handler=handler), engine.url],
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        connection = engine.connection()
        connection.message("registerfunction", id="f")
        connection.send({"type": "invokefunction", "function_id": "f", "data": None, "invocation_id": "i"})
        _, complaints = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 42, complaints


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_bugs_8a_sigterm_ends_a_native_worker_in_order(engine: FakeEngine, loop: str) -> None:
    program = f"""
    import asyncio, sys, iii, {loop}
    async def main() -> None:
        async with iii.connect_worker(sys.argv[1]) as worker:
            worker.register_function("f", lambda data: 1)
            await asyncio.Event().wait()
    {loop}.run(main())
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program), engine.url], stderr=subprocess.PIPE, text=True
    ) as process:
        connection = engine.connection()
        connection.message("registerfunction", id="f")
        process.terminate()
        _, complaints = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, complaints) == (0, "")
    engine.wait(lambda: connection.close_code == 1000)


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_09_check_28_sigterm_lets_handlers_of_a_native_worker_end(engine: FakeEngine, loop: str) -> None:
    """`asyncio.run` cancels every task when its loop is ended."""
    program = f"""
    import asyncio, sys, iii, {loop}
    async def slow(data):
        print("entered", flush=True)
        await asyncio.sleep(0.3)
        return "done"
    async def main() -> None:
        async with iii.connect_worker(sys.argv[1]) as worker:
            worker.register_function("slow", slow)
            try:
                await asyncio.Event().wait()
            finally:
                print("main ends", flush=True)
    {loop}.run(main())
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program), engine.url],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        connection = engine.connection()
        connection.message("registerfunction", id="slow")
        connection.send({"type": "invokefunction", "function_id": "slow", "data": None, "invocation_id": "i"})
        assert process.stdout is not None
        assert process.stdout.readline() == "entered\n"
        process.terminate()
        assert connection.message("invocationresult", invocation_id="i")["result"] == "done"
        written, complaints = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, written, complaints) == (0, "main ends\n", "")


def test_09_check_28_a_second_sigterm_ends_at_once(engine: FakeEngine, start: Start) -> None:
    process = start(
        """
        import threading
        @worker.function("stuck")
        def stuck(data: object) -> None:
            print("entered", flush=True)
            threading.Event().wait()
        """
    )
    connection = engine.connection()
    connection.message("registerfunction", id="stuck")
    connection.send({"type": "invokefunction", "function_id": "stuck", "data": None, "invocation_id": "i"})
    assert process.stdout is not None
    assert process.stdout.readline() == "entered\n"
    process.terminate()
    connection.message("invokefunction", function_id=DRAIN)
    process.terminate()
    assert process.wait(DEADLINE_S) == -signal.SIGTERM


def test_09_check_28_workers_of_one_process_drain_side_by_side(engine: FakeEngine) -> None:
    process = start_with(
        """
        import iii, sys, threading
        def stuck(data):
            threading.Event().wait()
        for _ in range(2):
            iii.register_worker(sys.argv[1]).register_function("stuck", stuck)
        """,
        engine.url,
    )
    connections = [engine.connection(number) for number in (1, 2)]
    for connection in connections:
        connection.message("registerfunction", id="stuck")
        connection.send({"type": "invokefunction", "function_id": "stuck", "data": None, "invocation_id": "i"})
    process.terminate()
    for connection in connections:
        connection.message("invokefunction", function_id=DRAIN)
    process.kill()
    process.communicate()


def test_09_check_28_handlers_have_as_long_as_the_options_say(engine: FakeEngine) -> None:
    process = start_with(
        """
        import iii, sys, threading
        worker = iii.register_worker(sys.argv[1], iii.InitOptions(drain_timeout_s=0.2))
        @worker.function("stuck")
        def stuck(data: object) -> None:
            print("entered", flush=True)
            threading.Event().wait()
        """,
        engine.url,
    )
    connection = engine.connection()
    connection.message("registerfunction", id="stuck")
    connection.send({"type": "invokefunction", "function_id": "stuck", "data": None, "invocation_id": "i"})
    assert process.stdout is not None
    assert process.stdout.readline() == "entered\n"
    process.terminate()
    _, complaints = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0
    assert "Worker stops while handlers run; their calls fail" in complaints


@pytest.mark.parametrize(("end", "code"), [("", 0), ("sys.exit(3)", 1)])
def test_09_check_32_a_thread_below_a_handler_does_not_keep_the_process(
    engine: FakeEngine, end: str, code: int
) -> None:
    """What `sys.exit` said is lost, and then it is not success."""
    process = start_with(
        """
        import asyncio, iii, sys, threading
        worker = iii.register_worker(sys.argv[1], iii.InitOptions(drain_timeout_s=0.2))
        begun = threading.Event()
        def hang() -> None:
            begun.set()
            threading.Event().wait()
        @worker.function("pooled")
        async def pooled(data: object) -> None:
            await asyncio.to_thread(hang)
        begun.wait()
        print("begun", flush=True)
        """
        + end,
        engine.url,
    )
    connection = engine.connection()
    connection.message("registerfunction", id="pooled")
    connection.send({"type": "invokefunction", "function_id": "pooled", "data": None, "invocation_id": "i"})
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    if not end:
        process.terminate()
    _, complaints = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == code
    assert "Process exits while threads of `asyncio.to_thread` run" in complaints


@pytest.mark.skipif(not can_unshare(), reason="needs unshare -p")
def test_bugs_8a_a_worker_that_is_process_1_obeys_sigterm(engine: FakeEngine) -> None:
    command = ["unshare", "-p", "-f", "--mount-proc", "--kill-child", sys.executable, "-c", HEAD, engine.url]
    with subprocess.Popen(command) as outer:
        connection = engine.connection()
        connection.message("registerfunction", id="pooled")
        inner = psutil.Process(outer.pid).children()[0]
        inner.terminate()
        assert outer.wait(DEADLINE_S) == 0
    engine.wait(lambda: connection.close_code == 1000)


@pytest.mark.skipif(not can_unshare(), reason="needs unshare -p")
def test_P10_two_containers_of_one_host_name_have_two_worker_names(engine: FakeEngine) -> None:
    command = ["unshare", "-p", "-f", "--mount-proc", "--kill-child", sys.executable, "-c", HEAD, engine.url]
    with subprocess.Popen(command) as first, subprocess.Popen(command) as second:
        told = [engine.connection(number).announced() for number in (1, 2)]
        assert [each["pid"] for each in told] == [1, 1]
        assert told[0]["name"] != told[1]["name"]
        assert {each["name"].rpartition("-")[0] for each in told} == {f"{platform.node()}:1"}
        first.kill()
        second.kill()


# -- Ctrl-C --------------------------------------------------------------------------------------------------------


def test_core_13_ctrl_c_while_register_worker_waits_ends_the_process() -> None:
    process = start_with(
        """
        import iii, os, signal, threading
        try:
            threading.Timer(0.2, os.kill, [os.getpid(), signal.SIGINT]).start()
            iii.register_worker("ws://127.0.0.1:1")
        except KeyboardInterrupt:
            print("bye", flush=True)
        """
    )
    printed, _ = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, printed) == (0, "bye\n")


def test_ctrl_c_in_main_ends_the_process_as_without_a_worker(engine: FakeEngine, start: Start) -> None:
    process = start("print('ready', flush=True)\nimport time\ntime.sleep(100)")
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=DEADLINE_S)
    assert process.returncode == -signal.SIGINT  # 130 for a shell
    engine.wait(lambda: engine.connection().close_code == 1000)


# -- states in which a process must not stay ----------------------------------------------------------------------


def test_a_worker_that_gives_up_connecting_ends_the_process_with_1() -> None:
    engine = FakeEngine()
    process = start_with(
        """
        import iii, sys
        retry = iii.ReconnectionConfig(initial_delay_ms=10, max_retries=2)
        iii.register_worker(sys.argv[1], iii.InitOptions(reconnection_config=retry))
        """,
        engine.url,
    )
    engine.connection()
    engine.stop()
    process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 1


def test_core_4_an_exit_that_escapes_into_the_loop_does_not_end_it(engine: FakeEngine, start: Start) -> None:
    start(
        """
        @worker.function("escape")
        async def escape(data: object) -> None:
            asyncio.get_running_loop().call_soon(sys.exit, 5)
        """
    )
    connection = engine.connection()
    connection.message("registerfunction", id="escape")
    connection.invoke("escape", invocation_id="1")
    assert connection.invoke("pooled", 5, invocation_id="2")["result"] == "5"


def start_with(program: str, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


@pytest.mark.parametrize("where", ["before it looks", "while it looks"])
def test_sigterm_between_the_end_of_main_and_the_wait_for_workers_says_nothing(
    where: str, engine: FakeEngine, start: Start
) -> None:
    process = start(
        f"""
        import os, signal, threading
        from iii.sdk import process_end

        def told() -> None:
            os.kill(os.getpid(), signal.SIGTERM)

        look = process_end._ran_to_its_end
        asked = []

        def look_and_tell(main: object) -> bool:
            if not asked:  # the handler of the signal asks as well
                asked.append(True)
                told()
            return look(main)

        if {where!r} == "while it looks":
            process_end._ran_to_its_end = look_and_tell
        else:
            threading._register_atexit(told)  # called before those that were registered earlier
        """
    )
    engine.connection().message("registerfunction", id="pooled")
    told, complaints = process.communicate(timeout=DEADLINE_S)
    assert (told, complaints, process.returncode) == ("", "", 0)


@pytest.mark.parametrize("again", [False, True])
def test_P12_sigterm_while_a_drained_process_ends_changes_nothing_and_a_second_one_ends_it(
    start: Start, engine: FakeEngine, again: bool
) -> None:
    process = start(
        """
        import atexit
        atexit.register(lambda: (print("ending", flush=True), sys.stdin.readline()))
        print("ready", flush=True)
        """
    )
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline() == "ready\n"
    engine.connection(1).send({"type": "drainworker", "timeout_ms": 1000})
    assert process.stdout.readline() == "ending\n"
    process.send_signal(signal.SIGTERM)
    if again:

        def ended() -> bool:
            process.send_signal(signal.SIGTERM)
            return process.poll() is not None

        engine.wait(ended)
    else:
        process.stdin.write("\n")
        process.stdin.flush()
    assert process.wait(DEADLINE_S) == (-signal.SIGTERM if again else 0)
