"""What a hint is made of (08 §9.6)."""

from types import SimpleNamespace
from typing import Annotated

import pydantic.v1 as pydantic_v1

from iii.sdk.annotations import unknown_name
from iii.sdk.hint_parts import Parts, model_version, parts_of


def test_an_alias_that_contains_itself_is_looked_into_once() -> None:
    """`type Tree = list[Tree]` of Python 3.12, by what such an alias has."""
    tree = SimpleNamespace()
    tree.__value__ = list[tree]  # type: ignore[valid-type]
    assert parts_of(tree) is Parts.NONE


def test_what_is_no_class_is_no_model() -> None:
    assert model_version("Model") == 0


def test_an_annotation_that_fails_in_its_own_way_says_how() -> None:
    assert unknown_name(ValueError("odd")) == "ValueError: odd"


def test_bounds_of_pydantics_first_version_are_known() -> None:
    assert parts_of(Annotated[int, pydantic_v1.Field(gt=0)]) is Parts.PYDANTIC_1
    assert parts_of(list[pydantic_v1.conint(gt=0)]) is Parts.PYDANTIC_1  # type: ignore[misc]
