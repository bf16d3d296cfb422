"""What tools such as FastAPI, Sphinx and beartype do: they read the hints of public names in the running program."""

import inspect
import subprocess
import sys
import typing
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import iii
import iii.testing
from iii.sdk import hints


def hinted(package: Any) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Its classes and functions, and the methods and properties of these, inherited ones too."""
    for name in package.__all__:
        found = getattr(package, name)
        if not inspect.isclass(found):
            if inspect.isfunction(found):
                yield name, found
            continue
        yield name, found
        for member in dir(found):
            held = inspect.getattr_static(found, member)
            held = held.fget if isinstance(held, property) else getattr(held, "__func__", held)
            if inspect.isfunction(held) and held.__module__.startswith("iii."):
                yield f"{name}.{member}", held


def public(package: Any) -> dict[str, Callable[..., Any]]:
    return {
        name: found
        for name, found in hinted(package)
        if not (last := name.rpartition(".")[2]).startswith("_") or last == "__init__"
    }


def fault_of(found: Callable[..., Any]) -> str | None:
    try:
        typing.get_type_hints(found)
    except Exception as error:
        return repr(error)
    return None


@pytest.mark.parametrize(("package", "least"), [(iii, 300), (iii.testing, 50)])
def test_11_check_1_the_hints_of_public_names_can_be_read(package: Any, least: int) -> None:
    names = public(package)
    assert {name: fault for name, found in names.items() if (fault := fault_of(found)) is not None} == {}
    assert len(names) >= least  # it finds them


def test_11_check_1_hints_are_the_types_that_users_import() -> None:
    assert typing.get_type_hints(iii.App.__init__)["options"] == iii.InitOptions | None
    assert typing.get_type_hints(iii.Worker.list_workers)["return"] == list[iii.WorkerInfo]
    assert typing.get_type_hints(iii.Worker.start)["return"].__origin__ is iii.Call
    with pytest.raises(AttributeError, match="no attribute 'Missing'"):
        hints.Missing  # type: ignore[attr-defined]  # noqa: B018


def test_11_check_1_they_can_be_read_before_anything_else_was_used() -> None:
    program = "import typing, iii; print(typing.get_type_hints(iii.App.options.fget))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "{'return': <class 'iii.sdk.options.InitOptions'>}\n"
