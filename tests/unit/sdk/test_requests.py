"""What is asked of the client as a dict (08 §9.1; core 19, bugs minor, newcomer minor)."""

import math
from typing import Any

import pytest

from iii.protocol.limits import LONGEST_TIMEOUT_MS
from iii.sdk.requests import action_of, required, target_namespace, timeout_of


@pytest.mark.parametrize(
    ("wanted", "timeout_ms"),
    [(None, 30), (0, 30), (0.0, 30), (1, 1), (2.5, 3), (5e3, 5000), (10**400, LONGEST_TIMEOUT_MS)],
)
def test_core_19_a_timeout_is_whole_milliseconds(wanted: Any, timeout_ms: int) -> None:
    found = timeout_of(wanted, 30)
    assert found == timeout_ms
    assert type(found) is int


@pytest.mark.parametrize(
    ("wanted", "kind", "text"),
    [
        (True, TypeError, "a number of milliseconds, got True"),
        ("5000", TypeError, "a number of milliseconds, got '5000'"),
        ([5], TypeError, "a number of milliseconds"),
        (math.inf, ValueError, "finite, got inf"),
        (-math.inf, ValueError, "finite, got -inf"),
        (math.nan, ValueError, "finite, got nan"),
        (-1, ValueError, "not be negative, got -1"),
        (1e-9, ValueError, "at least 1, or 0 for the default, got 1e-09"),
    ],
)
def test_core_19_what_is_no_timeout_is_refused_in_words(wanted: Any, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=f"timeout_ms must be {text}" if "negative" not in text else text):
        timeout_of(wanted, 30)


def test_newcomer_a_missing_key_is_named_beside_those_that_are_there() -> None:
    with pytest.raises(KeyError, match=r"the request of trigger\(\) needs the key 'function_id'; it has 'function'"):
        required({"function": "x"}, "function_id", "the request of trigger()")
    with pytest.raises(KeyError, match="it has nothing"):
        required({}, "id", "register_function()")
    with pytest.raises(KeyError, match=r"the action 'enqueue' of trigger.. needs the key 'queue'; it has 'type'"):
        action_of({"type": "enqueue"})


def test_core_19_a_namespace_is_text() -> None:
    with pytest.raises(TypeError, match=r"TriggerRequest\.namespace must be str, got int"):
        target_namespace(5, "f", None, "TriggerRequest.namespace")  # type: ignore[arg-type]
