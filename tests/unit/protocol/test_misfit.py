"""The words of msgspec, as this version of it has them."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import pytest
from msgspec import Meta, Struct

from iii.protocol.misfit import Misfit, misfit


class Inner(Struct):
    name: str
    size: Annotated[int, Meta(ge=1)] = 1


class Outer(Struct):
    inner: Inner
    many: list[Inner] = []
    by_name: dict[str, Inner | None] = {}


def of(value: Any) -> Misfit:
    with pytest.raises(msgspec.ValidationError) as refused:
        msgspec.convert(value, Outer)
    return misfit(refused.value)


def test_a_missing_field() -> None:
    assert of({}) == Misfit("Object missing required field `inner`", "", False, missing="inner")
    assert of({"inner": {"name": "x"}, "many": [{}]})[1:4] == (".many[0]", False, "name")


def test_a_wrong_type() -> None:
    assert of({"inner": {"name": 1}}) == Misfit(
        "Expected `str`, got `int`", ".inner.name", False, expected=("str",), got="int"
    )
    assert of({"inner": {"name": "x"}, "by_name": {"a": 1}})[1:] == (
        ".by_name[...]", False, None, ("object",), "", "int",
    )  # fmt: skip
    assert of(1)[1:] == ("", False, None, ("object",), "", "int")


def test_a_bound() -> None:
    assert of({"inner": {"name": "x", "size": 0}})[1:] == (".inner.size", False, None, ("int",), " >= 1", None)


def test_a_key() -> None:
    assert of({"inner": {"name": "x"}, "by_name": {1: None}})[1:3] == (".by_name", True)


def test_another_error_has_its_text() -> None:
    assert misfit(ValueError("no such thing")) == Misfit("no such thing", "", False)
