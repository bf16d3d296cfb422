"""Functions that payloads and configs name (20 §4)."""

import json

import pytest

from iii.engine.access.forwarded import forwarded_target, functions_in
from iii.protocol.names import ENQUEUE_PROVIDER


@pytest.mark.parametrize(
    ("function_id", "payload", "target"),
    [
        (ENQUEUE_PROVIDER, b'{"function_id":"f","namespace":"n"}', ("f", "n")),
        (ENQUEUE_PROVIDER, b'{"function_id":"f"}', ("f", None)),
        (ENQUEUE_PROVIDER, b'{"queue":"q"}', None),
        (ENQUEUE_PROVIDER, b'{"function_id":', None),
        (ENQUEUE_PROVIDER, b'{"function_id":3}', None),
        ("other::f", b'{"function_id":"f"}', None),
    ],
)
def test_20_4_whom_an_enqueued_call_is_for(
    function_id: str, payload: bytes, target: tuple[str, str | None] | None
) -> None:
    assert forwarded_target(function_id, payload) == target


def nested(levels: int) -> bytes:
    value: object = {"condition_function_id": "deep::f"}
    for _ in range(levels):
        value = {"a": value}
    return json.dumps(value).encode()


@pytest.mark.parametrize(
    ("config", "found"),
    [
        (b'{"condition_function_id":"a::b","middleware_function_ids":["c::d",3,"e::f"]}', ["a::b", "c::d", "e::f"]),
        (b'[{"_condition_path":"a::b"},1,"x"]', ["a::b"]),
        (b'{"condition_function_id":7}', []),
        (b'{"condition\\u005ffunction_id":"a::b"}', ["a::b"]),
        (b'{"function_id":', []),
        (b'{"path":"/x"}', []),
        (nested(3), ["deep::f"]),
        (nested(20), []),  # no module looks that deep
    ],
)
def test_20_4_functions_in_the_config_of_a_trigger(config: bytes, found: list[str]) -> None:
    assert list(functions_in(config)) == found
