"""Writes a client in Python: a `msgspec.Struct` for each object, and two methods of one class for each function."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from msgspec import UNSET

from iii.cli.codegen.names import free_name, member_name, snake_name
from iii.cli.codegen.python_types import OWN_NAMES, PythonTypes, literal
from iii.cli.codegen.shapes import ANYTHING, Choice, Declaration, FunctionShape, ObjectMember, ObjectType, Plain

_CLIENT = '''\
class Client:
    """Calls these functions through a worker; each method has a form for event loops, `…_async`."""

    def __init__(self, worker: iii.Worker, namespace: str = {namespace}) -> None:
        self._worker = worker
        self._namespace = namespace
'''
_REQUEST = """
    def _request(self, function_id: str, payload: Any, timeout_ms: int | None) -> iii.TriggerRequest:
        return {
            "function_id": function_id,
            "payload": payload,
            "timeout_ms": timeout_ms,
            "namespace": self._namespace,
        }
"""


def python_module(
    head: str, namespace: str, functions: Sequence[FunctionShape], declarations: dict[str, Declaration]
) -> str:
    """The text of the module. `head` says what it is."""
    types = PythonTypes(functions, declarations)
    methods = list(_methods(functions, types))  # before the classes, as unions that they name may become some
    classes = list(_classes(types))
    aliases = [
        f"{_comment(each.description, '')}{each.name}: TypeAlias = {types.expanded(each)}\n" for each in types.aliases
    ]
    classes += _classes(types, len(classes))  # those that aliases alone need
    client = _CLIENT.replace("{namespace}", literal(namespace)) + "".join(methods) + _REQUEST
    parts = [*classes, *(["".join(aliases)] if aliases else []), client]
    module = "\n\n".join(parts)
    between = "\n\n" if module.startswith("class ") else "\n"
    return f"{_docstring(head, '')}{_imports(module)}{between}{module}"


def _imports(module: str) -> str:
    """Of each library what the module uses: a linter complains of the rest."""
    used = {node.id for node in ast.walk(ast.parse(module)) if isinstance(node, ast.Name)}
    typing = ", ".join(name for name in ("Any", "Literal", "TypeAlias") if name in used)
    structs = "import msgspec\n" if "msgspec" in used else ""
    return f"from __future__ import annotations\n\nfrom typing import {typing}\n\nimport iii\n{structs}"


def _classes(types: PythonTypes, after: int = 0) -> Iterator[str]:
    """All but the first; further ones may come while the members of these are written."""
    index = after
    while index < len(types.objects):
        yield _class(types.objects[index], types)
        index += 1


def _class(declaration: ObjectType, types: PythonTypes) -> str:
    tag = types.tags.get(declaration.name)
    tagged = f", tag_field={literal(tag[0])}, tag={literal(tag[1])}" if tag is not None else ""
    lines = [f"class {declaration.name}(msgspec.Struct, kw_only=True{tagged}):\n"]
    if declaration.description:
        lines.append(_docstring(declaration.description, "    "))
        lines.append("\n")
    reserved = {*OWN_NAMES, *types.names}  # they mean something in the annotations beside it
    taken = set(reserved)
    members = [each for each in declaration.members if tag is None or each.name != tag[0]]
    for member in members:
        name = free_name(_unlike(member_name(member.name), reserved), taken)
        taken.add(name)
        lines.append(_comment(member.description, "    ") + f"    {name}: {_member(member, name, types)}\n")
    if not members and not declaration.description:
        lines.append("    pass\n")
    return "".join(lines)


def _member(member: ObjectMember, name: str, types: PythonTypes) -> str:
    """The annotation and the default."""
    kind = types.annotation(member.shape)
    options = [] if name == member.name else [f"name={literal(member.name)}"]
    shape = member.shape
    if isinstance(shape, Choice) and len(shape.values) == 1 and isinstance(shape.values[0], str):
        default = literal(shape.values[0])  # it can be nothing else
    elif member.required:
        return f"{kind} = msgspec.field({options[0]})" if options else kind
    elif member.default == [] and kind.startswith("list["):
        return f"{kind} = msgspec.field({', '.join(['default_factory=list', *options])})"
    elif member.default == {} and kind.startswith("dict["):
        return f"{kind} = msgspec.field({', '.join(['default_factory=dict', *options])})"
    elif member.default is not UNSET and types.fits(member.default, shape):
        default = literal(member.default)
    else:
        kind, default = f"{kind} | msgspec.UnsetType", "msgspec.UNSET"
    return (
        f"{kind} = msgspec.field({', '.join([f'default={default}', *options])})" if options else f"{kind} = {default}"
    )


def _methods(functions: Sequence[FunctionShape], types: PythonTypes) -> Iterator[str]:
    reserved = {*OWN_NAMES, *types.names, "_worker", "_namespace", "_request"}
    taken = set(reserved)
    for function in functions:
        name = free_name(_unlike(snake_name(function.function_id), reserved), taken)
        while f"{name}_async" in taken:
            name = free_name(name, {*taken, name})
        taken |= {name, f"{name}_async"}
        yield _method(function, name, types, in_loop=False)
        yield _method(function, f"{name}_async", types, in_loop=True)


def _method(function: FunctionShape, name: str, types: PythonTypes, *, in_loop: bool) -> str:
    payload = f"payload: {types.annotation(function.payload)}"
    if function.payload == ANYTHING or types.fits(None, function.payload):
        payload += " = None"
    result = types.annotation(function.result)
    text = f"\n    {'async def' if in_loop else 'def'} {name}(self, {payload}, *, timeout_ms: int | None = None) -> {result}:\n"
    if function.description:
        text += _docstring(function.description, "        ")
    request = f"self._request({literal(function.function_id)}, payload, timeout_ms)"
    call = f"await self._worker.trigger_async({request}" if in_loop else f"self._worker.trigger({request}"
    if function.result == ANYTHING:
        return f"{text}        return {call})\n"
    if function.result == Plain("null"):
        return f"{text}        {call})\n"
    return f"{text}        result: {result} = {call}, returns={result})\n        return result\n"


def _unlike(name: str, reserved: set[str]) -> str:
    return f"{name}_" if name in reserved else name


def _docstring(text: str, indent: str) -> str:
    text = text.replace("\\", "\\\\")
    if '"""' in text or text.endswith('"'):
        text = text.replace('"', '\\"')
    return f'{indent}"""{text}"""\n'


def _comment(text: str, indent: str) -> str:
    return f"{indent}# {text}\n" if text else ""
