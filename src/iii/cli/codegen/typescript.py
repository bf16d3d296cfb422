"""Writes a client in TypeScript: an interface for each object, and a method of one class for each function."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from iii.cli.codegen.names import camel_name, free_name
from iii.cli.codegen.shapes import (
    ANYTHING,
    Alias,
    Anything,
    Choice,
    Declaration,
    Declared,
    FunctionShape,
    ListOf,
    MapOf,
    OneOf,
    Plain,
    Shape,
    TupleOf,
)

OWN_NAMES = frozenset({"Array", "Caller", "Client", "Promise", "Record"})
_PLAIN = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}
_CALLER = """\
/** What `Client` needs of a worker: its method `trigger`. */
export interface Caller {
  trigger(request: {
    function_id: string;
    payload: unknown;
    namespace?: string;
    timeoutMs?: number;
  }): Promise<unknown>;
}
"""
_CLIENT = """\
/** Calls these functions through a worker. Results are what their functions promise; nothing checks them. */
export class Client {
  constructor(private readonly worker: Caller, private readonly namespace: string = {namespace}) {}
"""
_CALL = """
  private call(functionId: string, payload: unknown, timeoutMs?: number): Promise<unknown> {
    const request = { function_id: functionId, payload, namespace: this.namespace };
    return this.worker.trigger(timeoutMs === undefined ? request : { ...request, timeoutMs });
  }
}
"""


def typescript_module(
    head: str, namespace: str, functions: Sequence[FunctionShape], declarations: dict[str, Declaration]
) -> str:
    """The text of the module. `head` says what it is."""
    written = [_declaration(each, declarations) for each in declarations.values()]
    methods = "".join(_methods(functions))
    client = _CLIENT.replace("{namespace}", json.dumps(namespace)) + methods + _CALL
    return "\n".join([_comment(head, ""), *written, _CALLER, client])


def _declaration(declaration: Declaration, declarations: dict[str, Declaration]) -> str:
    text = _comment(declaration.description, "")
    if isinstance(declaration, Alias):
        shape = ANYTHING if _is_itself(declaration, declarations) else declaration.shape
        return f"{text}export type {declaration.name} = {_type(shape)};\n"
    text += f"export interface {declaration.name} {{\n"
    for member in declaration.members:
        text += _comment(member.description, "  ")
        text += f"  {json.dumps(member.name)}{'' if member.required else '?'}: {_type(member.shape)};\n"
    return f"{text}}}\n"


def _is_itself(alias: Alias, declarations: dict[str, Declaration]) -> bool:
    """Whether it stands for itself, with neither an object nor an array between."""
    seen: set[str] = set()
    rest: list[Shape] = [alias.shape]
    while rest:
        shape = rest.pop()
        if isinstance(shape, OneOf):
            rest += shape.shapes
        elif isinstance(shape, Declared) and isinstance(other := declarations[shape.name], Alias):
            if other.name == alias.name:
                return True
            if other.name not in seen:
                seen.add(other.name)
                rest.append(other.shape)
    return False


def _type(shape: Shape) -> str:
    match shape:
        case Anything():
            return "unknown"
        case Plain(kind):
            return _PLAIN[kind]
        case Choice(values):
            return " | ".join(map(json.dumps, values))
        case ListOf(item):
            return f"Array<{_type(item)}>"
        case TupleOf(items):
            return f"[{', '.join(map(_type, items))}]"
        case MapOf(value):
            return f"{{ [key: string]: {_type(value)} }}"
        case Declared(name):
            return name
        case OneOf(shapes):
            return " | ".join(map(_type, shapes))


def _methods(functions: Sequence[FunctionShape]) -> Iterator[str]:
    taken = {"call", "constructor", "namespace", "then", "worker"}  # an object with `then` is a promise
    for function in functions:
        name = free_name(camel_name(function.function_id), taken)
        taken.add(name)
        result = "void" if function.result == Plain("null") else _type(function.result)
        optional = "?" if function.payload in (ANYTHING, Plain("null")) else ""
        function_id = json.dumps(function.function_id)
        yield (
            f"\n{_comment(function.description, '  ')}"
            f"  async {name}(payload{optional}: {_type(function.payload)}, timeoutMs?: number): Promise<{result}> {{\n"
            f"    return (await this.call({function_id}, payload, timeoutMs)) as {result};\n"
            "  }\n"
        )


def _comment(text: str, indent: str) -> str:
    escaped = text.replace("*/", "*\\/")
    return f"{indent}/** {escaped} */\n" if text else ""
