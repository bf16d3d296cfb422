"""What signatures say (08 §7.2, §9.6)."""

import functools
from typing import Any

import pydantic
import pytest

from iii.sdk.annotations import NOTHING, Hints, pydantic_problem, read_plain, reader


class Service:
    def method(self, data: int) -> str:
        return ""

    def __call__(self, data: float) -> bool:
        return True


def broken(data: "Unheard") -> int:  # type: ignore[name-defined]  # noqa: F821
    return 1


def only_keywords(*, a: int) -> None: ...


def test_methods_objects_and_partials_have_the_hints_of_their_function() -> None:
    def two(prefix: str, data: int) -> str:
        return prefix

    assert Hints(Service().method).payload is int
    assert Hints(Service()).payload is float
    assert Hints(Service()).result is bool
    assert Hints(functools.partial(two, "p")).payload is int
    assert Hints(str).result is NOTHING


def test_hints_that_cannot_be_resolved_are_none() -> None:
    assert Hints(broken).payload is NOTHING
    assert Hints(broken).result is NOTHING


def test_what_a_handler_takes() -> None:
    assert not Hints(only_keywords).takes_payload
    assert not Hints(lambda: None).takes_payload
    assert Hints(lambda *rest: None).takes_payload
    assert Hints(print).takes_payload
    assert Hints(type("Untold", (), {"__call__": print, "__signature__": "no"})()).takes_payload


def test_a_default_is_seen() -> None:
    assert Hints(lambda data=5: data).payload_default == 5
    assert Hints(lambda data: data).payload_default is NOTHING


def test_json_that_is_not_quite_json_is_read() -> None:
    assert read_plain(b'[NaN, -Infinity, "NaN"]') == [None, None, "NaN"]
    with pytest.raises(ValueError, match=r"malformed|truncated|invalid"):
        read_plain(b"{")


def test_the_path_of_a_pydantic_complaint() -> None:
    class Model(pydantic.BaseModel):
        rows: list[dict[str, int]]

    with pytest.raises(pydantic.ValidationError) as caught:
        Model.model_validate({"rows": [{"a": 1}, {"b": "x"}]})
    assert pydantic_problem(caught.value).endswith("- at `$.rows[1].b`")


def test_a_hint_that_says_nothing_reads_plain_json() -> None:
    assert reader(Any) is read_plain
    assert reader(NOTHING) is read_plain
