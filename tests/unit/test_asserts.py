"""A check that fails must fail its test: what the product calls is guarded by it, and a failed `assert` there is only logged."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

Function = ast.FunctionDef | ast.AsyncFunctionDef

# Calls that run a function, or hand it to whoever does, and raise on what it raises
RAISE_ON = {"to_thread", "submit", "run_in_executor", "loads", "wait", "partial", "parametrize"}


def checks(function: ast.AST) -> Iterator[ast.stmt | ast.expr]:
    """Asserts of its own body and failures raised there; `assert x is not None` is for the type checker."""
    for each in _own(function):
        match each:
            case ast.Assert(test=ast.Compare(ops=[ast.IsNot()], comparators=[ast.Constant(value=None)])):
                pass
            case ast.Assert():
                yield each
            case ast.Raise(exc=exc) if exc is not None and "AssertionError" in ast.unparse(exc):
                yield each
            case ast.Call() if ast.unparse(each.func) in ("pytest.fail", "pytest.raises"):
                yield each


def _own(function: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function without those of functions and classes inside."""
    for child in ast.iter_child_nodes(function):
        if not isinstance(child, Function | ast.Lambda | ast.ClassDef):
            yield child
            yield from _own(child)


class Callbacks:
    """The functions of a test file that are handed to somebody instead of being called by the tests."""

    def __init__(self, source: str) -> None:
        tree = ast.parse(source)
        self._tree = tree
        self._parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
        # What tests call directly: their own functions, and those of the other files of tests
        self._of_tests = {each.name for each in tree.body if isinstance(each, Function)} | {
            name.asname or name.name
            for each in tree.body
            if isinstance(each, ast.ImportFrom) and (each.module or "").startswith("tests.")
            for name in each.names
        }
        self._handed: set[ast.AST] = {
            each for each in ast.walk(tree) if isinstance(each, ast.Lambda) and not self._raises_on(each)
        }
        suspects = [each for each in ast.walk(tree) if isinstance(each, Function) and not _is_for_pytest(each)]
        while found := {each for each in suspects if each not in self._handed and self._is_handed(each)}:
            self._handed |= found
        self.functions = [each for each in suspects if each in self._handed]

    def _scopes(self, node: ast.AST) -> Iterator[ast.AST]:
        while (node := self._parents.get(node, self._tree)) is not self._tree:
            yield node
        yield self._tree

    def _is_handed(self, function: Function) -> bool:
        scope = next(each for each in self._scopes(function) if isinstance(each, Function | ast.ClassDef | ast.Module))
        if isinstance(scope, ast.ClassDef):  # one for a single test stands in for a class of ours
            return any(isinstance(each, Function) for each in self._scopes(scope))
        if isinstance(scope, Function) and function.decorator_list:
            return True
        return any(
            isinstance(name, ast.Name) and name.id == function.name and self._hands(name, function, scope)
            for name in ast.walk(scope)
        )

    def _hands(self, name: ast.Name, function: Function, scope: ast.AST) -> bool:
        """Whether this use of the function's name gives it away."""
        for each in self._scopes(name):
            if each is scope:
                break
            if each is function or (isinstance(each, Function) and function.name in _names(each)):
                return False
        user = self._parents[name]
        if isinstance(user, ast.Call) and user.func is name:
            return any(each in self._handed for each in self._scopes(name))
        return not isinstance(user, ast.Return | ast.Yield) and not self._raises_on(name)

    def _raises_on(self, argument: ast.AST) -> bool:
        """Whether it goes to a call that raises what it raises."""
        user = self._parents[argument]
        while isinstance(user, ast.keyword | ast.List | ast.Tuple):
            user = self._parents[user]
        match user:
            case ast.Call(func=ast.Attribute(attr=name)) | ast.Call(func=ast.Name(id="partial" as name)):
                return name in RAISE_ON
            case ast.Call(func=ast.Name(id=name)):
                return name in self._of_tests
        return False


def _names(function: Function) -> set[str]:
    """Parameters and variables."""
    parameters = {each.arg for each in ast.walk(function.args) if isinstance(each, ast.arg)}
    return parameters | {
        each.id for each in ast.walk(function) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)
    }


def _is_for_pytest(function: Function) -> bool:
    return function.name.startswith("test_") or any("fixture" in ast.unparse(each) for each in function.decorator_list)


def checks_of_callbacks(source: str) -> list[int]:
    """The lines of checks in functions that are handed to somebody instead of being called."""
    return sorted(check.lineno for each in Callbacks(source).functions for check in checks(each))


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("def test_it(worker):\n    def f(data):\n        assert data == 1\n    worker.register_function('f', f)", [3]),
        ("def test_it(worker):\n    @worker.function('f')\n    def f(data):\n        assert data == 1", [4]),
        ("def test_it(s):\n    def f(n):\n        assert n\n    s.do(lambda n: f(n))", [3]),
        ("def test_it(s):\n    def f(n):\n        with pytest.raises(ValueError):\n            n()\n    s.do(f)", [3]),
        (
            "def test_it(s):\n    class Link:\n        def send(self, n):\n            pytest.fail(n)\n    s.do(Link())",
            [4],
        ),
        ("def fails(n):\n    raise AssertionError\ndef test_it(s):\n    s.do(fails)", [2]),
        ("def test_it(s):\n    def f(n):\n        assert n is not None\n    s.do(f)", []),
        ("def test_it():\n    def f(n):\n        assert n\n    f(1)", []),
        ("async def test_it():\n    def f():\n        assert 1 + 1\n    await asyncio.to_thread(f)", []),
        ("from tests.waiting import until\ndef test_it():\n    def f():\n        assert 1 + 1\n    until(f)", []),
    ],
)
def test_checks_of_callbacks_are_found(source: str, lines: list[int]) -> None:
    assert checks_of_callbacks(source) == lines


def test_no_check_is_made_where_its_failure_would_only_be_logged() -> None:
    files = sorted((ROOT / "tests").rglob("*.py"))
    found = [f"{file.relative_to(ROOT)}:{line}" for file in files for line in checks_of_callbacks(file.read_text())]
    assert not found, "record what was heard, and assert it in the test: " + ", ".join(found)
