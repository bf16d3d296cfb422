"""The measures of the house (CONTRIBUTING, "Layout"): small files, one direction, nothing behind a wall."""

from __future__ import annotations

import ast
import graphlib
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import iii

SOURCE = Path(iii.__file__).parent
TESTS = SOURCE.parents[1] / "tests"
FILE_LINES, CLASS_LINES, FUNCTION_LINES = 400, 250, 50
PICOWS = {"net/picows_side.py"}
SQLITE = ("storage/", "cli/store.py")
# of Python itself, which has no other door there
ALLOWED_PRIVATES = {
    "_asdict", "_asyncio_future_blocking", "_current_frames", "_exit", "_fields", "_getframe", "_make", "_register_atexit",
    "_replace", "_shutdown",
}  # fmt: skip

ONE_IDEA = {
    # at both ends of the wire
    "Announcement", "Channel", "Deadlines", "EnqueueResult", "Function", "Invocation", "JobStatus", "Observer", "Observers", "RegistrationRejected", "StateEvent",
    "StreamListGroupsInput", "StreamListInput", "StreamSetInput", "TriggerType", "Waiter", "WorkerInfo",
    # in each adapter
    "NamedQueues", "Topics",
}  # fmt: skip


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def sources(root: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(root.rglob("*.py")):
        yield str(path.relative_to(root)), path


def imported(path: Path) -> Iterator[str]:
    """Modules that a file imports, under TYPE_CHECKING and within functions too."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def too_long(found: dict[str, int], limit: int) -> dict[str, int]:
    return {name: size for name, size in found.items() if size > limit}


def test_no_file_is_long() -> None:
    lines = {name: len(path.read_text().splitlines()) for name, path in sources(SOURCE)}
    assert too_long(lines, FILE_LINES) == {}


@pytest.mark.parametrize(
    ("kind", "limit"),
    [((ast.ClassDef,), CLASS_LINES), ((ast.FunctionDef, ast.AsyncFunctionDef), FUNCTION_LINES)],
    ids=["class", "function"],
)
def test_no_class_and_no_function_is_long(kind: tuple[type[ast.stmt], ...], limit: int) -> None:
    found = {
        f"{name}:{node.lineno} {node.name}": (node.end_lineno or 0) - node.lineno + 1  # type: ignore[attr-defined]
        for name, path in sources(SOURCE)
        for node in ast.walk(tree(path))
        if isinstance(node, kind)
    }
    assert too_long(found, limit) == {}


def test_no_name_of_a_class_stands_for_two_ideas() -> None:
    """Those that a file has for itself may: nobody else meets them."""
    names = Counter(
        node.name for _, path in sources(SOURCE) for node in ast.walk(tree(path)) if isinstance(node, ast.ClassDef)
    )
    assert {name for name, count in names.items() if count > 1 and not name.startswith("_")} <= ONE_IDEA


def test_each_library_of_the_system_has_one_door() -> None:
    assert {name for name, path in sources(SOURCE) if "picows" in imported(path)} <= PICOWS
    assert [name for name, path in sources(SOURCE) if "sqlite3" in imported(path) and not name.startswith(SQLITE)] == []


def test_conftest_holds_fixtures_only() -> None:
    assert [
        name
        for name, path in sources(TESTS)
        if path.name != "conftest.py" and any(".conftest" in module for module in imported(path))
    ] == []  # one may take fixtures of another


@pytest.mark.parametrize("package", ["cli", "modules", "net", "protocol", "sdk", "server", "storage", "testing"])
def test_no_circle_of_imports(package: str) -> None:
    """Those that exist for annotations only are counted."""
    modules = {
        f"iii.{name.removesuffix('.py').replace('/', '.').removesuffix('.__init__')}": path
        for name, path in sources(SOURCE)
    }
    inside = {name: path for name, path in modules.items() if name.startswith(f"iii.{package}.")}
    graph = {
        name: {other for other in imported(path) if other in inside and other != name} for name, path in inside.items()
    }
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@pytest.mark.parametrize("root", [SOURCE, TESTS], ids=["src", "tests"])
def test_nobody_reaches_for_what_is_private(root: Path) -> None:
    """`x._y`, where x is neither `self` nor `cls`, and the class or module around it has no such member of its own."""
    found = []
    for name, path in sources(root):
        for node in ast.walk(tree(path)):
            if not isinstance(node, ast.Attribute) or not node.attr.startswith("_") or node.attr.startswith("__"):
                continue
            owner = ast.unparse(node.value)
            if node.attr in ALLOWED_PRIVATES or owner in ("self", "cls") or owner.startswith("super("):
                continue
            found.append(f"{name}:{node.lineno}: {ast.unparse(node)}")
    assert found == []
