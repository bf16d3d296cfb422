"""A forked child has no worker, never a byte on its parent's socket, and an end of its own (issue 12 kind 5; core 1, bugs 1)."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from iii.protocol.names import LIST_TRIGGERS
from tests.integration.sdk.fake_engine import DEADLINE_S, FakeEngine

HEAD = """
import asyncio, os, signal, sys, threading, time, iii
OPTIONS = iii.InitOptions(enable_metrics_reporting=False, invocation_timeout_ms=30_000)
VOID = iii.TriggerAction.Void()

def refused(action):
    try:
        action()
    except RuntimeError as error:
        text = str(error)
        assert "belongs to process" in text and "after the fork" in text, text
    else:
        raise AssertionError("not refused")

def nothing_works(worker):
    begun = time.monotonic()
    refused(lambda: worker.trigger({"function_id": "child::call"}))
    refused(lambda: worker.trigger({"function_id": "child::void", "action": VOID}))
    refused(lambda: asyncio.run(worker.trigger_async({"function_id": "child::async"})))
    refused(lambda: worker.register_function("child::function", print))
    refused(lambda: worker.register_trigger({"type": "cron", "function_id": "child::function"}))
    refused(worker.shutdown)
    refused(lambda: asyncio.run(worker.shutdown_async()))
    assert worker.get_connection_state() == "failed"
    assert time.monotonic() - begun < 15  # a call waits 30 s for its result

def status(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
"""

WORKER = (
    HEAD + "worker = iii.register_worker(sys.argv[1], OPTIONS)\nworker.register_function('echo', lambda data: data)\n"
)


def run_whatever(
    program: str, engine: FakeEngine, *, head: str = WORKER, folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """In a folder it is a file, not `-c`: multiprocessing's spawn imports it again."""
    command = [sys.executable, "-c", head + textwrap.dedent(program), engine.url]
    if folder is not None:
        (folder / "program.py").write_text(head + textwrap.dedent(program))
        command[1:3] = [str(folder / "program.py")]
    return subprocess.run(command, capture_output=True, text=True, timeout=2 * DEADLINE_S, check=False)


def run(program: str, engine: FakeEngine, *, head: str = WORKER, folder: Path | None = None, prints: str = "") -> None:
    """The program, which must succeed."""
    done = run_whatever(program, engine, head=head, folder=folder)
    assert (done.returncode, done.stdout) == (0, prints), done.stdout + done.stderr
    assert "Traceback" not in done.stderr, done.stderr


def nothing_of_the_child(engine: FakeEngine) -> bool:
    said = [each for connection in engine.connections for each in connection.messages]
    return not [each for each in said if "child::" in str(each)]


@pytest.mark.parametrize(
    "ending", ["os._exit(0)", "sys.exit(0)", "sys.exit()", "raise SystemExit", "pass"], ids=lambda each: each
)
@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_core_1_the_child_is_refused_and_ends_by_itself(engine: FakeEngine, loop: str, ending: str) -> None:
    head = WORKER if loop == "uvloop" else "import sys; sys.modules['uvloop'] = None\n" + WORKER
    run(
        f"""
        child = os.fork()
        if child == 0:
            nothing_works(worker)
            {ending}
        else:
            assert status(child) == 0
            assert worker.trigger({{"function_id": "echo", "payload": 5}}) == 5
            worker.shutdown()
        """,
        engine,
        head=head,
    )
    assert nothing_of_the_child(engine)
    assert len(engine.connections) == 1


def test_core_1_parent_and_child_call_at_once_and_no_answer_goes_astray(engine: FakeEngine) -> None:
    run(
        """
        children = []
        for number in range(3):
            child = os.fork()
            if child == 0:
                own = iii.register_worker(sys.argv[1], OPTIONS)
                own.register_function(f"echo-{number}", lambda data: data)
                for value in range(100):
                    answer = own.trigger({"function_id": f"echo-{number}", "payload": [number, value]})
                    assert answer == [number, value], answer
                own.shutdown()
                sys.exit(0)
            children.append(child)
        for value in range(300):
            assert worker.trigger({"function_id": "echo", "payload": value}) == value
        assert [status(child) for child in children] == [0, 0, 0]
        worker.shutdown()
        """,
        engine,
    )
    ids = [
        each["invocation_id"]
        for connection in engine.connections
        for each in connection.of("invokefunction")
        if each["function_id"].startswith("echo")
    ]
    assert len(ids) == len(set(ids)) == 600


def test_a_child_serves_with_a_worker_of_its_own(engine: FakeEngine) -> None:
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            WORKER
            + "if os.fork():\n    worker.shutdown()\nelse:\n    own = iii.register_worker(sys.argv[1], OPTIONS)\n"
            "    own.register_function('child', lambda data: data)",
            engine.url,
        ]
    )
    assert process.wait(DEADLINE_S) == 0
    connection = engine.connection(2)
    connection.message("registerfunction", id="child")
    assert connection.invoke("child", 7)["result"] == 7  # its main thread is over
    connection.send({"type": "registrationrejected", "code": "END", "namespace": "", "owner_worker_id": ""})
    engine.wait(lambda: connection.closed)


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_bugs_1_multiprocessing(engine: FakeEngine, tmp_path: Path, method: str) -> None:
    run(
        f"""
        import multiprocessing

        def inherited():
            nothing_works(worker)

        def own(queue):
            own = iii.register_worker(queue.get(), OPTIONS)
            own.register_function("own", lambda data: data)
            queue.put(own.trigger({{"function_id": "own", "payload": 9}}))
            own.shutdown()

        if __name__ == "__main__":
            worker = iii.register_worker(sys.argv[1], OPTIONS)
            context = multiprocessing.get_context("{method}")
            if "{method}" == "fork":
                child = context.Process(target=inherited)
                child.start()
                child.join(60)
                assert child.exitcode == 0, child.exitcode
            queue = context.SimpleQueue()
            child = context.Process(target=own, args=[queue])
            queue.put(sys.argv[1])
            child.start()
            child.join(60)
            assert child.exitcode == 0, child.exitcode
            assert queue.get() == 9
            forever = context.Process(target=time.sleep, args=[100])
            forever.start()
            forever.terminate()
            forever.join(60)
            assert forever.exitcode == -signal.SIGTERM, forever.exitcode
            worker.shutdown()
        """,
        engine,
        head=HEAD,
        folder=tmp_path,
    )
    assert nothing_of_the_child(engine)


def test_a_fork_in_a_handler_while_other_threads_hold_locks(engine: FakeEngine) -> None:
    run(
        """
        import logging
        stop = threading.Event()

        def busy():
            while not stop.is_set():
                worker.trigger({"function_id": "echo", "payload": 1})
                logging.getLogger("busy").debug("x")

        def forks(data):
            child = os.fork()
            if child == 0:
                nothing_works(worker)
                os._exit(7)
            return status(child)

        worker.register_function("forks", forks)
        threads = [threading.Thread(target=busy) for _ in range(3)]
        for thread in threads:
            thread.start()
        for _ in range(10):
            assert worker.trigger({"function_id": "forks"}) == 7
        stop.set()
        for thread in threads:
            thread.join()
        worker.shutdown()
        """,
        engine,
    )
    assert nothing_of_the_child(engine)


def test_a_handler_that_returns_in_the_child_answers_nothing_and_ends_it(engine: FakeEngine) -> None:
    run(
        """
        def forks(data):
            child = os.fork()
            return "child::answer" if child == 0 else status(child)

        worker.register_function("forks", forks)
        assert worker.trigger({"function_id": "forks"}) == 0
        worker.shutdown()
        """,
        engine,
    )
    assert nothing_of_the_child(engine)


ENDINGS = {
    "sys.exit(3)": 3,
    "sys.exit('text of the exit')": 1,
    "sys.exit()": 0,
    "raise ValueError('of the child')": 1,
    "raise KeyboardInterrupt": 1,
    "os.abort()": -6,
    "os.execv('/bin/sh', ['sh', '-c', 'exit 9'])": 9,
    "return 'child::answer'": 0,
    "return asyncio.sleep(60)": 0,
    "await asyncio.sleep(60)": 1,
    "await asyncio.gather(asyncio.create_task(asyncio.sleep(0, sys.exit(4))))": 4,
}


def ends_of_a_child(kind: str, ending: str) -> str:
    """A program whose handler forks a child that ends so, and returns its exit code."""
    handler = "async def forks(data):" if kind in ("async", "native") else "def forks(data):"
    return f"""
async def until_ended(child):
    for _ in range(1500):
        if (found := os.waitpid(child, os.WNOHANG))[0]:
            return os.waitstatus_to_exitcode(found[1])
        await asyncio.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "still alive"

{handler}
    child = os.fork()
    if child == 0:
        print("child", flush=True)
        {ending}
    else:
        return {"await until_ended(child)" if handler.startswith("async") else "asyncio.run(until_ended(child))"}
"""


@pytest.mark.parametrize(
    ("kind", "ending"),
    [
        (kind, ending)
        for kind in ("sync", "async", "native")
        for ending in ENDINGS
        if kind != "sync" or not ending.startswith("await")
    ],
)
def test_attack_4_a_child_of_a_handler_ends_with_its_own_code(engine: FakeEngine, kind: str, ending: str) -> None:
    """Not as a second worker, and nothing of it is sent; the worker of the parent serves on."""
    body = ends_of_a_child(kind, ending)
    if kind == "native":
        main = """
async def main():
    async with iii.connect_worker(sys.argv[1], OPTIONS) as worker:
        worker.register_function("forks", forks)
        print("code", await worker.trigger_async({"function_id": "forks"}))
        print("code", await worker.trigger_async({"function_id": "forks"}))

asyncio.run(main())
"""
    else:
        main = """
worker.register_function("forks", forks)
print("code", worker.trigger({"function_id": "forks"}))
print("code", worker.trigger({"function_id": "forks"}))
worker.shutdown()
"""
    command = [sys.executable, "-c", (HEAD if kind == "native" else WORKER) + body + main, engine.url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=3 * DEADLINE_S, check=False)
    assert done.stdout.count(f"code {ENDINGS[ending]}\n") == 2, done.stdout + done.stderr
    assert done.returncode == 0
    if ENDINGS[ending] == 1:  # the reason is on stderr, once for each child
        reasons = [line for line in done.stderr.splitlines() if line and not line.startswith((" ", "Traceback"))]
        assert len(reasons) >= 2, done.stderr
    assert "Function failed" not in done.stderr
    assert nothing_of_the_child(engine)
    assert len(engine.connections) == 1


LOOPS = {"uvloop": "", "asyncio": "import sys; sys.modules['uvloop'] = None\n"}

ENDINGS_OF_A_TASK = {
    "return": 0,
    "sys.exit(3)": 3,
    "raise ValueError('of the child')": 1,
    "await asyncio.sleep(60)": 1,
    "\n        try: sys.exit(4)\n        finally: len('x')": 4,
    "\n        try: int('x')\n        except ValueError: return": 0,
    "\n        [0].sort(key=lambda _: sys.exit(5))": 5,
}


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("ending", ENDINGS_OF_A_TASK)
def test_attack_5_a_child_of_a_task_or_thread_of_a_handler_is_no_second_event_loop(
    engine: FakeEngine, ending: str, loop: str
) -> None:
    program = f"""
async def part(pids):
    asyncio.get_running_loop().call_soon(pids.append, None)  # of the parent alone
    pids.append(os.fork())
    if pids[-1] == 0:
        {ending}

def in_pool(pids):
    pids.append(os.fork())
    if pids[-1] == 0:
        {"os._exit(9)" if "await" in ending else ending}

async def forks(data):
    pids = []
    await asyncio.gather(asyncio.create_task(part(pids)), asyncio.to_thread(in_pool, pids))
    return [await asyncio.to_thread(status, pid) for pid in pids if pid]

worker.register_function("forks", forks)
print(sorted(worker.trigger({{"function_id": "forks"}})))
worker.shutdown()
"""
    code = ENDINGS_OF_A_TASK[ending]
    codes = [code, 9 if "await" in ending else code]
    done = run_whatever(program, engine, head=LOOPS[loop] + WORKER)
    assert (done.returncode, done.stdout) == (0, f"{codes}\n"), done.stderr
    assert done.stderr.count("Traceback") == codes.count(1), done.stderr
    assert nothing_of_the_child(engine)


@pytest.mark.parametrize("loop", LOOPS)
def test_attack_5_what_was_ready_in_the_parent_is_not_called_in_a_child_of_its_callback(
    engine: FakeEngine, loop: str
) -> None:
    run(
        """
        def both(found):
            found.append(os.fork())

        async def forks(data):
            found, loop = [], asyncio.get_running_loop()
            loop.call_soon(both, found)
            loop.call_soon(print, "called")
            while not found:
                await asyncio.sleep(0.01)
            return await asyncio.to_thread(status, found[0])

        worker.register_function("forks", forks)
        assert worker.trigger({"function_id": "forks"}) == 0
        worker.shutdown()
        """,
        engine,
        head=LOOPS[loop] + WORKER,
        prints="called\n",
    )


@pytest.mark.parametrize("loop", LOOPS)
def test_attack_5_a_child_of_a_callback_ends_though_a_debugger_traces_or_no_python_is_between(
    engine: FakeEngine, loop: str
) -> None:
    run(
        """
        def traced():
            sys.settrace(lambda *_: None)
            try:
                os.fork()
            finally:
                sys.settrace(None)

        async def forks(data):
            loop = asyncio.get_running_loop()
            codes = []
            for callback in (os.fork, traced):
                loop.call_soon(callback)
                await asyncio.sleep(0.01)
                codes.append(await asyncio.to_thread(status, -1))
            return codes

        worker.register_function("forks", forks)
        assert worker.trigger({"function_id": "forks"}) == [0, 0]
        worker.shutdown()
        """,
        engine,
        head=LOOPS[loop] + WORKER,
    )
    assert nothing_of_the_child(engine)


HOSTILE_EXITS = """
class Hidden(SystemExit):
    @property
    def code(self):
        raise KeyboardInterrupt

class Number(int):
    def __and__(self, other):
        raise KeyboardInterrupt

class Unprintable(BaseException):
    def __str__(self):
        raise SystemExit(9)
    __repr__ = __str__

def ends(how):
    child = os.fork()
    if child == 0:
        raise how
    return child
"""


def test_attack_6_a_child_ends_though_its_error_is_hostile(engine: FakeEngine) -> None:
    program = f"""{HOSTILE_EXITS}
async def forks(data):
    async def part(how):
        return ends(how)

    codes = []
    for how in (Hidden(3), SystemExit(Number(4)), SystemExit(-1), SystemExit(Unprintable()), Unprintable()):
        pids = await asyncio.to_thread(ends, how), await asyncio.create_task(part(how))
        codes.append([await asyncio.to_thread(status, pid) for pid in pids])
    return codes

worker.register_function("forks", forks)
print(worker.trigger({{"function_id": "forks"}}))
worker.shutdown()
"""
    done = run_whatever(program, engine)
    assert (done.returncode, done.stdout) == (0, "[[1, 1], [4, 4], [255, 255], [1, 1], [1, 1]]\n"), done.stderr


@pytest.mark.parametrize("of", ["await asyncio.to_thread(begins)", "await asyncio.create_task(part())"])
def test_attack_6_threads_that_a_child_began_are_waited_for(engine: FakeEngine, of: str) -> None:
    run(
        f"""
        from concurrent.futures import ThreadPoolExecutor
        told, tell = os.pipe()

        def begins():
            child = os.fork()
            if child == 0:
                ThreadPoolExecutor(1).submit(print, end="")
                threading.Thread(target=lambda: os.read(told, 1) and os._exit(6)).start()
            return child

        async def forks(data):
            async def part():
                return begins()

            child = {of}
            os.write(tell, b"x")
            return await asyncio.to_thread(status, child)

        worker.register_function("forks", forks)
        assert worker.trigger({{"function_id": "forks"}}) == 6
        worker.shutdown()
        """,
        engine,
    )


@pytest.mark.parametrize("loop", LOOPS)
def test_attack_6_a_child_is_cut_off_though_no_descriptor_is_left(engine: FakeEngine, loop: str) -> None:
    run(
        """
        import resource
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

        def forks_at_the_limit():
            resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 20, hard))
            held = []
            try:
                while True:
                    held.append(os.dup(2))
            except OSError:
                child = os.fork()
            if child == 0:
                refused(lambda: worker.trigger({"function_id": "child::void", "action": VOID}))
            for each in held:
                os.close(each)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            return child

        async def forks(data):
            async def part():
                return forks_at_the_limit()

            return await asyncio.to_thread(status, await asyncio.create_task(part()))

        worker.register_function("forks", forks)
        for _ in range(3):
            assert worker.trigger({"function_id": "forks"}) == 0
        worker.shutdown()
        """,
        engine,
        head=LOOPS[loop] + WORKER,
    )
    assert nothing_of_the_child(engine)


STEALS = """
import random

async def many_wakes(child):
    for _ in range(40):
        await asyncio.to_thread(time.sleep, 0.00005)
    return await asyncio.to_thread(status, child)

async def part():
    child = os.fork()
    if child == 0:
        time.sleep(random.random() * 0.01)
    return child
"""


@pytest.mark.parametrize("loop", LOOPS)
def test_a_child_takes_no_wake_of_its_parents_loop(engine: FakeEngine, loop: str) -> None:
    """Without the cure the loop of the parent is not woken again, within a few of these forks."""
    program = f"""{STEALS}
async def forks(data):
    return [await many_wakes(await asyncio.create_task(part())) for _ in range(25)]

worker.register_function("forks", forks)
assert worker.trigger({{"function_id": "forks"}}) == [0] * 25
worker.shutdown()
"""
    run(program, engine, head=LOOPS[loop] + WORKER)


APP = """
app = iii.App("forks", options=OPTIONS)

async def all_forks():
    print([await many_wakes(await asyncio.create_task(part())) for _ in range(25)] == [0] * 25)
    os.kill(os.getpid(), signal.SIGTERM)

@app.on_start
async def begin():
    app.task = asyncio.create_task(all_forks())

app.run(sys.argv[1])
"""


@pytest.mark.parametrize("loop", LOOPS)
def test_a_child_of_an_app_takes_no_wake_of_its_loop(engine: FakeEngine, loop: str) -> None:
    engine.answers[LIST_TRIGGERS] = {"triggers": []}
    run(HEAD + STEALS + APP, engine, head=LOOPS[loop], prints="True\n")


@pytest.mark.parametrize("loop", LOOPS)
def test_a_child_of_a_native_worker_takes_no_wake_of_its_parents_loop(engine: FakeEngine, loop: str) -> None:
    program = f"""{STEALS}
import {loop}

async def main():
    async with iii.connect_worker(sys.argv[1], OPTIONS) as worker:
        worker.register_function("echo", lambda data: data)
        for _ in range(25):
            child = os.fork()
            if child == 0:
                time.sleep(random.random() * 0.01)
                return
            assert await many_wakes(child) == 0
        assert await worker.trigger_async({{"function_id": "echo", "payload": 1}}) == 1

{loop}.run(main())
"""
    run(program, engine, head=HEAD)


def test_a_process_of_multiprocessing_that_a_callback_starts_is_not_traced(engine: FakeEngine) -> None:
    """It ends by itself, and may run for long: a trace would make it several times slower."""
    run(
        """
        import multiprocessing

        def traced(queue):
            queue.put(sys.gettrace() is not None)

        async def part():
            context = multiprocessing.get_context("fork")
            queue = context.SimpleQueue()
            process = context.Process(target=traced, args=(queue,))
            process.start()
            found = await asyncio.to_thread(queue.get)
            await asyncio.to_thread(process.join)
            return found, process.exitcode

        async def forks(data):
            return await asyncio.create_task(part())

        worker.register_function("forks", forks)
        assert worker.trigger({"function_id": "forks"}) == [False, 0]
        worker.shutdown()
        """,
        engine,
    )


@pytest.mark.parametrize("ending", ["sys.exit(5)", "return"])
@pytest.mark.parametrize("method", ["def", "async def"])
def test_attack_4_a_child_of_a_provider_ends(method: str, ending: str) -> None:
    """`awaited` and `in_thread` run what is no handler: the callbacks of a trigger type."""
    program = f"""
    from iii.sdk.awaited import awaited, in_thread

    {method} register(pids):
        pids.append(os.fork())
        if pids[-1] == 0:
            {ending}

    async def main():
        pids = []
        await ({"awaited(register(pids))" if "async" in method else "in_thread(register, pids)"})
        assert await asyncio.to_thread(status, pids[0]) == {5 if "exit" in ending else 0}

    asyncio.run(main())
    """
    command = [sys.executable, "-c", HEAD + textwrap.dedent(program)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=2 * DEADLINE_S, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_attack_4_a_child_of_a_handler_has_its_own_worker_and_shuts_it_down(engine: FakeEngine) -> None:
    run(
        """
        def forks(data):
            child = os.fork()
            if child == 0:
                own = iii.register_worker(sys.argv[1], OPTIONS)
                own.register_function("own", lambda data: data)
                sys.exit(own.trigger({"function_id": "own", "payload": 6}))
            return status(child)

        worker.register_function("forks", forks)
        assert worker.trigger({"function_id": "forks", "timeout_ms": 60_000}) == 6
        worker.shutdown()
        """,
        engine,
    )


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
@pytest.mark.parametrize("ending", ["os._exit(0)", "sys.exit(0)", "return"])
def test_a_native_worker_forked_within_its_running_loop(engine: FakeEngine, loop: str, ending: str) -> None:
    run(
        f"""
        import {loop}

        def no_worker(worker):
            for call in (
                lambda: worker.trigger({{"function_id": "child::call"}}),
                lambda: worker.trigger({{"function_id": "child::void", "action": VOID}}),
                lambda: worker.register_function("child::function", print),
                worker.shutdown,
            ):
                refused(call)

        async def main():
            async with iii.connect_worker(sys.argv[1], OPTIONS) as worker:
                worker.register_function("echo", lambda data: data)
                child = os.fork()
                if child == 0:
                    no_worker(worker)
                    {ending}
                else:
                    assert await asyncio.to_thread(status, child) == 0
                for value in range(20):
                    assert await worker.trigger_async({{"function_id": "echo", "payload": value}}) == value

        {loop}.run(main())
        """,
        engine,
        head=HEAD,
    )
    assert nothing_of_the_child(engine)
    assert len(engine.connections) == 1


def test_channels_and_telemetry_of_the_parent_lead_nowhere_in_the_child(engine: FakeEngine) -> None:
    program = """
    child = os.fork()
    if child == 0:
        iii.Logger("child::logger").info("child::log")
        with __import__("contextlib").suppress(Exception):
            __import__("urllib.request").request.urlopen("http://127.0.0.1:1/child::")
        os._exit(0)
    assert status(child) == 0
    worker.shutdown()
    """
    command = [sys.executable, "-c", WORKER + textwrap.dedent(program), engine.url]
    environment = {"OTEL_ENABLED": "true", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=2 * DEADLINE_S, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    frames = [each for socket in engine.telemetry_sockets for each in socket.binary]
    assert not [each for each in frames if b"child::" in each]


def test_08_4_1_a_fork_waits_for_the_first_use_of_a_name_in_another_thread(engine: FakeEngine) -> None:
    """G8: the child found the module locked by a thread that it does not have, and hung for ever."""
    program = """
    importing, forked = threading.Event(), threading.Event()

    class SlowImport:
        def find_spec(self, name, path=None, target=None):
            if name == "iii.sdk.app":
                importing.set()
                forked.wait(0.5)

    sys.meta_path.insert(0, SlowImport())
    thread = threading.Thread(target=lambda: iii.App)
    thread.start()
    assert importing.wait(60)
    child = os.fork()
    if child == 0:
        threading.Timer(60, os._exit, (3,)).start()
        iii.App
        os._exit(0)
    forked.set()
    thread.join()
    assert status(child) == 0
    assert os.fork() or os._exit(0)
    """
    run(program, engine, head=HEAD)
