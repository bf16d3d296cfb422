"""`iii trigger` against a running engine (07 §8.2)."""

import asyncio
import json
import os
import pty
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import iii as sdk
from tests.integration.cli.running import Iii, RunningEngine
from tests.integration.cli.terminal import read_until
from tests.machine import scaled
from tests.processes import EngineProcess, environment

ENTERED = threading.Event()


async def forever(payload: object) -> None:
    ENTERED.set()
    await asyncio.Event().wait()


@pytest.fixture(scope="module", autouse=True)
def worker(engine: RunningEngine) -> Iterator[sdk.Worker]:
    worker = sdk.register_worker(engine.url(), sdk.InitOptions(worker_name="math-worker"))

    def add(payload: dict[str, int]) -> int:
        """Adds two numbers."""
        return payload["a"] + payload["b"]

    def raising(payload: object) -> None:
        raise ValueError("no")

    def fail(payload: object) -> None:
        raise sdk.InvocationError("NOT_TODAY", "come back tomorrow")

    worker.register_function(
        "math::add",
        add,
        request_format={
            "type": "object",
            "properties": {"a": {"type": "integer", "description": "First\x1b[31m"}, "b": {"type": "integer"}},
            "required": ["a", "b"],
        },
    )
    worker.register_function("t::echo", lambda payload: payload, request_format=None)
    worker.register_function("t::none", lambda payload: None)
    worker.register_function("t::fail", fail)
    worker.register_function("t::raise", raising)
    worker.register_function("t::forever", forever)
    elsewhere = sdk.register_worker(engine.url(), sdk.InitOptions(worker_name="other", namespace="elsewhere"))
    elsewhere.register_function("t::where", lambda payload: "elsewhere")
    assert worker.trigger({"function_id": "t::none"}) is None
    assert elsewhere.trigger({"function_id": "t::where"}) == "elsewhere"
    yield worker
    elsewhere.shutdown()
    worker.shutdown()


def test_07_check_61_pairs_are_numbers_and_the_value_is_printed(iii: Iii, engine: RunningEngine) -> None:
    done = iii("trigger", "math::add", "a=2", "b=3", "--url", engine.url())
    assert (done.returncode, done.stdout, done.stderr) == (0, "5\n", "")


def test_07_check_63_the_old_spelling(iii: Iii, engine: RunningEngine) -> None:
    done = iii("trigger", "--function-id", "math::add", "--payload", '{"a":1,"b":1}', III_URL=engine.url())
    assert (done.returncode, done.stdout, done.stderr) == (0, "2\n", "")


def test_07_s8_2_address_and_port_win_over_III_URL(iii: Iii, engine: RunningEngine) -> None:
    host, _, port = engine.url().removeprefix("ws://").rpartition(":")
    done = iii(
        "t", "math::add", "--json", '{"a": 1, "b": 1}', "b=5", "--address", host, "--port", port, III_URL="ws://x:1"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "6\n", "")


def test_07_s8_2_objects_are_pretty_and_sorted(iii: Iii, engine: RunningEngine) -> None:
    done = iii("trigger", "t::echo", "--json", "[1, {}]", "--url", engine.url())
    assert done.stdout == "[\n  1,\n  {}\n]\n"
    done = iii("trigger", "t::echo", "b=ü", 'a={"z": 1, "y": 2.50}', "--url", engine.url())
    value = json.loads(done.stdout)
    value.pop("_caller_worker_id")
    assert value == {"a": {"y": 2.5, "z": 1}, "b": "ü"}
    assert done.stdout.index('"y"') < done.stdout.index('"z"') < done.stdout.index('"b": "ü"')


def test_07_check_62_null_prints_nothing(iii: Iii, engine: RunningEngine) -> None:
    done = iii("trigger", "t::none", "--url", engine.url())
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_07_check_62_a_function_error_is_json_on_stderr(iii: Iii, engine: RunningEngine) -> None:
    done = iii("trigger", "t::fail", "--url", engine.url())
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: {")
    error = json.loads(done.stderr.removeprefix("Error: "))
    assert (error["code"], error["message"]) == ("NOT_TODAY", "come back tomorrow")
    assert "in fail" in error["stacktrace"]
    done = iii("trigger", "no::such", "--url", engine.url())
    error = json.loads(done.stderr.removeprefix("Error: "))
    assert error["code"] == "function_not_found"
    assert set(error) == {"code", "message"}, "no stack trace where there is none"
    done = iii("trigger", "t::fial", "--url", engine.url())  # newcomer M16
    assert json.loads(done.stderr.removeprefix("Error: "))["message"].endswith(" Did you mean 't::fail'?")


def test_07_s8_2_a_timeout_is_told(iii: Iii, engine: RunningEngine) -> None:
    done = iii("trigger", "t::forever", "--timeout", "3000", "--url", engine.url())  # also for the connection
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(
        "Error: Timed out waiting for the engine (no response within the timeout). t::forever did"
    )


def test_07_s8_2_namespace(iii: Iii, engine: RunningEngine) -> None:
    done = iii("trigger", "t::where", "-n", "elsewhere", III_URL=engine.url())
    assert (done.returncode, done.stdout) == (0, '"elsewhere"\n')
    done = iii("trigger", "t::where", III_URL=engine.url(), III_NAMESPACE="elsewhere")
    assert "function_not_found" in done.stderr


def test_a_starters_worker_name_does_not_turn_the_command_away(iii: Iii, engine: RunningEngine) -> None:
    done = iii("trigger", "math::add", "a=1", "b=1", III_URL=engine.url(), III_WORKER_NAME="math-worker")
    assert (done.returncode, done.stdout) == (0, "2\n")


def test_07_s8_2_help_of_a_function(iii: Iii, engine: RunningEngine) -> None:
    done = iii("trigger", "math::add", "--help", "--url", engine.url())
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split() for line in done.stdout.splitlines() if line] == [
        ["math::add"],
        ["Adds", "two", "numbers."],
        ["served", "by", "math-worker"],
        ["usage:", "iii", "trigger", "math::add", "a=…", "b=…"],
        ["PARAMETER", "TYPE", "REQUIRED", "DESCRIPTION"],
        ["a", "integer", "yes", "First[31m"],
        ["b", "integer", "yes"],
    ]
    done = iii("trigger", "t::echo", "-h", "--url", engine.url())
    assert done.stdout.endswith("(no request schema published)\n")


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("engine::worker::list", "engine::workers::list"),
        ("engine::functions::lst", "engine::functions::list"),
        ("engines::functions::list", "engine::functions::list"),
    ],
)
def test_07_s8_2_functions_of_the_engine_are_suggested_too(
    iii: Iii, engine: RunningEngine, wrong: str, right: str
) -> None:
    done = iii("trigger", wrong, "--url", engine.url())
    assert json.loads(done.stderr.removeprefix("Error: "))["message"].endswith(f" Did you mean '{right}'?")
    done = iii("trigger", wrong, "--help", "--url", engine.url())
    assert done.stderr.endswith(f" Did you mean '{right}'?\n")


def test_07_s8_2_help_of_an_unknown_function(iii: Iii, engine: RunningEngine) -> None:
    done = iii("trigger", "no::such", "--help", "--url", engine.url())
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: function `no::such` not found in engine registry.\nhint: ")
    done = iii("trigger", "t::fial", "--help", "--url", engine.url())
    assert done.stderr.endswith("'iii function list' shows what can be called. Did you mean 't::fail'?\n")


def test_ctrl_c_ends_a_call_silently(engine: RunningEngine) -> None:
    command = [sys.executable, "-m", "iii.cli", "trigger", "t::forever", "--url", engine.url()]
    ENTERED.clear()
    with subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert ENTERED.wait(60)
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=60)[0] == b""
        assert process.returncode == 130


def test_a_lost_connection_is_told(tmp_path: Path, iii: Iii) -> None:
    with EngineProcess(tmp_path) as engine, sdk_worker(engine.url):
        ENTERED.clear()
        command = [sys.executable, "-m", "iii.cli", "trigger", "t::forever", "--url", engine.url]
        with subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE, text=True) as process:
            assert ENTERED.wait(60)
            engine.kill()
            _, told = process.communicate(timeout=60)
    assert told == f"Error: lost the connection to {engine.url}; the function may still be running\n"
    assert process.returncode == 1


@contextmanager
def sdk_worker(url: str) -> Iterator[sdk.Worker]:
    worker = sdk.register_worker(url)
    worker.register_function("t::forever", forever)
    assert worker.list_functions()
    yield worker
    worker.shutdown()


def test_reading_only_the_start_of_the_output_is_fine(engine: RunningEngine) -> None:
    command = f"{sys.executable} -m iii.cli function list --all --json --url {engine.url()}"
    done = subprocess.run(
        ["/bin/sh", "-c", f"{command} | head -n 1"], env=environment(), capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.stderr) == ("[\n", "")


@pytest.fixture
def dead_port() -> Iterator[str]:
    """A port that refuses connections for sure, since it is bound and not listened on."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield str(bound.getsockname()[1])


def test_07_check_64_a_stopped_engine_is_told_at_once(iii: Iii, dead_port: str) -> None:
    started = time.monotonic()
    done = iii("trigger", "f", "--address", "127.0.0.1", "--port", dead_port)
    assert time.monotonic() - started < scaled(10)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"Error: cannot connect to ws://127.0.0.1:{dead_port}: connection refused. "
        "Is the engine running at the given address and port?\n"
    )


def test_07_s8_2_help_without_an_engine_is_the_help_of_the_command(iii: Iii, dead_port: str) -> None:
    done = iii("trigger", "f", "--help", "--port", dead_port)
    assert done.returncode == 0
    assert done.stderr.startswith("warning: cannot connect to ")
    assert "FUNCTION_PATH" in done.stdout


def test_a_port_that_is_no_engine_is_told(iii: Iii) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        done = iii(
            "trigger", "f", "--port", str(silent.getsockname()[1]), "--address", "127.0.0.1", "--timeout-ms", "300"
        )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(
        "Error: Timed out waiting for the engine (no response within the timeout). Is the engine"
    )


def test_07_s8_2_on_a_terminal_the_message_of_an_error_comes_first(engine: RunningEngine) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "iii.cli", "trigger", "t::raise", "--url", engine.url()]
    with subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, stderr=theirs) as process:
        os.close(theirs)
        told = read_until(ours, "\n  ValueError: no\r\n").splitlines()
        assert process.wait(60) == 1
    os.close(ours)
    assert told[0] == "Error: invocation_failed: ValueError: no"
    assert told[1:4] == ["", "in the worker:", "  Traceback (most recent call last):"]
    assert told[-1] == "  ValueError: no"
