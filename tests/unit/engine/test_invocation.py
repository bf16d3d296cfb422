"""Calls: who is asked, what they get, what comes back (01 §8, checks 11, 29–41, 43, 44; I1–I3, I8–I10, I13)."""

import json
import uuid
from typing import Any

import pytest

from iii.testing import MemoryEngine, MemoryWorker

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def worker(engine: MemoryEngine) -> MemoryWorker:
    return engine.connect(name="executor", functions=["svc::f"])


@pytest.fixture
def caller(engine: MemoryEngine) -> MemoryWorker:
    return engine.connect(name="caller")


def only(messages: list[dict[str, Any]]) -> dict[str, Any]:
    assert len(messages) == 1, messages
    return messages[0]


def answer_of(caller: MemoryWorker, call: str) -> dict[str, Any]:
    answer = caller.answer_to(call)
    assert answer is not None
    return answer


def test_01_check_11_the_call_arrives_with_its_id_and_its_caller(worker: MemoryWorker, caller: MemoryWorker) -> None:
    call = caller.start_call("svc::f", {"a": 1})
    assert only(worker.invocations()) == {
        "type": "invokefunction", "invocation_id": call, "function_id": "svc::f",
        "data": {"a": 1, "_caller_worker_id": caller.id},
    }  # fmt: skip
    worker.answer(worker.invocations()[0], {"sum": 2})
    assert answer_of(caller, call) == {
        "type": "invocationresult", "invocation_id": call, "function_id": "svc::f", "result": {"sum": 2},
    }  # fmt: skip


@pytest.mark.parametrize("raw", [b"{}", b"{ }", b"{\n}", b'{ "a" : 1 }', b'{"\\u0061":1}'])
def test_I10_any_object_names_its_caller(worker: MemoryWorker, caller: MemoryWorker, raw: bytes) -> None:
    caller.say(b'{"type":"invokefunction","function_id":"svc::f","data":' + raw + b"}")
    data = only(worker.invocations())["data"]
    assert data.pop("_caller_worker_id") == caller.id
    assert data == json.loads(raw)


def test_02_check_50_a_forged_caller_is_overwritten(worker: MemoryWorker, caller: MemoryWorker) -> None:
    caller.start_call("svc::f", {"_caller_worker_id": "forged", "a": {"_caller_worker_id": "kept"}})
    raw = worker.link.frames[-1]
    assert raw.count(b"forged") == 0
    assert only(worker.invocations())["data"] == {"a": {"_caller_worker_id": "kept"}, "_caller_worker_id": caller.id}
    caller.start_call("svc::f", {"a": {"_caller_worker_id": "kept"}})
    assert worker.invocations()[-1]["data"]["_caller_worker_id"] == caller.id


def test_02_check_50_a_caller_hidden_behind_escapes_does_not_count(worker: MemoryWorker, caller: MemoryWorker) -> None:
    caller.say(b'{"type":"invokefunction","function_id":"svc::f","data":{"\\u005fcaller_worker_id":"forged"}}')
    assert only(worker.invocations())["data"] == {"_caller_worker_id": caller.id}


def test_01_check_29_unknown_functions(engine: MemoryEngine, caller: MemoryWorker) -> None:
    for namespace in ("orders", "analytics"):
        engine.connect(namespace=namespace, functions=["svc::f"])
    assert caller.call("nope")["error"] == {
        "code": "function_not_found", "message": "Function nope not found in namespace default.",
    }  # fmt: skip
    assert caller.call("svc::f")["error"]["message"].endswith("It is registered in namespace(s): analytics, orders.")


def test_I8_calls_of_the_engine_itself_have_the_bare_text(engine: MemoryEngine) -> None:
    outcomes: list[Any] = []
    engine.core.router.call("nope", None, b"null", lambda result, error: outcomes.append(error))
    assert outcomes[0].message == "Function nope not found in namespace default"


def test_01_check_30_without_a_namespace_the_default_one_is_meant(engine: MemoryEngine, worker: MemoryWorker) -> None:
    orders = engine.connect(name="o", namespace="orders", functions=["svc::f"])
    orders.start_call("svc::f")
    assert len(worker.invocations()) == 1
    assert orders.invocations() == []


def test_01_check_31_void_calls_are_never_answered(worker: MemoryWorker, caller: MemoryWorker) -> None:
    void = {"type": "void"}
    caller.say({"type": "invokefunction", "function_id": "svc::f", "data": 1, "action": void})
    with_id = caller.start_call("svc::f", 2, action=void)
    caller.say({"type": "invokefunction", "function_id": "nope", "action": void})
    caller.start_call("nope", action=void)
    caller.say({"type": "invokefunction", "function_id": "nope"})
    for invocation in worker.invocations():
        assert uuid.UUID(invocation["invocation_id"]).version == 4
        assert "action" not in invocation
        worker.answer(invocation, "done")
    assert with_id not in {invocation["invocation_id"] for invocation in worker.invocations()}
    assert caller.heard("invocationresult") == []


@pytest.mark.parametrize("data", [None, [1], "s", 0, False])
def test_01_check_32_other_payloads_arrive_unchanged(worker: MemoryWorker, caller: MemoryWorker, data: Any) -> None:
    caller.say({"type": "invokefunction", "function_id": "svc::f", "data": data})
    assert only(worker.invocations())["data"] == data


def test_I1_a_missing_payload_is_null(worker: MemoryWorker, caller: MemoryWorker) -> None:
    caller.say({"type": "invokefunction", "function_id": "svc::f"})
    assert only(worker.invocations())["data"] is None


@pytest.mark.parametrize("members", [{}, {"result": None}, {"error": None}, {"result": None, "error": None}])
def test_01_check_33_no_result_is_no_member(
    worker: MemoryWorker, caller: MemoryWorker, members: dict[str, Any]
) -> None:
    call = caller.start_call("svc::f")
    worker.answer(worker.invocations()[0], **members)
    assert set(answer_of(caller, call)) == {"type", "invocation_id", "function_id"}


def test_01_check_34_an_error_arrives_as_it_was_sent(worker: MemoryWorker, caller: MemoryWorker) -> None:
    error = {"code": "E1", "message": "m", "stacktrace": "s"}
    call = caller.start_call("svc::f")
    worker.answer(worker.invocations()[0], error=error, result=1)
    answer = answer_of(caller, call)
    assert answer["error"] == error
    assert "result" not in answer


@pytest.mark.parametrize("error", ["text", {"message": "y"}, 5, {"code": 1, "message": "m"}])
def test_01_5_12_a_malformed_error_still_fails_the_call(worker: MemoryWorker, caller: MemoryWorker, error: Any) -> None:
    call = caller.start_call("svc::f")
    worker.answer(worker.invocations()[0], error=error)
    body = answer_of(caller, call)["error"]
    assert body["code"] == "UNKNOWN"
    assert isinstance(body["message"], str)


def test_01_check_35_the_caller_hears_when_the_executor_leaves(worker: MemoryWorker, caller: MemoryWorker) -> None:
    calls = [caller.start_call("svc::f") for _ in range(100)]
    worker.drop()
    assert {answer_of(caller, call)["error"]["code"] for call in calls} == {"invocation_stopped"}


def test_01_check_36_the_executor_hears_nothing_when_the_caller_leaves(
    worker: MemoryWorker, caller: MemoryWorker
) -> None:
    caller.start_call("svc::f")
    heard = len(worker.heard())
    caller.drop()
    assert len(worker.heard()) == heard
    assert worker.session.handling == {}  # no longer busy with it (W2)
    worker.answer(worker.invocations()[0], "late")


def test_01_check_37_results_that_nobody_waits_for_are_ignored(
    engine: MemoryEngine, worker: MemoryWorker, caller: MemoryWorker
) -> None:
    call = caller.start_call("svc::f")
    stranger = engine.connect()
    stranger.answer(worker.invocations()[0], "forged")  # N9: only the executor's counts
    worker.answer({"invocation_id": str(uuid.uuid4()), "function_id": "svc::f"}, "unknown")
    assert caller.answer_to(call) is None
    worker.answer(worker.invocations()[0], "right")
    assert answer_of(caller, call)["result"] == "right"
    worker.answer(worker.invocations()[0], "again")
    assert len(caller.heard("invocationresult")) == 1


def test_01_check_38_fifty_levels_of_calls_to_oneself(engine: MemoryEngine) -> None:
    worker = engine.connect(functions=["self::down"])
    waiting: dict[str, dict[str, Any]] = {}

    def step(frame: bytes) -> None:
        message = json.loads(frame)
        if message["type"] == "invokefunction":
            level = message["data"]["level"]
            if level == 50:
                worker.answer(message, level)
            else:
                waiting[worker.start_call("self::down", {"level": level + 1})] = message
        elif message["type"] == "invocationresult" and message["invocation_id"] in waiting:
            worker.answer(waiting.pop(message["invocation_id"]), message["result"])

    # the calls are nested, so the outermost answer arrives before its id is known
    worker.link.on_send = step
    outermost = worker.start_call("self::down", {"level": 0})
    for _ in range(51):
        for call in [call for call in waiting if worker.answer_to(call) is not None]:
            worker.answer(waiting.pop(call), answer_of(worker, call)["result"])
    assert answer_of(worker, outermost)["result"] == 50


def test_01_check_39_void_calls_arrive_in_order(worker: MemoryWorker, caller: MemoryWorker) -> None:
    for number in range(1000):
        caller.say({"type": "invokefunction", "function_id": "svc::f", "data": number, "action": {"type": "void"}})
    assert [message["data"] for message in worker.invocations()] == list(range(1000))


def test_01_check_40_trace_context_passes_through(engine: MemoryEngine, caller: MemoryWorker) -> None:
    """06 checks 33, 35."""
    child = engine.connect(functions=["child::fn"])
    baggage = "iii.session.id=s-1,iii.function.id=parent::fn"
    call = caller.start_call("child::fn", traceparent=TRACEPARENT, baggage=baggage)
    arrived = only(child.invocations())
    assert arrived["traceparent"] == TRACEPARENT
    assert sorted(arrived["baggage"].split(",")) == ["iii.function.id=child::fn", "iii.session.id=s-1"]
    child.answer(arrived, 1, traceparent="00-" + "1" * 32 + "-" + "2" * 16 + "-01")
    answer = answer_of(caller, call)
    assert (answer["traceparent"], answer["baggage"]) == (TRACEPARENT, baggage)


@pytest.mark.parametrize(
    ("traceparent", "baggage", "arriving"),
    [
        ('"garbage"', "a=b", "a=b,iii.function.id=svc::f"),
        ("", "", "iii.function.id=svc::f"),
        ("00-0-0-01", None, "iii.function.id=svc::f"),
        (None, "a=b%20c;p=1, x=y,iii.function.id=other", "a=b%20c,x=y,iii.function.id=svc::f"),
    ],
)
@pytest.mark.parametrize("fails", [False, True])
def test_06_check_35_a_caller_gets_back_what_it_sent_and_its_target_what_is_valid(
    worker: MemoryWorker, caller: MemoryWorker, traceparent: str | None, baggage: str | None, arriving: str, fails: bool
) -> None:
    """06 checks 33, 35a."""
    members = {key: value for key, value in (("traceparent", traceparent), ("baggage", baggage)) if value is not None}
    call = caller.start_call("svc::f", **members)
    arrived = only(worker.invocations())
    assert "traceparent" not in arrived
    assert arrived["baggage"] == arriving
    worker.answer(arrived, **({"error": {"code": "E", "message": "m"}} if fails else {}), traceparent=TRACEPARENT)
    answer = answer_of(caller, call)
    assert {key: answer[key] for key in ("traceparent", "baggage") if key in answer} == members


@pytest.mark.parametrize("fails", [False, True])
def test_17_9_a_caller_that_knows_its_traces_gets_none_back(
    engine: MemoryEngine, worker: MemoryWorker, fails: bool
) -> None:
    caller = engine.connect(name="quiet", features=["traces.v1", "traces.v2"])
    call = caller.start_call("svc::f", traceparent=TRACEPARENT, baggage="a=b")
    arrived = only(worker.invocations())
    assert (arrived["traceparent"], arrived["baggage"]) == (TRACEPARENT, "a=b,iii.function.id=svc::f")
    worker.answer(arrived, **({"error": {"code": "E", "message": "m"}} if fails else {}))
    assert {"traceparent", "baggage"}.isdisjoint(answer_of(caller, call))


@pytest.mark.parametrize(
    ("target", "baggage", "arriving"),
    [
        ("svc::f", "iii.function.id=other", "iii.function.id=svc::f"),
        ("svc::f", "iii.function.id=other,a=b", "a=b,iii.function.id=svc::f"),
        ("stream::bridge::on_pub::x", "iii.function.id=other", "iii.function.id=other"),
    ],
)
def test_06_check_33_baggage_of_a_call_names_its_target_unless_that_is_a_builtin(
    engine: MemoryEngine, caller: MemoryWorker, target: str, baggage: str, arriving: str
) -> None:
    server = engine.connect(functions=[target])
    for _ in range(2):
        caller.start_call(target, traceparent=TRACEPARENT, baggage=baggage)
    assert [each["baggage"] for each in server.invocations()] == [arriving] * 2


def test_06_check_35b_a_call_of_the_engine_itself_names_no_function(engine: MemoryEngine, worker: MemoryWorker) -> None:
    engine.core.router.call("svc::f", None, b"1", traceparent=TRACEPARENT, baggage="k=v")
    arrived = only(worker.invocations())
    assert (arrived["traceparent"], arrived["baggage"]) == (TRACEPARENT, "k=v")


def test_06_check_34_a_call_without_trace_context_arrives_without(worker: MemoryWorker, caller: MemoryWorker) -> None:
    caller.start_call("svc::f")
    assert {"traceparent", "baggage"}.isdisjoint(only(worker.invocations()))


def test_06_3_only_a_traceparent_still_names_the_target(worker: MemoryWorker, caller: MemoryWorker) -> None:
    caller.start_call("svc::f", traceparent=TRACEPARENT)
    assert only(worker.invocations())["baggage"] == "iii.function.id=svc::f"


def test_06_3_a_builtins_id_on_a_worker_keeps_the_callers_baggage(engine: MemoryEngine, caller: MemoryWorker) -> None:
    state = engine.connect(functions=["state::get"])
    caller.start_call("state::get", baggage="a=b")
    assert only(state.invocations())["baggage"] == "a=b"


def test_an_error_echoes_the_callers_trace_context(worker: MemoryWorker, caller: MemoryWorker) -> None:
    call = caller.start_call("svc::f", traceparent=TRACEPARENT, baggage='quo"te=1')
    worker.drop()
    answer = answer_of(caller, call)
    assert (answer["traceparent"], answer["baggage"]) == (TRACEPARENT, 'quo"te=1')


@pytest.mark.parametrize("metadata", [{"session_id": "s_1"}, [1], "x", False, 0])
def test_01_check_41_metadata_travels_beside_the_payload(
    worker: MemoryWorker, caller: MemoryWorker, metadata: Any
) -> None:
    caller.start_call("svc::f", [1], metadata=metadata)
    arrived = only(worker.invocations())
    assert (arrived["metadata"], arrived["data"]) == (metadata, [1])


def test_01_check_41_no_metadata_is_no_member(worker: MemoryWorker, caller: MemoryWorker) -> None:
    caller.start_call("svc::f")
    caller.start_call("svc::f", metadata=None)
    assert ["metadata" in message for message in worker.invocations()] == [False, False]


def test_01_check_43_a_blank_namespace(worker: MemoryWorker, caller: MemoryWorker) -> None:
    for blank in ("", " "):
        error = caller.call("svc::f", namespace=blank)["error"]
        assert error == {
            "code": "INVALID_NAMESPACE",
            "message": "`namespace` is empty: it was named and left blank. Give it a name, or omit it to use `default`.",
        }
    answers = len(caller.heard())
    caller.say({"type": "invokefunction", "function_id": "svc::f", "namespace": ""})
    assert len(caller.heard()) == answers
    assert worker.invocations() == []


@pytest.mark.parametrize(
    "call_id",
    [
        "not-a-uuid", "", "0b1f3c4d-0b1f-4c4d-8b1f-0b1f3c4d0b1", 'quote"', "0b1f3c4d-0b1f-4c4d-8b1f-0b1f3c4d0b1g", "\u0663" * 32,
        "0b1f3c4d0-b1f-4c4d-8b1f-0b1f3c4d0b1f",
    ],
)  # fmt: skip
def test_I13_a_bad_invocation_id_is_answered_as_sent(caller: MemoryWorker, call_id: str) -> None:
    caller.say({"type": "invokefunction", "function_id": "svc::f", "invocation_id": call_id})
    answer = only(caller.heard("invocationresult"))
    assert (answer["invocation_id"], answer["error"]["code"]) == (call_id, "invalid_request")


def test_I13_an_undecodable_call_with_an_id_is_answered(caller: MemoryWorker) -> None:
    call = str(uuid.uuid4())
    caller.say({"type": "invokefunction", "invocation_id": call})
    caller.say({"type": "invokefunction", "function_id": 5, "invocation_id": 7})
    answer = only(caller.heard("invocationresult"))
    assert answer["invocation_id"] == call
    assert "function_id" in answer["error"]["message"]


def test_a_uuid_may_come_without_hyphens(worker: MemoryWorker, caller: MemoryWorker) -> None:
    call = uuid.uuid4().hex
    caller.say({"type": "invokefunction", "function_id": "svc::f", "invocation_id": call})
    assert only(worker.invocations())["invocation_id"] == call


@pytest.mark.parametrize("call_id", ["0B1F3C4D-0B1F-4c4d-8b1f-0b1f3c4d0b1f", "0b1f3c4d0b1f4c4d8b1f0B1F3C4D0B1F"])
def test_I13_a_uuid_may_be_written_in_capitals_and_without_hyphens(
    worker: MemoryWorker, caller: MemoryWorker, call_id: str
) -> None:
    caller.say({"type": "invokefunction", "invocation_id": call_id, "function_id": "svc::f"})
    worker.answer(only(worker.invocations()), "done")
    assert answer_of(caller, call_id)["result"] == "done"


def test_N9_two_callers_may_choose_the_same_id(engine: MemoryEngine, worker: MemoryWorker) -> None:
    callers = [engine.connect(), engine.connect()]
    call = str(uuid.uuid4())
    for number, each in enumerate(callers):
        each.say({"type": "invokefunction", "function_id": "svc::f", "invocation_id": call, "data": number})
    first, second = worker.invocations()
    assert first["invocation_id"] == call != second["invocation_id"]
    worker.answer(second, "second")
    worker.answer(first, "first")
    assert [answer_of(each, call)["result"] for each in callers] == ["first", "second"]


def test_function_ids_are_escaped(engine: MemoryEngine, caller: MemoryWorker) -> None:
    strange = 'svc::"\\\nö'
    worker = engine.connect(functions=[strange])
    worker.serve(lambda data: "ok")
    answer = caller.call(strange)
    assert (answer["function_id"], answer["result"]) == (strange, "ok")


# -- sizes (L13) ------------------------------------------------------------------------------------------------------


def test_01_check_44_a_result_too_large_for_its_caller(engine: MemoryEngine, worker: MemoryWorker) -> None:
    old = engine.connect(version="0.11.6")
    call = old.start_call("svc::f")
    worker.answer(worker.invocations()[0], "x" * 1_500_000)
    assert answer_of(old, call)["error"]["code"] == "payload_too_large"
    assert old.connected


def test_L13_a_call_too_large_for_its_executor_is_refused(engine: MemoryEngine, caller: MemoryWorker) -> None:
    old = engine.connect(version="0.23.0", functions=["old::f"])
    error = caller.call("old::f", "x" * 1_100_000)["error"]
    assert error["code"] == "payload_too_large"
    assert error["message"].endswith("limit is 1048576 bytes. Use channels for large data.")
    assert old.invocations() == []
    assert old.session.handling == {}


def test_L13_a_void_call_too_large_is_logged(
    engine: MemoryEngine, caller: MemoryWorker, caplog: pytest.LogCaptureFixture
) -> None:
    engine.connect(version="0.20.0", functions=["old::f"])
    caller.say({"type": "invokefunction", "function_id": "old::f", "data": "x" * 1_100_000})
    assert "not sent" in caplog.text


def test_L13_an_error_too_large_becomes_a_small_one(engine: MemoryEngine, worker: MemoryWorker) -> None:
    old = engine.connect(version="0.10.0")
    call = old.start_call("svc::f")
    worker.answer(worker.invocations()[0], error={"code": "E", "message": "x" * 1_100_000})
    assert answer_of(old, call)["error"]["code"] == "payload_too_large"


def test_L13_a_trigger_too_large_for_its_provider_is_not_sent(
    engine: MemoryEngine, caplog: pytest.LogCaptureFixture
) -> None:
    provider = engine.connect(version="0.20.0")
    provider.provide("mail")
    engine.connect().bind("t", "mail", "a::b", {"x": "x" * 1_100_000})
    assert provider.heard("registertrigger") == []
    assert "registertrigger" in caplog.text.lower()


# -- the enqueue action (01 §8.4, I4, I5, I9) --------------------------------------------------------------------------


def test_01_check_42_without_a_queue_provider(caller: MemoryWorker) -> None:
    error = caller.call("svc::f", action={"type": "enqueue", "queue": "jobs"})["error"]
    assert error["code"] == "enqueue_error"
    assert error["message"].startswith("No queue provider is installed.")
    assert "engine::queue::enqueue" in error["message"]


def test_01_check_42_a_provider_accepts(engine: MemoryEngine, caller: MemoryWorker) -> None:
    queue = engine.connect(functions=["engine::queue::enqueue"])
    queue.serve(lambda data: {"messageReceiptId": "not this one"})
    result = caller.result_of(
        "svc::f", {"n": 1}, action={"type": "enqueue", "queue": "jobs"}, metadata={"m": 1}, traceparent=TRACEPARENT
    )
    (asked,) = [message["data"] for message in queue.invocations()]
    assert uuid.UUID(result["messageReceiptId"]).version == 4
    assert asked == {
        "queue": "jobs", "function_id": "svc::f", "data": {"n": 1}, "messageReceiptId": result["messageReceiptId"],
        "traceparent": TRACEPARENT, "baggage": "iii.function.id=svc%3A%3Af", "metadata": {"m": 1},
    }  # fmt: skip


def test_01_check_42_another_namespace_is_named(engine: MemoryEngine, caller: MemoryWorker) -> None:
    queue = engine.connect(functions=["engine::queue::enqueue"])
    queue.serve(lambda data: None)
    caller.result_of("svc::f", namespace="orders", action={"type": "enqueue", "queue": "jobs"})
    assert only(queue.invocations())["data"]["namespace"] == "orders"


@pytest.mark.parametrize(("code", "text"), [("full", "full: no room"), ("enqueue_error", "no room")])
def test_I4_a_provider_refuses(engine: MemoryEngine, caller: MemoryWorker, code: str, text: str) -> None:
    queue = engine.connect(functions=["engine::queue::enqueue"])
    call = caller.start_call("svc::f", action={"type": "enqueue", "queue": "jobs"})
    queue.answer(only(queue.invocations()), error={"code": code, "message": "no room"})
    assert answer_of(caller, call)["error"] == {"code": "enqueue_error", "message": text}


def test_I3_an_enqueue_without_an_id_is_not_answered(caller: MemoryWorker) -> None:
    caller.say({"type": "invokefunction", "function_id": "f", "action": {"type": "enqueue", "queue": "jobs"}})
    assert caller.heard("invocationresult") == []


# -- other messages (01 checks 5–8) ------------------------------------------------------------------------------------


def test_01_check_5_json_ping_is_answered(caller: MemoryWorker) -> None:
    caller.forget()
    caller.say({"type": "ping"})
    caller.say({"type": "pong"})
    caller.say({"type": "registerservice", "id": "svc"})
    assert caller.heard() == [{"type": "pong"}]


def test_bad_messages_do_not_fill_the_log(caller: MemoryWorker, engine_log: pytest.LogCaptureFixture) -> None:
    for _ in range(1000):
        caller.say("not json")
    assert sum("Message of a worker dropped" in line for line in engine_log.messages) == 20


def test_01_check_7_binary_messages(caller: MemoryWorker) -> None:
    caller.forget()
    caller.session.receive_binary(b'{"type":"ping"}')
    caller.session.receive_binary(b"LOGS\xff\xfe")
    caller.session.receive_binary(b"OTL")
    assert caller.heard() == [{"type": "pong"}]


def test_L14_nan_is_null_with_one_warning(
    worker: MemoryWorker, caller: MemoryWorker, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        caller.say(b'{"function_id":"svc::f","data":{"a":NaN,"b":-Infinity,"c":"NaN"},"type":"invokefunction"}')
    assert worker.invocations()[0]["data"] == {"a": None, "b": None, "c": "NaN", "_caller_worker_id": caller.id}
    assert sum("NaN" in line for line in caplog.messages) == 1


def test_L14_numbers_pass_through_as_spelt(worker: MemoryWorker, caller: MemoryWorker) -> None:
    spelling = b'[1.0,1e2,123456789012345678901234567890,-0,{"b":1,"a":2}]'
    caller.say(b'{"type":"invokefunction","function_id":"svc::f","data":' + spelling + b"}")
    assert b'"data":' + spelling in worker.link.frames[-1]
