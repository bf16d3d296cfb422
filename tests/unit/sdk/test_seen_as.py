"""Python's own errors name public classes (`seen_as`)."""

import inspect

import pytest

import iii
from iii.testing import TestEngine


@pytest.mark.parametrize("seen", [iii.Worker, TestEngine])
def test_no_method_has_the_name_of_a_part_of_its_class(seen: type) -> None:
    methods = {name: each for name, each in inspect.getmembers(seen, inspect.isfunction) if not name.startswith("__")}
    assert methods
    assert {each.__qualname__ for each in methods.values()} == {f"{seen.__name__}.{name}" for name in methods}


def test_an_app_is_named_for_what_it_adds_and_else_as_the_worker_that_it_is() -> None:
    methods = {name: each for name, each in inspect.getmembers(iii.App, inspect.isfunction) if name[0] != "_"}
    assert {each.__qualname__.partition(".")[0] for each in methods.values()} == {"App", "Worker"}
