"""How a worker connects, comes back and leaves (08 §4, checks 1-18, 47-51, 64)."""

import asyncio
import gc
import inspect
import os
import re
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

import iii
from tests.integration.sdk.connecting import FAST, Connect
from tests.integration.sdk.fake_engine import ANNOUNCE, DEADLINE_S, FakeEngine
from tests.machine import scaled
from tests.processes import free_port


def test_08_check_01_a_new_worker_only_announces_itself(engine: FakeEngine, connect: Connect) -> None:
    worker = connect()
    announced = engine.connection().messages

    assert worker.get_connection_state() == "connected"
    assert [each["type"] for each in announced] == ["invokefunction"]
    assert announced[0]["function_id"] == "engine::workers::register"
    assert "action" not in announced[0]
    assert announced[0]["invocation_id"]  # P10: its answer says that the engine has accepted the worker
    engine.wait(lambda: worker.worker_id == "W1")


def test_08_check_02_the_address_comes_from_argument_then_environment_then_default(
    engine: FakeEngine, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("III_URL", engine.url)
    worker = iii.register_worker()
    assert worker.get_address() == engine.url
    worker.shutdown()

    monkeypatch.setenv("III_URL", "ws://a:1")
    assert connect().get_address() == engine.url


def test_08_check_03_the_doors_are_what_they_seem() -> None:
    assert not inspect.iscoroutinefunction(iii.register_worker)
    for method in (iii.Worker.trigger_async, iii.Worker.shutdown_async, iii.Worker.list_workers_async):
        assert inspect.iscoroutinefunction(method)
        assert method.__doc__


def test_errors_of_python_name_the_public_class(worker: iii.Worker) -> None:
    with pytest.raises(TypeError, match=r"^Worker\.trigger\(\) missing 1 required positional argument: 'request'"):
        worker.trigger()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"^Worker\.shutdown\(\) takes 1 positional argument"):
        worker.shutdown(1)  # type: ignore[call-arg]
    with pytest.raises(AttributeError, match=r"^'Worker' object has no attribute 'trigr'"):
        worker.trigr  # type: ignore[attr-defined]  # noqa: B018


def test_08_check_04_an_unreachable_engine_gives_a_worker_that_goes_on_trying(
    connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    started = time.monotonic()
    worker = connect(f"ws://127.0.0.1:{free_port()}", connect_timeout_ms=200)

    assert 0.2 <= time.monotonic() - started < scaled(15)
    assert worker.get_connection_state() in ("reconnecting", "connecting")
    assert "Timed out after 0.2s waiting for connection to" in caplog.text
    assert iii.InitOptions().connect_timeout_ms == 30_000


def test_08_check_04_retries_that_are_used_up_raise_at_once(connect: Connect) -> None:
    few = iii.ReconnectionConfig(max_retries=2, initial_delay_ms=10)
    started = time.monotonic()
    with pytest.raises(ConnectionError, match=r"failed after max retries$"):
        connect(f"ws://127.0.0.1:{free_port()}", reconnection_config=few)
    assert time.monotonic() - started < scaled(15)


@pytest.mark.parametrize("first_answer", [b"", b"HTTP/1.1 503 Service Unavailable\r\n\r\n", b"garbage\r\n\r\n"])
def test_08_check_07_a_failed_handshake_is_tried_again(connect: Connect, first_answer: bytes) -> None:
    port = free_port()
    refuser = socket.create_server(("127.0.0.1", port))
    replaced: list[FakeEngine] = []

    def refuse_once() -> None:
        peer, _ = refuser.accept()
        with peer:
            peer.recv(65_536)
            peer.sendall(first_answer)
        refuser.close()
        replaced.append(FakeEngine(port))

    thread = threading.Thread(target=refuse_once)
    thread.start()
    try:
        worker = connect(f"ws://127.0.0.1:{port}")
        assert worker.get_connection_state() == "connected"
    finally:
        thread.join()
        worker.shutdown()
        replaced[0].stop()


def test_08_check_08_every_end_of_a_socket_is_followed_by_another(engine: FakeEngine, worker: iii.Worker) -> None:
    engine.connection(1).close(1000)
    engine.connection(2).close(1001)
    engine.connection(3).close(1012, "restart")
    engine.connection(4).close(4401)
    engine.connection(5).drop()
    engine.connection(6)
    engine.wait(lambda: worker.get_connection_state() == "connected")


def test_08_check_08_a_reset_right_behind_a_message_is_noticed(engine: FakeEngine, worker: iii.Worker) -> None:
    """uvloop calls a reader once for both; one that takes the message and waits for the next call never hears of the end."""
    entered, go_on = threading.Event(), threading.Event()

    async def block() -> None:
        entered.set()
        go_on.wait(DEADLINE_S)

    worker.register_function("block", block)
    first = engine.connection()
    first.message("registerfunction", id="block")
    first.send({"type": "invokefunction", "function_id": "block", "data": None})  # void: nothing is written after it
    assert entered.wait(DEADLINE_S)  # from now on the worker's loop looks at nothing
    first.send({"type": "pong"})
    first.reset()
    engine.wait(lambda: first.closed)
    go_on.set()

    engine.connection(2).announced()


def test_a_handshake_without_answer_is_given_up(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("iii.sdk.link.HANDSHAKE_TIMEOUT_MS", 50)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        worker = connect(f"ws://127.0.0.1:{mute.getsockname()[1]}", connect_timeout_ms=1)
        for _ in range(3):
            peer, _ = mute.accept()
            with peer:
                peer.settimeout(60)
                while peer.recv(65_536):  # the request, then the end
                    pass
        worker.shutdown()
    assert "Cannot connect" in caplog.text


async def test_a_shutdown_during_the_handshake_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("iii.sdk.link.HANDSHAKE_TIMEOUT_MS", 300)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = f"ws://127.0.0.1:{mute.getsockname()[1]}"
        worker = await iii.connect_worker(address, iii.InitOptions(connect_timeout_ms=1))
        peer, _ = await asyncio.to_thread(mute.accept)
        with peer:
            await asyncio.to_thread(peer.recv, 65_536)
            await worker.shutdown_async()
            assert worker.get_connection_state() == "disconnected"
            peer.settimeout(60)
            assert await asyncio.to_thread(peer.recv, 1) == b""


class Provider(iii.TriggerHandler):
    async def register_trigger(self, config: iii.TriggerConfig) -> None: ...

    async def unregister_trigger(self, config: iii.TriggerConfig) -> None: ...


def test_08_check_09_everything_is_registered_again_in_order(engine: FakeEngine, worker: iii.Worker) -> None:
    worker.register_function("one", lambda data: data)
    worker.register_trigger({"type": "ticks", "function_id": "one", "config": {"every": 5}})
    worker.register_trigger_type({"id": "ticks", "description": "A clock"}, Provider())
    worker.register_function("two", lambda data: data)
    gone = worker.register_function("three", lambda data: data)
    gone.unregister()
    gone.unregister()
    first = engine.connection(1)
    first.message("unregisterfunction", id="three")
    engine.wait(lambda: worker.worker_id == "W1")

    first.drop()
    again = engine.connection(2).messages

    assert again[0] == {"type": "reattach", "previous_worker_id": "W1", "reattach_token": "T1"}
    assert [(each["type"], each.get("id")) for each in again[1:4]] == [
        ("registertriggertype", "ticks"),
        ("registerfunction", "one"),
        ("registerfunction", "two"),
    ]
    assert again[4] == first.message("registertrigger")
    assert again[5]["function_id"] == "engine::workers::register"
    assert len(again) == 6


def test_08_check_10_the_first_connection_has_nothing_to_reattach(engine: FakeEngine, worker: iii.Worker) -> None:
    assert not engine.connection(1).of("reattach")


def test_08_check_11_what_is_registered_before_the_connection_is_sent_once(connect: Connect) -> None:
    port = free_port()
    worker = connect(f"ws://127.0.0.1:{port}", connect_timeout_ms=1)
    worker.register_function("early", lambda data: data)
    worker.register_trigger({"type": "cron", "function_id": "early"})
    engine = FakeEngine(port)
    try:
        connection = engine.connection()
        assert [each["type"] for each in connection.messages] == [
            "registerfunction",
            "registertrigger",
            "invokefunction",
        ]
    finally:
        worker.shutdown()
        engine.stop()


def test_08_check_12_calls_made_without_a_connection_are_sent_later_the_newest_thousand(
    connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    worker = connect(f"ws://127.0.0.1:{port}", connect_timeout_ms=1)
    for number in range(1001):
        worker.trigger({"function_id": "mail::send", "payload": number, "action": iii.TriggerAction.Void()})
    engine = FakeEngine(port)
    try:
        sent = [each["data"] for each in engine.connection().of("invokefunction", function_id="mail::send")]
        assert sent == list(range(1, 1001))
        assert caplog.text.count("Message queue full, dropping oldest message") == 1
    finally:
        worker.shutdown()
        engine.stop()


def test_a_call_that_waits_for_the_connection_is_answered_and_one_that_gave_up_is_not_sent(connect: Connect) -> None:
    port = free_port()
    worker = connect(f"ws://127.0.0.1:{port}", connect_timeout_ms=1)
    with pytest.raises(iii.InvocationTimeout, match="it was not sent, because there is no connection"):
        worker.trigger({"function_id": "late", "timeout_ms": 10})
    answers: list[object] = []
    caller = threading.Thread(target=lambda: answers.append(worker.trigger({"function_id": "patient"})))
    caller.start()
    engine = FakeEngine(port)
    engine.answers["patient"] = "here"
    try:
        caller.join(60)
        assert answers == ["here"]
        assert not engine.connection().of("invokefunction", function_id="late")
    finally:
        worker.shutdown()
        engine.stop()


def test_08_s9_1_a_call_whose_connection_is_lost_says_so_when_its_time_is_over(
    engine: FakeEngine, worker: iii.Worker
) -> None:
    request: iii.TriggerRequest = {"function_id": "f", "payload": 1, "timeout_ms": 2000}

    async def in_a_coroutine() -> None:
        await worker.trigger_async(request)

    with ThreadPoolExecutor() as threads:
        calls = [threads.submit(worker.trigger, request), threads.submit(lambda: asyncio.run(in_a_coroutine()))]
        started = worker.start(request)
        first = engine.connection()
        engine.wait(lambda: len(first.of("invokefunction", function_id="f")) == 3, "the calls")
        first.reset()
        errors = [each.exception() for each in (*calls, threads.submit(started.result))]
    for error in errors:
        assert isinstance(error, iii.InvocationTimeout)
        assert "the connection to the engine was lost" in str(error)


def test_results_of_handlers_that_outlive_their_connection_are_sent_on_the_next(
    engine: FakeEngine, worker: iii.Worker
) -> None:
    release = threading.Event()
    entered = threading.Event()

    def slow(data: object) -> str:
        entered.set()
        release.wait(60)
        return "done"

    worker.register_function("slow", slow)
    first = engine.connection(1)
    first.message("registerfunction", id="slow")
    first.send({"type": "invokefunction", "function_id": "slow", "data": None, "invocation_id": "i1"})
    assert entered.wait(60)
    first.drop()
    engine.wait(lambda: worker.get_connection_state() != "connected" or len(engine.connections) > 1)
    release.set()

    assert engine.connection(2).message("invocationresult", invocation_id="i1")["result"] == "done"


def test_unregistering_without_a_connection_is_applied_by_not_registering_again(connect: Connect) -> None:
    port = free_port()
    first = FakeEngine(port)
    worker = connect(first.url)
    function = worker.register_function("f", lambda data: data)
    trigger = worker.register_trigger({"type": "cron", "function_id": "f"})
    type_ref = worker.register_trigger_type({"id": "t", "description": ""}, Provider())
    first.connection().message("registertriggertype", id="t")
    first.stop()
    function.unregister()
    trigger.unregister()
    type_ref.unregister()

    second = FakeEngine(port)
    try:
        types = {each["type"] for each in second.connection().messages}
        assert types <= {"invokefunction", "reattach"}
    finally:
        worker.shutdown()
        second.stop()


@pytest.mark.parametrize("broken", [b"{not json", b"[]", b'{"type":"unheard-of"}', b'{"type":"invokefunction"}', b"{}"])
def test_08_check_13_a_broken_message_harms_no_other(engine: FakeEngine, worker: iii.Worker, broken: bytes) -> None:
    worker.register_function("f", lambda data: data)
    connection = engine.connection()
    connection.message("registerfunction", id="f")
    connection.send(broken)
    assert connection.invoke("f", 1)["result"] == 1


def test_08_check_14_listeners_hear_the_state_now_and_each_change_once(
    engine: FakeEngine, worker: iii.Worker, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[str] = []
    other: list[str] = []

    def broken(state: str) -> None:
        raise RuntimeError("listener is broken")

    worker.add_connection_state_listener(broken)
    unsubscribe = worker.add_connection_state_listener(heard.append)
    stop_other = worker.add_connection_state_listener(other.append)
    assert heard == ["connected"]

    engine.connection(1).drop()
    engine.connection(2)
    engine.wait(lambda: heard[-1] == "connected" and len(heard) > 1)
    assert heard == ["connected", "disconnected", "reconnecting", "connected"]
    assert "Connection state listener raised on initial fire" in caplog.text

    unsubscribe()
    unsubscribe()
    engine.connection(2).drop()
    engine.connection(3)
    engine.wait(lambda: len(other) == 7)
    assert len(heard) == 4
    stop_other()


def test_08_check_15_shutdown_ends_the_thread_and_can_be_repeated(engine: FakeEngine) -> None:
    worker = iii.register_worker(engine.url)
    connection = engine.connection()
    worker.shutdown()

    assert worker.get_connection_state() == "disconnected"
    assert not [thread for thread in threading.enumerate() if thread.name == "iii worker"]
    engine.wait(lambda: connection.close_code == 1000)
    worker.shutdown()


def test_08_check_16_a_pending_call_ends_with_shutdown(engine: FakeEngine) -> None:
    worker = iii.register_worker(engine.url)
    errors: list[Exception] = []

    def call() -> None:
        try:
            worker.trigger({"function_id": "never"})
        except iii.InvocationError as error:
            errors.append(error)

    caller = threading.Thread(target=call)
    caller.start()
    engine.connection().message("invokefunction", function_id="never")
    worker.shutdown()
    caller.join(60)

    assert isinstance(errors[0], iii.ClientShutdown)
    assert errors[0].code == "SHUTDOWN"
    assert errors[0].message == "iii is shutting down"


def test_08_check_17_the_loop_thread_keeps_the_process_alive(worker: iii.Worker) -> None:
    thread = next(each for each in threading.enumerate() if each.name == "iii worker")
    assert not thread.daemon


def test_08_check_18_waiting_on_the_loop_itself_is_refused(engine: FakeEngine, worker: iii.Worker) -> None:
    @worker.function("deadlock")
    async def deadlock(data: object) -> None:
        worker.trigger({"function_id": "other"})

    @worker.function("farewell")
    async def farewell(data: object) -> None:
        worker.shutdown()

    for function_id in ("deadlock", "farewell"):
        engine.connection().message("registerfunction", id=function_id)
        error = engine.connection().invoke(function_id, invocation_id=function_id)["error"]
        assert error["message"].startswith("RuntimeError: Cannot call sync SDK methods from the event loop thread")


def test_08_check_47_a_blank_namespace_is_refused_by_the_constructor(
    engine: FakeEngine, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match="namespace is empty"):
        iii.InitOptions(namespace=" ")
    monkeypatch.setenv("III_NAMESPACE", "")
    connect()
    assert engine.connection(1).announced()["namespace"] is None
    monkeypatch.setenv("III_NAMESPACE", "from-environment")
    connect()
    assert engine.connection(2).announced()["namespace"] == "from-environment"
    connect(namespace="orders")
    assert engine.connection(3).announced()["namespace"] == "orders"


def test_08_check_49_a_function_conflict_is_only_a_warning(
    engine: FakeEngine, worker: iii.Worker, caplog: pytest.LogCaptureFixture
) -> None:
    rejection = {"type": "registrationrejected", "namespace": "default", "owner_worker_id": "W9"}
    connection = engine.connection()
    worker.register_function("f", lambda data: "served")
    connection.message("registerfunction", id="f")
    connection.send(rejection | {"code": "FUNCTION_NAMESPACE_CONFLICT", "function_id": "f"})

    assert connection.invoke("f")["result"] == "served"
    assert worker.get_connection_state() == "connected"
    assert "this worker is its standby (function=f, namespace=default, owner=W9)" in caplog.text
    connection.send(rejection | {"code": "FUNCTION_NAMESPACE_CONFLICT", "function_id": "g", "owner_worker_id": ""})
    engine.wait(lambda: "Function refused by the engine; calls do not reach it (function=g" in caplog.text)


def test_08_check_49_a_name_conflict_that_lasts_is_the_end(
    engine: FakeEngine, worker: iii.Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("iii.sdk.core.NAME_TAKEN_S", 0.0)
    connection = engine.connection()
    errors: list[Exception] = []

    def call() -> None:
        try:
            worker.trigger({"function_id": "never"})
        except iii.RegistrationRejected as error:
            errors.append(error)

    caller = threading.Thread(target=call)
    caller.start()
    connection.message("invokefunction", function_id="never")
    connection.send(
        {
            "type": "registrationrejected",
            "code": "WORKER_NAMESPACE_CONFLICT",
            "namespace": "default",
            "worker_name": "twin",
            "owner_worker_id": "W9",
        }
    )
    caller.join(60)
    engine.wait(lambda: connection.closed)

    assert worker.get_connection_state() == "failed"
    assert len(engine.connections) == 1
    with pytest.raises(iii.RegistrationRejected, match="worker 'twin' rejected in namespace 'default'") as caught:
        worker.trigger({"function_id": "f"})
    assert str(errors[0]) == str(caught.value)
    assert caught.value.code == "WORKER_NAMESPACE_CONFLICT"
    assert (caught.value.namespace, caught.value.worker_name, caught.value.owner_worker_id) == ("default", "twin", "W9")


def test_an_engine_that_refuses_the_worker_is_heard(
    engine: FakeEngine, worker: iii.Worker, caplog: pytest.LogCaptureFixture
) -> None:
    connection = engine.connection()
    connection.send({"type": "error", "error": {"code": "AUTH_ERROR", "message": "token expired"}})
    connection.close(4401)
    engine.connection(2)
    assert 'Connection refused by the engine (reason="AUTH_ERROR: token expired")' in caplog.text


def test_coming_back_leaves_nothing_behind(engine: FakeEngine, worker: iii.Worker) -> None:
    def open_files() -> int:
        count: int = psutil.Process().num_fds()
        return count

    engine.connection(1).drop()
    engine.connection(2)
    before = open_files()
    for number in range(2, 40):
        engine.connection(number).drop()
    engine.connection(40)
    engine.wait(lambda: open_files() <= before)


REJECTION = {"type": "registrationrejected", "namespace": "n", "owner_worker_id": "W9", "worker_name": "w"}


def refuse_first(engine: FakeEngine, attempts: int, code: str = "WORKER_NAMESPACE_CONFLICT") -> None:
    """As an engine does it: the rejection, the answer to the announcement, then the end of the connection."""
    answered = {"type": "invocationresult", "function_id": ANNOUNCE, "result": {"success": False}}

    def answer(call: dict[str, Any]) -> dict[str, Any] | None:
        number = len(engine.connections)
        if number > attempts:
            return {"result": {"success": True}}
        socket = engine.connections[-1]
        socket.write(msgspec.json.encode(REJECTION | {"code": code}))
        socket.write(msgspec.json.encode(answered | {"invocation_id": call["invocation_id"]}))
        socket.close(4409)
        return None

    engine.answers[ANNOUNCE] = answer


def test_core_6_bugs_12_a_rejection_is_raised_by_register_worker(engine: FakeEngine, connect: Connect) -> None:
    refuse_first(engine, attempts=1, code="SOME_REASON")
    with pytest.raises(iii.RegistrationRejected, match="SOME_REASON: worker 'w' rejected in namespace 'n'"):
        connect()
    assert len(engine.connections) == 1


async def test_core_6_a_rejection_is_raised_by_connect_worker(engine: FakeEngine) -> None:
    refuse_first(engine, attempts=1, code="SOME_REASON")
    with pytest.raises(iii.RegistrationRejected, match="SOME_REASON"):
        async with iii.connect_worker(engine.url):
            raise AssertionError("accepted")


def test_P10_a_name_that_is_taken_for_a_while_is_tried_again(
    engine: FakeEngine, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    refuse_first(engine, attempts=3)
    worker = connect()
    assert worker.get_connection_state() == "connected"
    assert worker.worker_id == "W4"
    assert (
        caplog.text.count("Name of the worker in use; retrying (reason=") == 1
    )  # of attempts that follow each other fast
    assert """worker 'w' rejected in namespace 'n' (owned by 'W9'); give this worker another name""" in caplog.text
    assert "retry_for_s=90)" in caplog.text


def test_P10_a_name_that_stays_taken_is_raised_when_the_wait_is_over(engine: FakeEngine, connect: Connect) -> None:
    refuse_first(engine, attempts=10_000)
    for wait_ms in (300, 3_000, 30_000):  # on a loaded machine two attempts may need longer than the first wait
        before = len(engine.connections)
        try:
            connect(connect_timeout_ms=wait_ms).shutdown()  # it heard nothing yet
        except iii.RegistrationRejected as error:
            said = str(error)
            if len(engine.connections) > before + 1:
                break
    assert len(engine.connections) > before + 1
    assert "owned by 'W9'" in said


def test_P10_after_90_s_the_name_counts_as_taken_for_good(
    engine: FakeEngine, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("iii.sdk.core.NAME_TAKEN_S", 0.2)
    refuse_first(engine, attempts=10_000)
    with pytest.raises(iii.RegistrationRejected):
        connect()
    attempts = len(engine.connections)
    assert attempts > 1


def test_P10_an_announcement_that_is_refused_with_an_error_is_a_rejection(engine: FakeEngine, connect: Connect) -> None:
    engine.answers[ANNOUNCE] = lambda call: {"error": {"code": "INVALID_NAMESPACE", "message": "no such place"}}
    with pytest.raises(iii.RegistrationRejected, match=r"INVALID_NAMESPACE: .*no such place"):
        connect()


@pytest.mark.parametrize(
    "answer",
    [lambda call: None, lambda call: {"error": {"code": "function_not_found", "message": "?"}}],
    ids=["silent", "unknown"],
)
def test_P10_an_engine_that_cannot_answer_an_announcement_counts_as_accepting(
    engine: FakeEngine, connect: Connect, monkeypatch: pytest.MonkeyPatch, answer: Any
) -> None:
    monkeypatch.setattr("iii.sdk.connection.ACCEPTANCE_S", 0.05)
    engine.answers[ANNOUNCE] = answer
    assert connect().get_connection_state() == "connected"


def test_core_6_connected_is_not_told_before_the_engine_has_accepted(engine: FakeEngine, connect: Connect) -> None:
    engine.answers[ANNOUNCE] = lambda call: None
    worker = connect(connect_timeout_ms=200)
    engine.connection()
    assert worker.get_connection_state() == "connecting"


def test_N14_08_check_50_the_announcement(
    engine: FakeEngine, connect: Connect, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LANG", "de_DE.UTF-8")
    connect(worker_name="plain")
    plain = engine.connection(1).announced()
    assert plain["name"] == "plain"
    assert plain["runtime"] == "python"
    assert plain["version"].startswith("0.25.0+iii-py.")
    assert plain["pid"] == os.getpid()
    assert plain["isolation"] is None
    assert plain["namespace"] is None
    assert plain["features"] == ["large-messages.v1", "cancel.v1", "drain.v1", "traces.v1", "traces.v2", "batch.v1"]
    assert plain["telemetry"] == {"language": "de_DE", "project_name": tmp_path.name, "framework": "iii-py"}
    assert "description" not in plain

    monkeypatch.setenv("III_ISOLATION", "docker")
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "shop"\n')
    telemetry = iii.TelemetryOptions(language="python", framework="own")
    connect(worker_description="resizes images", telemetry=telemetry)
    told = engine.connection(2).announced()
    assert told["isolation"] == "docker"
    assert told["description"] == "resizes images"
    assert re.search(rf":{os.getpid()}-[a-z0-9]{{4}}$", told["name"])  # P10
    assert told["telemetry"] == {"language": "python", "project_name": "shop", "framework": "own"}


def test_08_check_51_the_environment_names_the_worker(
    engine: FakeEngine, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("III_WORKER_NAME", "managed")
    worker = connect(worker_name="x")
    assert engine.connection().announced()["name"] == "managed"
    assert repr(worker) == f"<Worker 'managed' connected at {engine.url}>"


def test_08_check_64_the_token_authorises_unless_a_header_does(
    engine: FakeEngine, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect()
    assert "authorization" not in engine.connection(1).headers
    monkeypatch.setenv("III_TOKEN", " t ")
    connect()
    assert engine.connection(2).headers["authorization"] == "Bearer t"
    connect(headers={"authorization": "Basic x", "X-Team": "a"})
    assert engine.connection(3).headers["authorization"] == "Basic x"
    assert engine.connection(3).headers["x-team"] == "a"


async def test_connect_worker_lives_on_the_callers_loop(engine: FakeEngine) -> None:
    options = iii.InitOptions(reconnection_config=FAST)
    threads = set(threading.enumerate())
    async with iii.connect_worker(engine.url, options) as worker:
        assert not set(threading.enumerate()) - threads  # one of an earlier worker may end just now

        @worker.function("twice")
        async def twice(number: int) -> int:
            return 2 * number

        assert await worker.trigger_async({"function_id": "twice", "payload": 21}) == 42
        with pytest.raises(RuntimeError, match="Cannot call sync SDK methods from the event loop thread"):
            worker.trigger({"function_id": "twice"})
        assert await asyncio.to_thread(lambda: worker.trigger({"function_id": "twice", "payload": 4})) == 8
    assert worker.get_connection_state() == "disconnected"
    await asyncio.to_thread(engine.wait, lambda: engine.connections[0].close_code == 1000)


async def test_connect_worker_can_be_awaited_and_waits_no_longer_than_told(engine: FakeEngine) -> None:
    worker = await iii.connect_worker(engine.url)
    assert worker.get_connection_state() == "connected"
    await worker.shutdown_async()
    await worker.shutdown_async()

    nowhere = f"ws://127.0.0.1:{free_port()}"
    worker = await iii.connect_worker(nowhere, iii.InitOptions(connect_timeout_ms=1))
    assert worker.get_connection_state() in ("connecting", "reconnecting")
    await worker.shutdown_async()
    never = iii.ReconnectionConfig(max_retries=0)
    with pytest.raises(ConnectionError, match="failed after max retries"):
        await iii.connect_worker(nowhere, iii.InitOptions(reconnection_config=never))


async def test_a_threaded_worker_can_be_shut_down_from_another_loop(engine: FakeEngine) -> None:
    worker = await asyncio.to_thread(iii.register_worker, engine.url)
    await worker.shutdown_async()
    assert not [thread for thread in threading.enumerate() if thread.name == "iii worker"]
    await worker.shutdown_async()


def test_a_worker_can_shut_itself_down_in_a_handler(engine: FakeEngine) -> None:
    worker = iii.register_worker(engine.url)
    cancelled = threading.Event()

    @worker.function("stays")
    async def stays(data: object) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    @worker.function("leave")
    async def leave(data: object) -> None:
        await worker.shutdown_async()

    connection = engine.connection()
    connection.message("registerfunction", id="leave")
    for function_id in ("stays", "leave"):
        connection.send({"type": "invokefunction", "function_id": function_id, "data": None, "invocation_id": "i"})
    engine.wait(lambda: not [thread for thread in threading.enumerate() if thread.name == "iii worker"])
    assert cancelled.is_set()
    assert worker.get_connection_state() == "disconnected"
    worker.shutdown()


def test_a_worker_can_be_shut_down_by_a_sync_handler(engine: FakeEngine) -> None:
    worker = iii.register_worker(engine.url)
    worker.register_function("leave", lambda data: worker.shutdown())
    connection = engine.connection()
    connection.message("registerfunction", id="leave")
    connection.send({"type": "invokefunction", "function_id": "leave", "data": None, "invocation_id": "i"})
    engine.wait(lambda: not [thread for thread in threading.enumerate() if thread.name == "iii worker"])
    worker.shutdown()


def test_a_socket_that_does_not_close_is_aborted(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = iii.register_worker(engine.url)
    connection = engine.connection()
    monkeypatch.setattr("iii.sdk.connection.CLOSE_S", 0.01)
    monkeypatch.setattr("iii.sdk.link.EngineLink.close", lambda socket, code: None)
    worker.shutdown()
    engine.wait(lambda: connection.closed)
    assert connection.close_code is None


def test_a_silent_engine_is_left_after_a_minute(
    engine: FakeEngine, connect: Connect, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("iii.sdk.link.PING_INTERVAL_S", 0.02)
    monkeypatch.setattr("iii.sdk.link.SILENT_PINGS", 100)  # 2 s, for which a loaded machine may be elsewhere
    connect()
    first = engine.connection(1)
    engine.wait(lambda: first.pings > 100)
    assert len(engine.connections) == 1  # it answers pings, that is enough

    engine.answers_pings = False
    engine.connection(2)
    assert "No sign of life from the engine; reconnecting (silent_s=60)" in caplog.text


@pytest.mark.parametrize("address", ["http://nowhere", "localhost:49134", "ws://", "ws://h:99999", "ws://ho st:1"])
def test_bugs_an_address_that_is_no_address_is_refused_at_once(address: str) -> None:
    with pytest.raises(ValueError, match=f"must be ws://HOST:PORT or wss://HOST, got '{address}'"):
        iii.register_worker(address)


def test_an_engine_that_does_not_run_is_named_plainly(connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()
    once = iii.ReconnectionConfig(initial_delay_ms=1, jitter_factor=0, max_retries=1)
    with pytest.raises(ConnectionError):
        connect(f"ws://127.0.0.1:{port}", reconnection_config=once)
    why = f'(address=ws://127.0.0.1:{port}, reason="connection refused"'
    assert caplog.messages == [
        f"Cannot connect to the engine; is it running at this address? {why}, retry_s=0.0)",
        f"Max reconnection retries (1) reached, giving up {why})",
    ]


def test_without_uvloop_the_standard_loop_serves(
    engine: FakeEngine, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    worker = connect()

    async def its_loop(payload: Any) -> str:
        return type(asyncio.get_running_loop()).__module__

    worker.register_function("its loop", its_loop)
    assert engine.connection().invoke("its loop")["result"].startswith("asyncio")


def test_core_21_a_protocol_error_of_the_engine_is_no_complaint_of_the_loop(
    engine: FakeEngine, worker: iii.Worker, caplog: pytest.LogCaptureFixture
) -> None:
    connection = engine.connection(1)
    transport = connection.transport
    assert transport is not None
    engine.run(lambda: transport.underlying_transport.write(b"\x83\x00"))  # an opcode that there is not
    engine.connection(2).announced()
    worker.shutdown()
    gc.collect()  # the future complains when it is freed
    assert "never retrieved" not in caplog.text


def test_newcomer_d_a_lost_connection_says_why_and_when_the_next_attempt_is(
    engine: FakeEngine, worker: iii.Worker, caplog: pytest.LogCaptureFixture
) -> None:
    engine.connection(1).close(1012, "restart")
    second = engine.connection(2)
    engine.wait(lambda: worker.get_connection_state() == "connected")
    second.drop()
    engine.connection(3)
    engine.wait(lambda: worker.get_connection_state() == "connected")
    told = [record for record in caplog.records if record.getMessage().startswith("Connection to ")]
    assert [record.levelname for record in told] == ["WARNING", "WARNING"]
    assert [record.getMessage() for record in told] == [
        f'Connection to the engine lost (address={engine.url}, reason="{why}", retry_s=0.0)'
        for why in ("closed by the engine with code 1012: restart", "closed without a Close frame")
    ]


def test_O2_a_call_that_waits_is_answered_on_the_next_connection(engine: FakeEngine, worker: iii.Worker) -> None:
    with ThreadPoolExecutor(1) as threads:
        answer = threads.submit(lambda: worker.trigger({"function_id": "svc::slow", "payload": 1}))
        call = engine.connection(1).message("invokefunction", function_id="svc::slow")
        engine.connection(1).drop()
        again = engine.connection(2)
        engine.wait(lambda: worker.get_connection_state() == "connected")
        assert not answer.done()
        again.send(
            {
                "type": "invocationresult",
                "invocation_id": call["invocation_id"],
                "function_id": "svc::slow",
                "result": 2,
            }
        )
        assert answer.result(DEADLINE_S) == 2
