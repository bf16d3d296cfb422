"""A large message is the same whether it is decoded in one piece or taken apart and put together (01 §4)."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from iii.protocol.codec import Undecodable, worker_message_decoder
from iii.protocol.large_message import Reading, put_together, take_apart

LARGE = st.integers(0, 3).map(lambda count: "x" * 3000 * count)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | LARGE, lambda inner: st.lists(inner, max_size=3), max_leaves=6
)


def both(text: bytes) -> tuple[Any, Any]:
    """Decoded here, and by way of another process; what is refused as what is told of it."""
    found: list[Any] = []
    decoder = worker_message_decoder()
    try:
        found.append(decoder.decode(text))
    except Undecodable as error:
        found.append((str(error), vars(error)["message_type"], error.invocation_id, error.void))
    reading, mended = take_apart(decoder, text)
    reading = msgspec.json.decode(msgspec.json.encode(reading), type=Reading)
    try:
        found.append(put_together(decoder, reading, mended if reading.mended else text))
    except Undecodable as error:
        found.append((str(error), error.message_type, error.invocation_id, error.void))
    return found[0], found[1]


@given(data=JSON, metadata=JSON, spaces=st.integers(0, 3))
def test_calls_are_the_same(data: object, metadata: object, spaces: int) -> None:
    call = {"type": "invokefunction", "function_id": "f", "data": data, "metadata": metadata, "invocation_id": "i"}
    text = json.dumps(call, indent=spaces or None).encode()
    whole, assembled = both(text)
    assert same(whole) == same(assembled)


def same(message: Any) -> dict[str, Any]:
    """Its members; JSON as bytes, whether it is a view or not."""
    found = {name: getattr(message, name) for name in message.__struct_fields__}
    return {name: bytes(each) if isinstance(each, Raw | memoryview) else each for name, each in found.items()}


def test_numbers_and_spaces_pass_as_they_were_sent() -> None:
    data = b'{ "a" : 1.0e5, "b": [' + b"12345678901234567890123, " * 1000 + b"1 ] }"
    whole, assembled = both(b'{"type":"invokefunction","function_id":"f","data":' + data + b"}")
    assert bytes(whole.data) == bytes(assembled.data) == data


def test_L14_what_is_mended_is_mended() -> None:
    whole, assembled = both(b'{"type":"invokefunction","function_id":"f","data":[' + b"NaN," * 3000 + b"1]}")
    assert bytes(whole.data) == bytes(assembled.data)
    assert b"NaN" not in bytes(assembled.data)


@given(st.sampled_from(["[" * 600 + "]" * 600, "{", '"\\ud800x', "nul", "[1,]"]), st.booleans())
def test_I13_what_cannot_be_decoded_names_the_same_call(data: str, void: bool) -> None:
    action = ',"action":{"type":"void"}' if void else ""
    text = f'{{"type":"invokefunction","function_id":"f","invocation_id":"i"{action},"data":{data}}}'
    whole, assembled = both(text.encode())
    assert whole == assembled


def test_a_message_that_is_large_without_payload_is_refused() -> None:
    text = b'{"type":"invokefunction","function_id":"' + b"f" * (6 << 20) + b'","invocation_id":"i"}'
    reading, _ = take_apart(worker_message_decoder(), text)
    assert reading.detail == "names and texts of 6291529 bytes exceed the limit of 5242880" or "exceed" in str(
        reading.detail
    )


BIG = "f" * (6 << 20)


@pytest.mark.parametrize(
    "members",
    [
        {"type": "invokefunction", "function_id": BIG, "invocation_id": "i"},
        {"type": "invokefunction", "function_id": "f", "baggage": BIG, "invocation_id": "i"},
        {"type": "invokefunction", "function_id": "f", "namespace": BIG, "invocation_id": "i", "data": ["x" * 5000]},
        {"type": "invokefunction", "data": [BIG], "invocation_id": "i", "function_id": 3, "metadata": [BIG]},
        {"type": "invokefunction", "data": [BIG], "invocation_id": "i", "function_id": "f", "action": [BIG]},
        {"type": "invocationresult", "function_id": BIG, "invocation_id": "i", "result": 1},
        {"type": "invocationresult", "function_id": [BIG], "invocation_id": "i", "result": [BIG]},
        {"type": "registertrigger", "id": "i", "trigger_type": "t", "function_id": BIG},
        {"type": "triggerregistrationresult", "id": "i", "trigger_type": BIG, "function_id": BIG},
    ],
    ids=range(9),
)
def test_I13_F1_whatever_is_too_large_who_waits_is_named(members: dict[str, Any]) -> None:
    reading, _ = take_apart(worker_message_decoder(), json.dumps(members).encode())
    encoded = msgspec.json.encode(reading)
    assert len(encoded) < 2 << 20
    with pytest.raises(Undecodable) as told:
        put_together(worker_message_decoder(), msgspec.json.decode(encoded, type=Reading), b"")
    assert told.value.message_type == members["type"]
    assert "i" in (told.value.invocation_id, told.value.id)
    assert not told.value.void


@pytest.mark.parametrize("depth", [100, 4000, 100_000])
def test_I13_F1_names_of_any_depth_are_told(depth: int) -> None:
    deep = b"[" * depth + b"]" * depth
    for member in (b"function_id", b"action", b"data"):
        text = b'{"type":"invokefunction","invocation_id":"i",%b:%b,"x":"%b"}' % (
            b'"%b"' % member, deep, b"y" * (5 << 20)
        )  # fmt: skip
        reading, _ = take_apart(worker_message_decoder(), text)
        msgspec.json.encode(reading)
        assert reading.named
        assert reading.named.invocation_id == "i"
