"""Bytes to messages: lenient where clients need it, silent about nothing (01 §4)."""

import json
import logging
from typing import Any

import pytest

from iii.protocol.codec import (
    Undecodable,
    encode_message,
    engine_message_decoder,
    worker_message_decoder,
)
from iii.protocol.json_text import mend_json, nests_deeper_than
from iii.protocol.limits import NESTING_LEVELS
from iii.protocol.messages import (
    NULL,
    Enqueue,
    HttpInvocation,
    InvocationResult,
    InvokeFunction,
    Message,
    Ping,
    RegisterFunction,
    RegisterTrigger,
    RegistrationRejected,
    TriggerRegistrationResult,
    UnregisterTrigger,
    Void,
    WorkerRegistered,
)


def decode(message: dict[str, Any] | bytes) -> Message:
    data = message if isinstance(message, bytes) else json.dumps(message).encode()
    return worker_message_decoder().decode(data)


def refused(data: bytes) -> Undecodable:
    with pytest.raises(Undecodable) as caught:
        worker_message_decoder().decode(data)
    return caught.value


GOLDEN = [
    # Python puts `type` last and leaves None out (08 §5, §6)
    '{"function_id":"mail::send","data":{"to":"a@b.c"},"action":{"type":"void"},"type":"invokefunction"}',
    '{"function_id": "x", "invocation_id": "3f2c8d34-6a63-4a2e-9f7e-0c4b8d6a1e11", "type": "invokefunction"}',
    '{"invocation_id":"3f2c8d34-6a63-4a2e-9f7e-0c4b8d6a1e11","function_id":"f","type":"invocationresult"}',
    '{"type":"invocationresult","invocation_id":"3f","function_id":"f","result":null,"error":null}',
    '{"type":"registerfunction","id":"math::add","description":"Adds","request_format":{"type":"object"},'
    '"response_format":null,"metadata":{"owner":"x"}}',
    '{"type":"registerfunction","id":"w::f","invocation":{"url":"https://x","method":"GET","headers":{},'
    '"auth":{"type":"bearer","token_key":"TOKEN"}}}',
    '{"type":"registerfunction","id":"w::f","observe":{"delivery":"owner"}}',  # 0.25
    '{"type":"unregisterfunction","id":"f"}',
    '{"id":"svc","name":"svc","description":null,"type":"registerservice"}',  # up to 0.11
    '{"type":"registertriggertype","id":"t","description":"d","trigger_request_format":{"a":1}}',
    '{"type":"registertriggertype","id":"t"}',
    '{"type":"unregistertriggertype","id":"t","description":"d"}',
    '{"type":"registertrigger","id":"7a0c","trigger_type":"cron","function_id":"j","config":{"e":"*"}}',
    '{"id":"7a0c","trigger_type":"cron","function_id":"j","type":"registertrigger"}',
    '{"type":"unregistertrigger","id":"7a0c"}',
    '{"type":"triggerregistrationresult","id":"a","trigger_type":"t","function_id":"f","result":{},'
    '"error":{"code":"c","message":"m"}}',
    '{"type":"reattach","previous_worker_id":"w"}',
    '{"type":"ping"}',
    '{"type":"pong"}',
]


@pytest.mark.parametrize("text", GOLDEN)
def test_messages_of_published_clients_are_read(text: str) -> None:
    assert json.loads(text)["type"] == type(decode(text.encode())).__struct_config__.tag


@pytest.mark.parametrize("text", GOLDEN)
def test_01_4_unknown_members_are_ignored_and_null_is_absent(text: str) -> None:
    message = json.loads(text)
    fields = {field for field in decode(text.encode()).__struct_fields__ if field not in message}
    optional = fields - {"config"}  # a null config is said to builtin types as {} (T5)
    assert decode({**message, "unknown": [1], **dict.fromkeys(optional)}) == decode(message)


def test_01_4_members_that_python_leaves_out() -> None:
    call = decode(b'{"type":"invokefunction","function_id":"f"}')
    assert isinstance(call, InvokeFunction)
    assert call.data is NULL
    binding = decode(b'{"type":"registertrigger","id":"i","trigger_type":"t","function_id":"f"}')
    assert isinstance(binding, RegisterTrigger)


@pytest.mark.parametrize(
    ("action", "expected"),
    [({"type": "void"}, Void()), ({"type": "enqueue", "queue": "q"}, Enqueue("q")), (None, None)],
)
def test_01_5_8_actions(action: Any, expected: Any) -> None:
    call = decode({"type": "invokefunction", "function_id": "f", "action": action})
    assert isinstance(call, InvokeFunction)
    assert call.action == expected


@pytest.mark.parametrize("action", [{"type": "enqueue"}, {"type": "other"}, {}, "void"])
def test_01_5_8_a_bad_action_makes_the_call_undecodable(action: Any) -> None:
    data = json.dumps({"type": "invokefunction", "function_id": "f", "action": action, "invocation_id": "i"}).encode()
    error = refused(data)
    assert (error.message_type, error.invocation_id, error.function_id) == ("invokefunction", "i", "f")


def test_01_5_1_http_invocation() -> None:
    message = decode({"type": "registerfunction", "id": "f", "invocation": {"url": "https://x"}})
    assert isinstance(message, RegisterFunction)
    assert message.invocation == HttpInvocation("https://x")
    for bad in ({"url": "https://x", "method": "get"}, {"method": "GET"}, {"url": "x", "auth": {"type": "basic"}}):
        refused(json.dumps({"type": "registerfunction", "id": "f", "invocation": bad}).encode())


@pytest.mark.parametrize(
    "data",
    [b"", b"   ", b"not json", b"[]", b"5", b"null", b"{}", b'{"type":"nope"}', b'{"type":5}', b'{"type":"ping"',
     b'{"type":"ping"} x', b"\xff\xfe", b'{"type":"registerfunction"}', b'{"type":"registerfunction","id":5}',
     b'{"type":"ping","a":"\x01"}', b'{"type":"ping","a":01}'],
)  # fmt: skip
def test_01_4_whatever_cannot_be_read_is_undecodable(data: bytes) -> None:
    refused(data)


def test_invalid_utf8_is_refused_wherever_it_is() -> None:
    assert "not UTF-8" in str(refused(b'{"type":"invokefunction","function_id":"f","data":"\xff"}'))
    decode('{"type":"invokefunction","function_id":"ü","data":"€"}'.encode())


def test_I13_ids_are_saved_from_a_broken_call() -> None:
    error = refused(b'{"type":"invokefunction","invocation_id":"i","function_id":7}')
    assert (error.message_type, error.invocation_id, error.function_id) == ("invokefunction", "i", None)
    error = refused(b'{"type":"invokefunction","invocation_id":7,"function_id":"f"}')
    assert (error.invocation_id, error.function_id) == (None, "f")
    assert refused(b"[1]").message_type is None


def test_L14_nan_and_infinity_are_null_outside_strings(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    decoder = worker_message_decoder()
    for _ in range(3):
        message = decoder.decode(b'{"type":"invokefunction","function_id":"NaN","data":[NaN,-Infinity,"NaN \\" NaN"]}')
    assert isinstance(message, InvokeFunction)
    assert message.function_id == "NaN"
    assert bytes(message.data) == b'[null,null,"NaN \\" NaN"]'
    assert len(caplog.messages) == 1


def test_lone_surrogates_become_replacement_characters() -> None:
    message = decode(b'{"type":"invokefunction","function_id":"f","data":"\\ud800 \\ud83d\\ude00 \\\\ud800"}')
    assert isinstance(message, InvokeFunction)
    assert json.loads(bytes(message.data)) == "\ufffd \U0001f600 \\ud800"


def test_mended_text_that_does_not_fit_is_still_undecodable() -> None:
    error = refused(b'{"type":"invokefunction","invocation_id":"i","function_id":NaN}')
    assert error.invocation_id == "i"
    refused(b'{"type":"invokefunction","function_id":"f","data":[NaN')
    assert mend_json(b"plain") == b"plain"


def nested(levels: int) -> bytes:
    return b'{"type":"invokefunction","function_id":"f","data":' + b"[" * levels + b"]" * levels + b"}"


def test_nesting_is_limited() -> None:
    decode(nested(NESTING_LEVELS - 1))
    assert "nested" in str(refused(nested(NESTING_LEVELS)))
    refused(nested(100_000))


def test_brackets_in_strings_and_many_shallow_values_do_not_count() -> None:
    assert not nests_deeper_than(json.dumps(["[" * 2000, "{{[" * 900]).encode(), 500)
    assert not nests_deeper_than(json.dumps([[{"a": [1]}] for _ in range(5000)]).encode(), 500)
    assert nests_deeper_than(b"[[1]," * 600 + b"1" + b"]" * 600, 500)


def test_what_the_engine_says() -> None:
    decoder = engine_message_decoder()
    messages: list[Message] = [
        WorkerRegistered("w", "t", ["observe.v1"]),
        RegistrationRejected("FUNCTION_NAMESPACE_CONFLICT", "default", "", function_id="f"),
        InvokeFunction("f", NULL, "i"),
        InvocationResult("i", "f"),
        RegisterTrigger("i", "t", "f", NULL),
        UnregisterTrigger("i", "t"),
        TriggerRegistrationResult("i", "t", "f"),
    ]
    for message in messages:
        assert type(decoder.decode(encode_message(message))) is type(message)
    with pytest.raises(Undecodable):
        decoder.decode(b'{"type":"observeradded"}')


def test_01_4_members_without_a_value_are_not_sent() -> None:
    assert encode_message(Ping()) == b'{"type":"ping"}'
    assert encode_message(WorkerRegistered("w")) == b'{"type":"workerregistered","worker_id":"w"}'
