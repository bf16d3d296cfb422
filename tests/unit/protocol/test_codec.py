"""Bytes to messages: lenient where clients need it, silent about nothing (01 §4)."""

import json
import logging
from typing import Any, get_args

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
    EngineMessage,
    Enqueue,
    HttpInvocation,
    InvokeFunction,
    Message,
    Ping,
    RegisterFunction,
    RegisterTrigger,
    Void,
    WorkerMessage,
    WorkerRegistered,
)
from tests.wire_vectors import Vector, name_of, text_of, vectors


def decode(message: dict[str, Any] | bytes) -> Message:
    data = message if isinstance(message, bytes) else json.dumps(message).encode()
    return worker_message_decoder().decode(data)


def refused(data: bytes) -> Undecodable:
    with pytest.raises(Undecodable) as caught:
        worker_message_decoder().decode(data)
    return caught.value


def meaning(message: Message) -> dict[str, Any]:
    """As the vectors say it: without members that have no value."""
    return {name: value for name, value in json.loads(encode_message(message)).items() if value is not None}


@pytest.mark.parametrize("vector", vectors("from-workers"), ids=name_of)
def test_what_workers_say_is_read(vector: Vector) -> None:
    assert meaning(decode(text_of(vector["frame"]).encode())) == vector["means"]


@pytest.mark.parametrize("vector", vectors("from-engine"), ids=name_of)
def test_what_the_engine_says_is_read(vector: Vector) -> None:
    assert meaning(engine_message_decoder().decode(text_of(vector["frame"]).encode())) == vector["means"]


@pytest.mark.parametrize(("file", "union"), [("from-workers", WorkerMessage), ("from-engine", EngineMessage)])
def test_the_vectors_have_every_message(file: str, union: Any) -> None:
    tags = {message.__struct_config__.tag for message in get_args(union)}
    assert {vector["means"]["type"] for vector in vectors(file)} == tags


@pytest.mark.parametrize("vector", vectors("from-workers"), ids=name_of)
def test_01_4_unknown_members_are_ignored_and_null_is_absent(vector: Vector) -> None:
    message = vector["means"]
    fields = {field for field in decode(message).__struct_fields__ if field not in message}
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


def test_a_client_does_not_know_every_message() -> None:
    with pytest.raises(Undecodable):
        engine_message_decoder().decode(b'{"type":"observeradded"}')


def test_01_4_members_without_a_value_are_not_sent() -> None:
    assert encode_message(Ping()) == b'{"type":"ping"}'
    assert encode_message(WorkerRegistered("w")) == b'{"type":"workerregistered","worker_id":"w"}'
