"""Whatever bytes a worker sends: nothing raises, and only JSON objects go out (01 §4)."""

import json
import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from iii.engine.engine_functions import EngineFunctions
from iii.modules.observability.module import Observability
from iii.protocol.codec import Undecodable, encode_message, worker_message_decoder
from iii.testing import FakeClock, MemoryEngine, MemoryWorker

CALL = "0b1f3c4d-0b1f-4c4d-8b1f-0b1f3c4d0b1f"
MESSAGES: list[dict[str, Any]] = [
    {"type": "registerfunction", "id": "svc::f", "description": "d", "metadata": {"a": 1}},
    {"type": "unregisterfunction", "id": "svc::f"},
    {"type": "registerservice", "id": "svc"},
    {"type": "registertriggertype", "id": "mail", "description": "d", "namespace": "orders"},
    {"type": "unregistertriggertype", "id": "mail"},
    {"type": "registertrigger", "id": "t", "trigger_type": "mail", "function_id": "svc::f", "config": {"a": [1]}},
    {"type": "registertrigger", "id": "e", "trigger_type": "engine::workers-available", "function_id": "svc::f"},
    {"type": "unregistertrigger", "id": "t", "trigger_type": "mail"},
    {"type": "triggerregistrationresult", "id": "t", "trigger_type": "mail", "function_id": "f",
     "error": {"code": "c", "message": "m"}},
    {"type": "invokefunction", "invocation_id": CALL, "function_id": "svc::f", "data": {"a": {"b": [1, "x"]}},
     "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "baggage": "a=b", "metadata": [1]},
    {"type": "invokefunction", "function_id": "engine::functions::list", "data": {}, "invocation_id": CALL},
    {"type": "invokefunction", "function_id": "engine::register_trigger", "invocation_id": CALL,
     "data": {"trigger_type": "mail", "function_id": "svc::f", "config": {"a": 1}}},
    {"type": "invokefunction", "function_id": "engine::workers::register", "action": {"type": "void"},
     "data": {"runtime": "python", "version": "0.23.0", "name": "n", "namespace": "orders", "pid": 5}},
    {"type": "invokefunction", "function_id": "svc::f", "action": {"type": "enqueue", "queue": "q"}, "invocation_id": CALL},
    {"type": "invocationresult", "invocation_id": CALL, "function_id": "svc::f", "result": {"a": 1}},
    {"type": "invocationresult", "invocation_id": CALL, "function_id": "svc::f", "error": {"code": "c", "message": "m"}},
    {"type": "reattach", "previous_worker_id": CALL, "reattach_token": CALL},
    {"type": "ping"},
]  # fmt: skip

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def frames(draw: st.DrawFn) -> bytes:
    """A message with some members replaced or missing, then perhaps some bytes."""
    message = dict(draw(st.sampled_from(MESSAGES)))
    for key in draw(st.lists(st.sampled_from(sorted(message)), max_size=2)):
        if draw(st.booleans()):
            message.pop(key, None)
        else:
            message[key] = draw(json_values)
    data = bytearray(json.dumps(message, ensure_ascii=draw(st.booleans())).encode(errors="surrogatepass"))
    for _ in range(draw(st.integers(0, 2))):
        place = draw(st.integers(0, len(data)))
        data[place : place + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return bytes(data)


def check_sent(worker: MemoryWorker) -> None:
    def no_constant(name: str) -> None:
        raise AssertionError(f"sent {name}")

    for frame in worker.link.frames:
        assert isinstance(json.loads(frame.decode(), parse_constant=no_constant), dict)


@settings(max_examples=150, derandomize=True)
@given(st.lists(frames() | st.binary(max_size=40), max_size=25), st.randoms(use_true_random=False))
def test_a_session_survives_any_bytes(messages: list[bytes], chance: random.Random) -> None:
    clock = FakeClock()
    engine = MemoryEngine(clock, modules=[EngineFunctions, Observability])
    bystander = engine.connect(name="bystander", functions=["by::stander"])
    bystander.serve(lambda data: "ok")
    hostile = engine.connect(announce=False)
    for message in messages:
        if chance.random() < 0.2:
            hostile.session.receive_binary(chance.choice([b"", b"MTRC", b"OTLP"]) + message)
        else:
            hostile.say(message)
        if chance.random() < 0.1:
            clock.advance(chance.choice([0.0, 0.06, 6.0, 31.0]))
        assert bystander.result_of("by::stander") == "ok"
    check_sent(hostile)
    check_sent(bystander)
    engine.drop_all_workers()
    clock.advance(200)  # the store of spans looks for those without an end once a minute
    assert not engine.core.roster.connections
    assert not clock.timers


@settings(max_examples=300, derandomize=True)
@given(frames() | st.binary(max_size=60))
def test_what_is_accepted_can_be_sent_on(data: bytes) -> None:
    try:
        message = worker_message_decoder().decode(data)
    except Undecodable:
        return
    assert isinstance(json.loads(encode_message(message)), dict)


@st.composite
def deep_json(draw: st.DrawFn) -> str:
    """Up to 2,000 levels, of both kinds, with brackets in strings beside them."""
    levels = draw(st.integers(1, 2000) | st.sampled_from([497, 498, 499, 500, 501, 2000]))
    kind = draw(st.sampled_from(["[", '{"a":', '["]\\\\\\"[",']))
    return (
        kind * levels
        + draw(st.sampled_from(["1", '"[["', "NaN", '"\\ud800"']))
        + {"{": "}", "[": "]"}[kind[0]] * levels
    )


@settings(max_examples=150, derandomize=True)
@given(st.sampled_from(MESSAGES), st.data())
def test_core_3e_whatever_names_a_call_is_answered_at_any_depth(message: dict[str, Any], data: st.DataObject) -> None:
    engine = MemoryEngine(FakeClock(), modules=[EngineFunctions])
    worker = engine.connect(name="worker", functions=["svc::f"])
    caller = engine.connect(name="caller")
    call_id = caller.start_call("svc::f")
    running = worker.invocations()[0]["invocation_id"]
    is_result = message["type"] == "invocationresult"
    broken = data.draw(st.sampled_from(["data", "result", "config", "metadata", "error", "unknown"]))
    members = {key: json.dumps(running if key == "invocation_id" else value) for key, value in message.items()}
    members[broken] = data.draw(deep_json())
    order = data.draw(st.permutations(sorted(members)))
    worker.forget()

    worker.say("{" + ",".join(f'"{key}":{members[key]}' for key in order) + "}")

    if is_result:
        assert caller.answer_to(call_id) is not None
        assert not worker.session.handling
    elif message["type"] == "invokefunction" and "invocation_id" in message and message.get("function_id") != "svc::f":
        assert worker.answer_to(running) is not None
    assert worker.call("engine::functions::list")["result"]
    engine.drop_all_workers()
