"""One rule for what is sent (08 §5, checks 30, 65; core 17, bugs 9)."""

import collections
import dataclasses
import datetime
import decimal
import enum
import json
import sys
import types
import uuid
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iii.protocol.errors import InvalidRequest
from iii.protocol.json_text import PLAIN_BYTES
from iii.protocol.limits import NESTING_LEVELS
from iii.protocol.messages import InvocationResult, InvokeFunction
from iii.sdk.encoding import encode_answer, encode_outgoing, encode_value
from tests.hostile import cyclic, nested


class Text(str):
    def __str__(self) -> str:
        return "another text"


class Count(int):
    pass


class Price(float):
    pass


class Shade(str, enum.Enum):  # noqa: UP042 - as older programs have it
    DARK = "dark"


class Level(enum.IntEnum):
    HIGH = 3


class Pair(collections.namedtuple("Pair", "a b")):
    pass


class Taken(msgspec.Struct):
    at: datetime.date
    raw: bytes = b"abc"


@dataclasses.dataclass
class Sum:
    of: decimal.Decimal


def as_payload(value: Any) -> Any:
    return json.loads(encode_outgoing(InvokeFunction("f", value), value))["data"]


def as_metadata(value: Any) -> Any:
    return json.loads(encode_outgoing(InvokeFunction("f", metadata=value), {"metadata": value}))["metadata"]


def as_result(value: Any) -> Any:
    return json.loads(encode_outgoing(InvocationResult("i", "f", value), value))["result"]


def alone(value: Any) -> Any:
    return json.loads(encode_value(value))


WAYS: list[Callable[[Any], Any]] = [as_payload, as_metadata, as_result, alone]
UUID = uuid.UUID(int=7)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("value", "received"),
    [
        (Text("s"), "s"),
        (Count(3), 3),
        (Price(1.5), 1.5),
        ({Text("k"): [Text("s"), Count(3)]}, {"k": ["s", 3]}),
        ({Count(1): 1, 2.5: 2, Level.HIGH: 3, Shade.DARK: 4, UUID: 5}, {"1": 1, "2.5": 2, "3": 3, "dark": 4, str(UUID): 5}),
        ((1, (2,)), [1, [2]]),
        (Pair(1, [2]), [1, [2]]),
        (collections.OrderedDict(a=collections.Counter("aab")), {"a": {"a": 2, "b": 1}}),
        ([Shade.DARK, Level.HIGH, UUID], ["dark", 3, str(UUID)]),
        ([Taken(datetime.date(2026, 1, 2)), Sum(decimal.Decimal("1.50"))], [{"at": "2026-01-02", "raw": "YWJj"}, {"of": "1.50"}]),
        ([float("nan"), -float("inf")], [None, None]),
        (float("inf"), None),  # attack 9, L14: a result so, as null, is left out for its caller (I2)
        (["\ud800", float("nan")], ["\ud800", None]),
        (10**30, 10**30),
    ],
)  # fmt: skip
def test_core_17_bugs_9_what_has_a_form_has_the_same_everywhere(
    way: Callable[[Any], Any], value: Any, received: Any
) -> None:
    assert way({"a": [value]}) == {"a": [received]}
    assert way(value) == received


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "value",
    [
        b"abc", bytearray(b"abc"), memoryview(b"abc"), {1}, frozenset(), datetime.date(2026, 1, 1),
        datetime.datetime(2026, 1, 1), datetime.time(1), datetime.timedelta(1), decimal.Decimal("1.1"), object(), 1j,
        range(3), collections.deque(), type("B", (bytes,), {})(b"x"), iter([]),
    ],
)  # fmt: skip
def test_core_17_08_check_30_what_has_none_is_refused_everywhere_with_its_path(
    way: Callable[[Any], Any], value: Any
) -> None:
    rows = [{"n": n} for n in range(20)]
    for whole, path in [
        (value, "$"),
        ({"a": [1, {"b": value}]}, "$.a[1].b"),
        ((rows, [*rows, {"n": value}]), "$[1][20].n"),
        ([*range(50), value], "$[50]"),
        (collections.OrderedDict(a=Pair(1, value)), "$.a[1]"),
        ({1: value}, "$.1"),
    ]:
        path = path.replace("$", "$.metadata") if way is as_metadata else path
        with pytest.raises(TypeError) as caught:
            way(whole)
        assert f"Object of type {type(value).__name__} is not JSON serializable - at `{path}`" in str(caught.value)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("key", [None, True, (1, 2), b"x", datetime.date(2026, 1, 1), decimal.Decimal(1)])
def test_core_17_a_key_that_is_no_text_is_refused(way: Callable[[Any], Any], key: Any) -> None:
    with pytest.raises(TypeError, match=f"Key of type {type(key).__name__} is not JSON serializable - at `.*a`"):
        way({"a": {key: 1}})


def test_core_17_keys_that_json_would_not_tell_apart_are_refused() -> None:
    with pytest.raises(TypeError, match=r"Two keys are both '1' in JSON - at `\$\[0\]`"):
        as_result([{1: "a", "1": "b"}])


@pytest.mark.parametrize(
    ("plain", "received"), [(1.5, 1.5), (7, 7), (True, True), ("s", "s"), (b"x", None), (1j, None)]
)
def test_bugs_9_scalars_of_numpy_without_importing_it(
    monkeypatch: pytest.MonkeyPatch, plain: Any, received: Any
) -> None:
    numpy = types.ModuleType("numpy")

    class generic:
        def item(self) -> Any:
            return plain

    numpy.generic = generic  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "numpy", numpy)
    if received is None:
        with pytest.raises(TypeError, match="Object of type generic is not JSON serializable"):
            as_result([generic()])
    else:
        assert as_result([generic()]) == [received]


@given(st.integers(0, 2000), st.booleans(), st.sampled_from(["\ud800", 1, Taken(datetime.date(2026, 1, 1))]))
def test_core_3e_bugs_7_what_is_nested_too_deeply_is_never_sent(levels: int, of_objects: bool, inner: Any) -> None:
    value = nested(levels, of_objects, inner)
    own = levels + 1 + isinstance(inner, Taken)  # the message itself is a level
    for message in (InvokeFunction("f", value), InvocationResult("i", "f", value)):
        if own <= NESTING_LEVELS:
            assert encode_outgoing(message, value)
            continue
        with pytest.raises(InvalidRequest, match="JSON is nested deeper than 500 levels"):
            encode_outgoing(message, value)


ODD = st.sampled_from(
    [Text("s"), Count(1), Price(0.5), Pair(1, 2), UUID, Shade.DARK, b"x", {1}, decimal.Decimal(1), object()]
)
keys: st.SearchStrategy[Any] = st.text(max_size=2) | st.sampled_from([1, "1", 2.5, None, Text("t"), UUID, b"x"])
trees: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(0, 9) | st.just("text") | ODD,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=3) | st.tuples(inner, inner),
    max_leaves=12,
)


@given(trees, st.integers(1, 3), st.integers(0, 60))
def test_core_17_large_values_are_judged_as_small_ones_are(value: Any, often: int, levels: int) -> None:
    def outcome(value: Any) -> Any:
        try:
            return json.loads(encode_value(value))
        except TypeError as error:
            return str(error).partition(" - at")[0]

    padding = ["x" * PLAIN_BYTES]  # from then on whole values are looked at first
    small, large = outcome([nested(levels, inner=value)]), outcome([nested(levels, inner=value)] * often + padding)
    assert large == (small if isinstance(small, str) else small * often + padding)


def test_what_contains_itself_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="or contains itself"):
        as_payload(cyclic())


def test_bugs_6_a_model_of_pydantic_1_is_encoded_by_alias_as_version_2_is() -> None:
    from datetime import date

    from pydantic import v1

    class Old(v1.BaseModel):
        made: date = v1.Field(alias="madeOn")

    assert encode_value({"a": Old(madeOn=date(2026, 1, 2))}) == b'{"a":{"madeOn":"2026-01-02"}}'


def test_a_forgotten_await_is_named() -> None:
    async def forgotten() -> None: ...

    made = forgotten()
    with pytest.raises(
        TypeError, match=r"Object of type coroutine is not JSON serializable; `await` it first - at `\$\.a`"
    ):
        encode_value({"a": made})
    made.close()


@pytest.mark.parametrize("traceparent", [None, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"])
@pytest.mark.parametrize("size", [0, PLAIN_BYTES - 4, PLAIN_BYTES - 3, PLAIN_BYTES, 10 * PLAIN_BYTES])
def test_an_encoded_result_gives_the_same_answer_as_the_value(size: int, traceparent: str | None) -> None:
    result = encode_value("x" * size)
    answer = InvocationResult("id", 'svc::"f"', msgspec.Raw(result), traceparent=traceparent)
    assert encode_answer("id", 'svc::"f"', result, traceparent) == encode_outgoing(answer)


@pytest.mark.parametrize("size", [0, PLAIN_BYTES])
def test_an_encoded_result_may_nest_no_deeper_than_a_message(size: int) -> None:
    result = encode_value(nested(NESTING_LEVELS - 1, inner="x" * size))
    encode_answer("id", "svc::f", result, None)
    with pytest.raises(InvalidRequest, match="nested deeper"):
        encode_answer("id", "svc::f", b"[%b]" % result, None)
