"""Each wire code has one class, and whatever comes over the wire becomes an exception (00 §4.1, 08 §8)."""

import gc
import json
from typing import Any

import pytest

from iii.protocol import errors
from iii.protocol.errors import (
    BlankNamespace,
    ClientShutdown,
    ConnectionClosing,
    DeserializationFailed,
    EnqueueFailed,
    FunctionNotFound,
    InvalidArguments,
    InvalidRequest,
    InvalidResult,
    InvocationCancelled,
    InvocationError,
    InvocationForbidden,
    InvocationStopped,
    InvocationTimeout,
    ItemNotFound,
    PayloadTooLarge,
    SerializationFailed,
    TriggerRegistrationFailed,
    UnregisterFailed,
)
from iii.protocol.wire_errors import encode_error, error_from_text, error_from_wire

RAISED: list[tuple[InvocationError, str, str]] = [
    (InvocationError(message="boom"), "invocation_failed", "boom"),
    (InvocationError("E1", "m"), "E1", "m"),
    (FunctionNotFound("f", "n"), "function_not_found", "Function f not found in namespace n."),
    (
        FunctionNotFound("f", "n", ["b", "a"]),
        "function_not_found",
        "Function f not found in namespace n. It is registered in namespace(s): a, b.",
    ),
    (InvocationStopped(), "invocation_stopped", "Invocation stopped"),
    (ConnectionClosing(), "channel_send_failed", "channel closed"),
    (InvalidRequest("d"), "invalid_request", "d"),
    (InvalidResult("f", "User", "d"), "invalid_result", "the result of f is not User: d"),
    (
        PayloadTooLarge(5, 4),
        "payload_too_large",
        "Serialized JSON envelope is 5 bytes; limit is 4 bytes. Use channels for large data.",
    ),
    (BlankNamespace("m"), "INVALID_NAMESPACE", "m"),
    (InvocationForbidden(message="no"), "FORBIDDEN", "no"),
    (InvocationTimeout(50), "TIMEOUT", "invocation timed out after 50ms"),
    (InvocationCancelled(), "CANCELLED", "invocation was cancelled"),
    (ClientShutdown(), "SHUTDOWN", "iii is shutting down"),
    (DeserializationFailed("f", "d"), "deserialization_error", "Failed to deserialize input for f: d"),
    (SerializationFailed("f", "d"), "serialization_error", "Failed to serialize result for f: d"),
    (TriggerRegistrationFailed("m"), "trigger_registration_failed", "m"),
    (UnregisterFailed("m"), "unregister_failed", "m"),
    (ItemNotFound("m"), "NOT_FOUND", "m"),
    (InvalidArguments("m"), "INVALID_ARGUMENTS", "m"),
    (EnqueueFailed("m"), "enqueue_error", "m"),
]


@pytest.mark.parametrize(("error", "code", "message"), RAISED)
def test_00_4_1_code_and_text(error: InvocationError, code: str, message: str) -> None:
    assert (error.code, error.message, str(error)) == (code, message, f"{code}: {message}")
    assert json.loads(error.encode()) == {"code": code, "message": message}


def test_00_4_1_one_class_a_code() -> None:
    classes = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, InvocationError)]
    codes = [kind.code for kind in classes]
    assert len(codes) == len(set(codes))
    assert {type(error) for error, _, _ in RAISED} == set(classes)


@pytest.mark.parametrize("code", sorted({code for _, code, _ in RAISED if code != "E1"}))
def test_a_known_code_gives_its_class(code: str) -> None:
    error = error_from_wire({"code": code, "message": "m", "stacktrace": "s"}, "f", "i")
    assert type(error).code == code
    assert (error.message, error.stacktrace, error.function_id, error.invocation_id) == ("m", "s", "f", "i")
    assert isinstance(error, TimeoutError) == (code == "TIMEOUT")
    assert "stacktrace" not in str(error) + repr(error)
    assert json.loads(error.encode())["stacktrace"] == "s"


@pytest.mark.parametrize(
    ("wire", "code", "message"),
    [
        ("text", "UNKNOWN", "text"),
        (42, "UNKNOWN", "42"),
        ({"code": 123, "message": "x"}, "UNKNOWN", "x"),
        ({"code": "X"}, "X", "<no message>"),
        ({"message": "y"}, "UNKNOWN", "y"),
        ({"code": "X", "message": None}, "X", "<no message>"),
        ({"code": "X", "message": "m", "stacktrace": 5}, "X", "m"),
    ],
)
def test_08_check_39_errors_of_any_shape(wire: Any, code: str, message: str) -> None:
    error = error_from_wire(wire)
    assert (error.code, error.message) == (code, message)
    assert "{'" not in str(error)


def test_well_formed_errors_are_passed_on_as_they_are() -> None:
    raw = b'{"message":"m", "code":"c","extra":1}'
    assert encode_error(raw) is raw
    assert json.loads(encode_error(b'{"code":5}')) == {"code": "UNKNOWN", "message": "<no message>"}
    assert json.loads(encode_error(b'"text"')) == {"code": "UNKNOWN", "message": "text"}


def test_blank_fields_are_named() -> None:
    assert BlankNamespace.of_field("trigger_namespace").message.startswith("`trigger_namespace` is empty")


@pytest.mark.parametrize(
    "raw", [b"1e999", b'{"code":1e999}', b'{"code":"c","x":-1e999}', b'{"code":"c","message":[1e999]}']
)
def test_F1_an_error_that_cannot_be_decoded_is_one_all_the_same(raw: bytes) -> None:
    """Its call was never answered."""
    assert json.loads(encode_error(raw)) == {"code": "UNKNOWN", "message": raw.decode()}
    assert error_from_text(raw, "f", "i").invocation_id == "i"


@pytest.mark.parametrize("form", [b"[%b]", b'{"code":[%b],"message":"m"}', b'{"code":"c","message":"m","more":[%b]}'])
def test_F2_no_objects_are_made_of_a_large_error(form: bytes) -> None:
    raw = form % (b"[]," * 100_000 + b"1")
    collected: list[str] = []

    def count(phase: str, _: object) -> None:
        collected.append(phase)

    threshold = gc.get_threshold()
    gc.set_threshold(500)
    gc.callbacks.append(count)
    try:
        error = error_from_text(raw)
        assert len(encode_error(raw)) < 2000 or encode_error(raw) is raw
    finally:
        gc.callbacks.remove(count)
        gc.set_threshold(*threshold)
    assert len(collected) < 4
    assert (error.code, error.message) == ("c", "m") or (error.code, len(error.message)) == ("UNKNOWN", 1024)
