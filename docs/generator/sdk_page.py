"""The public names of `iii`, read from their source: signatures, fields, docstrings."""

import ast
import inspect
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType

import iii
import iii.sdk.call_methods
import iii.sdk.declarations
import iii.sdk.event_declarations
import iii.sdk.leaving
import iii.sdk.observe_declarations
import iii.testing.life
import iii.testing.orders
from docs.generator.markdown import prose

# Methods below this comment of a class are for the SDK itself
_NOT_FOR_USERS = "# -- behind the doors"
_FOUND_LATE = "hints."  # before types that a program imports when it needs them
_MADE_BY_USERS = ("App", "InvocationError", "Logger", "TestEngine", "connect_worker")
_PARTS = {
    "CallMethods": iii.sdk.call_methods,
    "Declarations": iii.sdk.declarations,
    "EventDeclarations": iii.sdk.event_declarations,
    "Leaving": iii.sdk.leaving,
    "Life": iii.testing.life,
    "ObserveDeclarations": iii.sdk.observe_declarations,
    "Orders": iii.testing.orders,
}  # of a class whose methods are shown as its own
_FIRST = (
    "register_worker",
    "connect_worker",
    "App",
    "Worker",
    "InitOptions",
    "ReconnectionConfig",
    "OtelConfig",
    "TriggerRequest",
)


Definition = ast.FunctionDef | ast.AsyncFunctionDef


def sdk_page() -> str:
    """One section a name: how one starts first, the others by name."""
    names = [*_FIRST, *sorted(set(iii.__all__) - set(_FIRST))]
    text = "# Python SDK\n\nEverything that `import iii` offers. Nothing else is promised.\n"
    return text + "".join(f"\n## {name}\n\n{section_of(iii, name)}" for name in names)


def section_of(package: ModuleType, name: str) -> str:
    """What is to be said of one public name of a package."""
    module = import_module(getattr(getattr(package, name), "__module__", ""))
    if module.__name__ in ("builtins", "typing"):  # an alias has the module of what it stands for
        module = next(each for each in _modules() if name in vars(each))
    called = getattr(getattr(package, name), "__name__", name)
    source = inspect.getsource(module)
    for node in ast.parse(source).body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() if node.name == called:
                return f"```python\n{_signature(node)}\n```\n\n{prose(ast.get_docstring(node))}"
            case ast.ClassDef() if node.name == called:
                return _class(name, node, source.splitlines())
            case ast.AnnAssign(target=ast.Name(id=found), value=ast.expr() as value) if found == name:
                return f"```python\n{name} = {ast.unparse(value)}\n```\n"
    raise LookupError(f"{package.__name__}.{name} is not defined in {module.__name__}")


def _modules() -> Iterator[ModuleType]:
    for name in ("state", "requests", "refs", "options"):
        yield import_module(f"iii.sdk.{name}")


def _class(name: str, node: ast.ClassDef, lines: list[str]) -> str:
    bases = ", ".join(base for base in map(ast.unparse, node.bases) if base not in _PARTS)
    fields = [
        f"    {ast.unparse(statement)}"
        for statement in node.body
        if isinstance(statement, ast.AnnAssign) and not ast.unparse(statement.target).startswith("_")
    ]
    head = f"class {name}({bases})" if bases else f"class {name}"
    declaration = "\n".join([f"{head}:", *fields]) if fields else head
    text = f"```python\n{declaration}\n```\n\n{prose(ast.get_docstring(node))}"
    inherited = [method for base in map(ast.unparse, node.bases) if base in _PARTS for method in _of_part(base)]
    forms: list[str] = []
    for method in [*inherited, *_methods(node, lines)] if not fields else ():  # what has fields is data
        if any(ast.unparse(each) == "overload" for each in method.decorator_list):
            forms.append(_signature(method))
            continue
        heading = f"\n### {name}.{method.name}\n\n"
        signatures = "\n".join(forms or [_signature(method)])  # the forms of an overloaded one, whose docstring is here
        text += f"{heading}```python\n{signatures}\n```\n\n{prose(ast.get_docstring(method))}"
        forms.clear()
    return text


def _of_part(name: str) -> Iterator[Definition]:
    source = inspect.getsource(_PARTS[name])
    (node,) = (each for each in ast.parse(source).body if isinstance(each, ast.ClassDef) and each.name == name)
    for base in map(ast.unparse, node.bases):
        if base in _PARTS:
            yield from _of_part(base)
    for method in _methods(node, source.splitlines()):
        if not any(ast.unparse(each) == "abstractmethod" for each in method.decorator_list):
            yield method


def _methods(node: ast.ClassDef, lines: list[str]) -> Iterator[Definition]:
    for statement in node.body:
        if not isinstance(statement, Definition):
            continue
        if any(_NOT_FOR_USERS in line for line in lines[node.lineno : statement.lineno]):
            return
        if not statement.name.startswith("_") or (statement.name == "__init__" and node.name in _MADE_BY_USERS):
            yield statement


def _signature(node: Definition) -> str:
    written = [each for each in map(ast.unparse, node.decorator_list) if each != "overload"]
    decorators = "".join(f"@{each}\n" for each in written)
    start = f"{'async def' if isinstance(node, ast.AsyncFunctionDef) else 'def'} {node.name}("
    end = f") -> {ast.unparse(node.returns)}".replace(_FOUND_LATE, "") if node.returns else ")"
    parameters = [each.replace(_FOUND_LATE, "") for each in _parameters(node.args)]
    line = start + ", ".join(parameters) + end
    if len(line) > 100:
        line = start + "".join(f"\n    {each}," for each in parameters) + "\n" + end
    return decorators + line


def _parameters(arguments: ast.arguments) -> Iterator[str]:
    """All kinds of them, as they are written."""
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * (len(positional) - len(arguments.defaults)) + [*arguments.defaults]
    for index, (argument, default) in enumerate(zip(positional, defaults, strict=True)):
        if argument.arg not in ("self", "cls"):
            yield _parameter(argument, default)
        if index + 1 == len(arguments.posonlyargs):
            yield "/"
    if arguments.vararg is not None:
        yield f"*{ast.unparse(arguments.vararg)}"
    elif arguments.kwonlyargs:
        yield "*"
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        yield _parameter(argument, default)
    if arguments.kwarg is not None:
        yield f"**{ast.unparse(arguments.kwarg)}"


def _parameter(argument: ast.arg, default: ast.expr | None) -> str:
    return ast.unparse(argument) + (f" = {ast.unparse(default)}" if default is not None else "")
