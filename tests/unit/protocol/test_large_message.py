"""A large message is the same whether it is decoded in one piece or taken apart and put together (01 §4)."""

import json
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from iii.protocol.codec import Undecodable, encode, worker_message_decoder
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
    assert encode(whole) == encode(assembled)
    assert bytes(whole.data) == bytes(assembled.data)


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
