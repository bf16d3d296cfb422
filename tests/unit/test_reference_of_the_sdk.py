"""The generated page of the SDK leaves no parameter out (newcomer M4)."""

import ast

import pytest

from docs.generator.sdk_page import _signature


@pytest.mark.parametrize(
    "head",
    [
        "def f(a: int, /, b: str = 'x', *ops: Op, key: int, other: int = 1, **rest: object) -> None",
        "def f(a, b=1, /) -> None",
        "def f(a: int, *, b: str) -> None",
        "async def f(*ops: Op) -> Updated",
        "def f(**rest: int) -> None",
    ],
)
def test_every_kind_of_parameter_is_shown(head: str) -> None:
    node = ast.parse(f"{head}: ...").body[0]
    assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    shown = ast.parse(f"{_signature(node)}: ...").body[0]
    assert ast.dump(shown) == ast.dump(node)
