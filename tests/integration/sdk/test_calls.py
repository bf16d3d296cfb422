"""Calls that a worker makes (08 §9.1, checks 36-42, 48, 65)."""

import asyncio
import threading
from typing import Any

import pytest

import iii
from tests.integration.sdk.connecting import Connect
from tests.integration.sdk.fake_engine import FakeEngine, Message


def refuse(error: Any) -> Any:
    return lambda call: {"error": error}


def test_08_check_36_a_call_that_takes_too_long_times_out(engine: FakeEngine, worker: iii.Worker) -> None:
    with pytest.raises(iii.InvocationTimeout) as caught:
        worker.trigger({"function_id": "silent", "timeout_ms": 50})
    error = caught.value
    assert isinstance(error, TimeoutError)
    assert isinstance(error, iii.InvocationError)
    assert (error.code, error.message) == ("TIMEOUT", "invocation timed out after 50ms")  # I7
    assert error.function_id == "silent"

    call = engine.connection().message("invokefunction", function_id="silent")
    assert error.invocation_id == call["invocation_id"]
    late = {"type": "invocationresult", "invocation_id": call["invocation_id"], "function_id": "silent", "result": 1}
    engine.connection().send(late)  # nobody waits, nothing happens
    engine.answers["f"] = "still here"
    assert worker.trigger({"function_id": "f"}) == "still here"


def test_a_negative_timeout_is_a_mistake(worker: iii.Worker) -> None:
    with pytest.raises(ValueError, match="timeout_ms must not be negative, got -1"):
        worker.trigger({"function_id": "f", "timeout_ms": -1})


@pytest.mark.parametrize(
    ("request_", "kind", "text"),
    [
        ({"function": "x"}, KeyError, "needs the key 'function_id'; it has 'function'"),
        ({"function_id": 5}, TypeError, "function_id must be str, got int"),
        ({"function_id": "f", "timeout_ms": True}, TypeError, "a number of milliseconds, got True"),
        ({"function_id": "f", "payload": 1, "metadata": {"a": {2}}}, TypeError, r"type set .* at `\$\.metadata\.a`"),
    ],
)
async def test_core_19_a_wrong_request_is_refused_before_anything_is_sent(
    engine: FakeEngine, request_: Any, kind: type[Exception], text: str
) -> None:
    async with iii.connect_worker(engine.url) as worker:
        with pytest.raises(kind, match=text):
            await worker.trigger_async(request_)
        with pytest.raises(kind, match=text):
            await asyncio.to_thread(worker.trigger, request_)


async def test_08_check_36_in_a_coroutine_too(engine: FakeEngine) -> None:
    async with iii.connect_worker(engine.url) as worker:
        with pytest.raises(iii.InvocationTimeout, match="invocation timed out after 20ms"):
            await worker.trigger_async({"function_id": "silent", "timeout_ms": 20})
        cancelled = asyncio.create_task(worker.trigger_async({"function_id": "silent"}))
        await asyncio.sleep(0)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        assert worker.statistics().pending_calls == 0


def test_08_check_37_a_timeout_of_zero_is_the_clients_default(connect: Connect) -> None:
    worker = connect(invocation_timeout_ms=40)
    for request in ({"timeout_ms": 0}, {"timeout_ms": None}, {}):
        with pytest.raises(iii.InvocationTimeout, match="after 40ms"):
            worker.trigger({"function_id": "silent"} | request)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("FORBIDDEN", iii.InvocationForbidden),
        ("function_not_found", iii.FunctionNotFound),
        ("TIMEOUT", iii.InvocationTimeout),
        ("invocation_stopped", iii.InvocationStopped),
        ("OWN", iii.InvocationError),
    ],
)
def test_08_check_38_a_known_code_has_its_class(
    engine: FakeEngine, worker: iii.Worker, code: str, kind: type[Exception]
) -> None:
    engine.answers["f"] = refuse({"code": code, "message": "m", "stacktrace": "deep inside"})
    with pytest.raises(kind) as caught:
        worker.trigger({"function_id": "f"})
    assert type(caught.value) is kind
    assert str(caught.value) == f"{code}: m"
    assert isinstance(caught.value, iii.InvocationError)
    assert caught.value.stacktrace == "deep inside"
    assert "deep" not in str(caught.value) + repr(caught.value)  # 08 check 40


@pytest.mark.parametrize(
    ("wire", "code"),
    [
        ("text", "UNKNOWN"),
        (42, "UNKNOWN"),
        ({"code": 123, "message": "x"}, "UNKNOWN"),
        ({"code": "X"}, "X"),
        ({"message": "y"}, "UNKNOWN"),
        ({"code": "X", "message": None}, "X"),
    ],
)
def test_08_check_39_any_error_shape_is_understood(
    engine: FakeEngine, worker: iii.Worker, wire: Any, code: str
) -> None:
    engine.answers["f"] = refuse(wire)
    with pytest.raises(iii.InvocationError) as caught:
        worker.trigger({"function_id": "f"})
    assert caught.value.code == code
    assert "{'" not in str(caught.value)


@pytest.mark.parametrize("error", [{}, None, "", False])
def test_08_check_39_an_empty_error_is_a_success(engine: FakeEngine, worker: iii.Worker, error: Any) -> None:
    engine.answers["f"] = lambda call: {"error": error, "result": 7}
    assert worker.trigger({"function_id": "f"}) == 7


def test_08_check_41_enqueue_gives_the_receipt(engine: FakeEngine, worker: iii.Worker) -> None:
    engine.answers["job"] = {"messageReceiptId": "r1"}
    for action in (iii.TriggerAction.Enqueue(queue="jobs"), {"type": "enqueue", "queue": "jobs"}):
        request: iii.TriggerRequest = {"function_id": "job", "payload": 1, "action": action}  # type: ignore[typeddict-item]
        assert worker.trigger(request) == {"messageReceiptId": "r1"}
    for call in engine.connection().of("invokefunction", function_id="job"):
        assert call["action"] == {"type": "enqueue", "queue": "jobs"}
        assert call["invocation_id"]


def test_08_check_42_an_absent_payload_is_not_sent(engine: FakeEngine, worker: iii.Worker) -> None:
    engine.answers["f"] = None
    for request in ({}, {"payload": None}, {"payload": {"a": None}}, {"payload": False}, {"metadata": {"m": 1}}):
        worker.trigger({"function_id": "f"} | request)  # type: ignore[arg-type]
    plain, null, member, false, metadata = engine.connection().of("invokefunction", function_id="f")
    assert plain.keys() == null.keys() == {"type", "function_id", "invocation_id"}
    assert member["data"] == {"a": None}
    assert false["data"] is False
    assert metadata["metadata"] == {"m": 1}


def test_a_void_call_returns_at_once_and_wants_no_answer(engine: FakeEngine, worker: iii.Worker) -> None:
    payload = {"to": "a@b.c"}
    assert worker.trigger({"function_id": "mail", "payload": payload, "action": iii.TriggerAction.Void()}) is None
    assert asyncio.run(worker.trigger_async({"function_id": "mail", "action": {"type": "void"}})) is None
    call = engine.connection().message("invokefunction", function_id="mail")
    assert call == {"type": "invokefunction", "function_id": "mail", "data": payload, "action": {"type": "void"}}


def test_an_unknown_action_in_a_dict_is_an_ordinary_call_and_anything_else_an_error(
    engine: FakeEngine, worker: iii.Worker
) -> None:
    engine.answers["f"] = 1
    assert worker.trigger({"function_id": "f", "action": {"type": "other"}}) == 1  # type: ignore[typeddict-item]
    with pytest.raises(TypeError, match="action must be"):
        worker.trigger({"function_id": "f", "action": "void"})  # type: ignore[typeddict-item]


def test_08_check_48_calls_go_to_the_workers_namespace(engine: FakeEngine, connect: Connect) -> None:
    def sent(worker: iii.Worker, request: dict[str, Any]) -> Message:
        worker.trigger(request | {"action": iii.TriggerAction.Void()})  # type: ignore[arg-type]
        connection = engine.connections[-1]
        engine.wait(lambda: len(connection.messages) > known)
        return connection.messages[-1]

    worker = connect(namespace="orders")
    for request, namespace in [
        ({"function_id": "router::chat"}, "orders"),
        ({"function_id": "engine::functions::list"}, "default"),
        ({"function_id": "configuration::get"}, "default"),
        ({"function_id": "router::chat", "namespace": "sandbox"}, "sandbox"),
    ]:
        engine.connection(1)
        known = len(engine.connections[-1].messages)
        assert sent(worker, request)["namespace"] == namespace
    with pytest.raises(ValueError, match=r"namespace is empty: TriggerRequest\.namespace was set to ''"):
        worker.trigger({"function_id": "f", "namespace": ""})

    plain = connect()
    engine.connection(2)
    known = len(engine.connections[-1].messages)
    assert "namespace" not in sent(plain, {"function_id": "router::chat"})
    known += 1
    assert sent(plain, {"function_id": "engine::workers::list"})["namespace"] == "default"


def test_08_check_65_a_large_payload_is_fragmented_and_a_too_large_one_refused(
    engine: FakeEngine, worker: iii.Worker
) -> None:
    engine.answers["size"] = lambda call: {"result": len(call["data"])}
    connection = engine.connection()
    assert worker.trigger({"function_id": "size", "payload": "x" * 20 * 2**20}) == 20 * 2**20
    large = [size for kind, size in connection.frames if size > 500_000]
    assert max(large) == 2**20
    assert len(large) >= 20
    messages = len(connection.messages)

    with pytest.raises(iii.PayloadTooLarge, match="Serialized JSON envelope is") as caught:
        worker.trigger({"function_id": "size", "payload": "x" * 65 * 2**20})
    assert caught.value.code == "payload_too_large"
    assert caught.value.function_id == "size"
    assert caught.value.invocation_id is not None
    assert len(connection.messages) == messages
    assert worker.trigger({"function_id": "size", "payload": "x"}) == 1


def test_a_result_that_is_too_large_is_an_error_and_fragments_are_joined(
    engine: FakeEngine, worker: iii.Worker
) -> None:
    worker.register_function("grow", lambda factor: "x" * factor)
    connection = engine.connection()
    connection.message("registerfunction", id="grow")
    error = connection.invoke("grow", 65 * 2**20)["error"]
    assert error["code"] == "payload_too_large"

    worker.register_function("size", len)
    connection.message("registerfunction", id="size")
    text = b'{"type":"invokefunction","function_id":"size","invocation_id":"i2","data":"' + b"y" * 3_000_000 + b'"}'
    connection.send(text, fragments=7)
    assert connection.message("invocationresult", invocation_id="i2")["result"] == 3_000_000


def test_calls_from_many_threads_loops_and_handlers_all_get_their_own_answer(
    engine: FakeEngine, worker: iii.Worker
) -> None:
    @worker.function("double")
    async def double(number: int) -> int:
        return number * 2

    worker.register_function("triple", lambda number: number * 3)
    engine.connection().message("registerfunction", id="triple")
    results: dict[int, int] = {}

    def from_thread(start: int) -> None:
        for number in range(start, start + 50):
            results[number] = worker.trigger({"function_id": "double", "payload": number})

    def from_loop(start: int) -> None:
        async def call(number: int) -> None:
            results[number] = await worker.trigger_async({"function_id": "triple", "payload": number})

        async def gather() -> None:
            await asyncio.gather(*(call(number) for number in range(start, start + 50)))

        asyncio.run(gather())

    threads = [threading.Thread(target=from_thread, args=(start,)) for start in (0, 100, 200)]
    threads += [threading.Thread(target=from_loop, args=(start,)) for start in (1000, 1100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert results == {n: n * (2 if n < 1000 else 3) for s in (0, 100, 200, 1000, 1100) for n in range(s, s + 50)}


def test_void_calls_of_one_thread_arrive_in_order(engine: FakeEngine, worker: iii.Worker) -> None:
    big = "x" * 100_000  # takes the other way out
    for number in range(300):
        payload = [number, big if number % 50 == 0 else ""]
        worker.trigger({"function_id": "log", "payload": payload, "action": iii.TriggerAction.Void()})
    connection = engine.connection()
    engine.wait(lambda: len(connection.of("invokefunction", function_id="log")) == 300)
    assert [each["data"][0] for each in connection.of("invokefunction", function_id="log")] == list(range(300))


def test_an_answer_without_result_is_none(engine: FakeEngine, worker: iii.Worker) -> None:
    engine.answers["f"] = lambda call: {}
    assert worker.trigger({"function_id": "f"}) is None


def test_an_unreadable_answer_ends_its_call(engine: FakeEngine, worker: iii.Worker) -> None:
    engine.answers["f"] = lambda call: {"function_id": 5}
    with pytest.raises(iii.InvocationError, match="unreadable answer"):
        worker.trigger({"function_id": "f"})


def test_what_strict_json_forbids_is_mended(engine: FakeEngine, worker: iii.Worker) -> None:
    errors: list[Any] = []
    caller = threading.Thread(target=lambda: errors.append(worker.trigger({"function_id": "f"})))
    caller.start()
    call = engine.connection().message("invokefunction", function_id="f")
    answer = f'{{"type":"invocationresult","invocation_id":"{call["invocation_id"]}","function_id":"f"'
    engine.connection().send(answer.encode() + b',"result":{"nan":NaN,"half":"\\ud800"}}')
    caller.join(60)
    assert errors == [{"nan": None, "half": "\ufffd"}]

    engine.answers["echo"] = lambda call: {"result": call["data"]}
    assert worker.trigger({"function_id": "echo", "payload": "\ud83d\ude00 \U0001f600"}) is not None


@pytest.mark.parametrize(
    "answer", [b'"result":{"b":1e400}', b'"result":[%b]' % (b"9" * 5000), b'"error":{"code":"x","n":1e400}']
)
def test_12_1_a_number_that_python_cannot_hold_is_an_error_of_that_call(
    engine: FakeEngine, worker: iii.Worker, answer: bytes
) -> None:
    """Valid JSON, which any other client may send."""
    calls = [worker.start({"function_id": "f"}), worker.start({"function_id": "f"}, returns=dict[str, float])]
    for call in calls:
        id_ = call.invocation_id.encode()
        engine.connection().send(
            b'{"type":"invocationresult","invocation_id":"%b","function_id":"f",%b}' % (id_, answer)
        )
    with pytest.raises(
        iii.InvalidResult, match=r"the result of f is not readable by Python: .* out of range"
    ) as raised:
        calls[0].result(60)
    assert (raised.value.function_id, raised.value.invocation_id) == ("f", calls[0].invocation_id)
    with pytest.raises(iii.InvalidResult, match="the result of f is not "):
        calls[1].result(60)


@pytest.mark.parametrize("ask", [iii.EnqueueResult.status, iii.EnqueueResult.wait])
def test_13_8_of_a_job_it_names_the_job(engine: FakeEngine, worker: iii.Worker, ask: Any) -> None:
    engine.answers["f"] = {"messageReceiptId": "r1"}
    receipt = worker.trigger({"function_id": "f", "action": iii.TriggerAction.Enqueue(queue="default")})
    errors: list[BaseException] = []

    def asked() -> None:
        try:
            ask(receipt)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=asked, daemon=True)
    thread.start()
    connection = engine.connection()
    asking = "engine::queue::job" if ask is iii.EnqueueResult.status else "engine::queue::wait"
    call_id = connection.message("invokefunction", function_id=asking)["invocation_id"].encode()
    status = b'{"id":"r1","state":"done","queue":"q","created_at":1,"result":1e400}'
    connection.send(
        b'{"type":"invocationresult","invocation_id":"%b","function_id":"x","result":%b}' % (call_id, status)
    )
    thread.join(60)
    assert [str(each) for each in errors] == [
        "invalid_result: the result of job r1 is not readable by Python: Number out of range - at `$[...]`"
    ]


def test_a_payload_without_json_form_raises_here(worker: iii.Worker) -> None:
    with pytest.raises(TypeError, match="Object of type object is not JSON serializable"):
        worker.trigger({"function_id": "f", "payload": object()})


def test_an_unknown_key_is_said_once(engine: FakeEngine, worker: iii.Worker, caplog: pytest.LogCaptureFixture) -> None:
    engine.answers["f"] = 1
    for _ in range(3):
        worker.trigger({"function_id": "f", "timeout": 5})  # type: ignore[typeddict-unknown-key]
    assert caplog.text.count('Unknown key ignored (key=timeout, of="the request of trigger()", known=[') == 1
    with pytest.raises(KeyError):
        worker.trigger({"payload": 1})  # type: ignore[typeddict-item]
