"""What `iii codegen` writes, from schemas as strangers register them (12 §2)."""

import json
import random
import re
import subprocess
import sys
import types
import typing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from iii.cli.codegen import schemas
from iii.cli.codegen.command import generated
from iii.sdk.result_type import result_type
from tests.random_schemas import Schemas

HEAD = "Made by a test."


def python(*rows: dict[str, Any]) -> str:
    return generated("python", HEAD, "default", rows)


def row(function_id: str = "f", description: str | None = None, takes: Any = None, gives: Any = None) -> dict[str, Any]:
    return {
        "function_id": function_id, "description": description, "request_format": takes, "response_format": gives,
    }  # fmt: skip


def declared(schema: Any, language: str = "typescript") -> str:
    """The declarations that a result of this schema needs, and its type."""
    text = generated(language, HEAD, "default", [row(gives=schema)])
    if language == "python":
        types = text.partition("import iii\n")[2].removeprefix("import msgspec\n").partition("class Client")[0].strip()
        result = re.search(r"\) -> (.*):\n", text.partition("class Client")[2].partition("def f(")[2])
        assert result is not None
        return f"{types}\n-> {result[1]}".strip()
    types = text.partition("*/\n")[2].partition("/** What `Client` needs")[0].strip()
    result = re.search(r"Promise<(.*)> {", text.partition("export class")[2])
    assert result is not None
    return f"{types}\n-> {result[1]}".strip()


@contextmanager
def imported(text: str) -> Iterator[types.ModuleType]:
    """The module that a text is."""
    module = types.ModuleType("made_by_codegen")
    sys.modules[module.__name__] = module
    try:
        exec(compile(text, "made_by_codegen.py", "exec"), vars(module))
        yield module
    finally:
        del sys.modules[module.__name__]


@pytest.mark.parametrize("seeds", [range(start, start + 50) for start in range(0, 600, 50)], ids=str)
def test_12_check_5_python_of_any_schemas_compiles_and_reads(seeds: range) -> None:
    for seed in seeds:
        text = python(*Schemas(seed).rows())
        with imported(text) as module:
            for each in vars(module).values():
                if isinstance(each, type) and issubclass(each, msgspec.Struct):
                    msgspec.json.Decoder(each)
            for name, method in vars(module.Client).items():
                if not name.startswith("_"):
                    hints = typing.get_type_hints(method, vars(module))
                    result_type(hints["payload"])
                    result_type(hints["return"])


def test_12_check_3_the_order_of_functions_changes_nothing() -> None:
    for seed in range(50):
        rows = {each["function_id"]: each for each in Schemas(seed).rows()}.values()
        for language in ("python", "typescript"):
            shuffled = random.Random(seed).sample(list(rows), len(rows))
            assert generated(language, HEAD, "n", shuffled) == generated(language, HEAD, "n", list(rows))


USER = {"type": "object", "title": "User", "properties": {"id": {"type": "integer"}}, "required": ["id"]}
REF = {"$ref": "#/$defs/User"}


@pytest.mark.parametrize(
    ("schema", "typescript", "python"),
    [
        (USER, 'export interface User {\n  "id": number;\n}\n-> User', "class User(msgspec.Struct, kw_only=True):\n    id: int\n-> User"),
        ({"type": "array", "items": {"type": "string"}}, "-> Array<string>", "-> list[str]"),
        ({"type": "object"}, "-> { [key: string]: unknown }", "-> dict[str, Any]"),
        ({"type": "object", "additionalProperties": {"type": "number"}}, "-> { [key: string]: number }", "-> dict[str, float]"),
        (
            {"prefixItems": [{"type": "string"}, {"type": "integer"}], "items": False},
            "-> [string, number]", "-> tuple[str, int]",
        ),
        (
            {"prefixItems": [{"type": "string"}], "items": {"type": "integer"}},
            "-> Array<string | number>", "-> list[str | int]",
        ),
        (
            {"enum": ["a", 1, None]},
            'export type FResult = null | "a" | 1;\n-> FResult', 'FResult: TypeAlias = Literal["a", 1] | None\n-> FResult',
        ),
        ({"const": True}, "export type FResult = true;\n-> FResult", "FResult: TypeAlias = bool\n-> FResult"),
        ({"type": "array", "items": {"type": ["string", "null"]}}, "-> Array<string | null>", "-> list[str | None]"),
        ({"type": "null"}, "-> void", "-> None"),
        (None, "-> unknown", "-> Any"),
        ({"$ref": "https://example.com/schema.json"}, "-> unknown", "-> Any"),
        (
            {"type": "array", "items": {"anyOf": [{"items": REF}, {"items": {"type": "string"}}]}, "$defs": {"User": USER}},
            'export interface User {\n  "id": number;\n}\n-> Array<Array<User> | Array<string>>',
            "class User(msgspec.Struct, kw_only=True):\n    id: int\n-> list[list[User | str]]",
        ),
        (
            {"allOf": [REF, {"properties": {"name": {"type": "string", "default": "x"}}}], "title": "Named", "$defs": {"User": USER}},
            'export interface Named {\n  "id": number;\n  "name"?: string;\n}\n-> Named',
            'class Named(msgspec.Struct, kw_only=True):\n    id: int\n    name: str = "x"\n-> Named',
        ),
    ],
)  # fmt: skip
def test_12_s2_schemas_as_types(schema: Any, typescript: str, python: str) -> None:
    assert declared(schema) == typescript
    assert declared(schema, "python") == python


def test_12_s2_members_that_are_not_required() -> None:
    schema = {
        "title": "T",
        "properties": {
            "a": {"type": "string"}, "b": {"type": "string", "default": "x"}, "c": {"type": "string", "default": 5},
            "d": {"type": ["string", "null"], "default": None}, "e": {"type": "array", "default": []},
            "f": {"type": "object", "default": {}}, "g-h": {"type": "boolean", "default": True, "description": "Of\ng."},
            "kind": {"const": "t"}, "list": {"type": "array", "items": REF}, "User": REF, "id": {},
        },
        "required": ["id"], "$defs": {"User": USER},
    }  # fmt: skip
    assert (
        declared(schema, "python").partition("class User")[0].strip()
        == """\
class T(msgspec.Struct, kw_only=True):
    a: str | msgspec.UnsetType = msgspec.UNSET
    b: str = "x"
    c: str | msgspec.UnsetType = msgspec.UNSET
    d: str | None = None
    e: list[Any] = msgspec.field(default_factory=list)
    f: dict[str, Any] = msgspec.field(default_factory=dict)
    # Of g.
    g_h: bool = msgspec.field(default=True, name="g-h")
    kind: Literal["t"] = "t"
    list_: list[User] | msgspec.UnsetType = msgspec.field(default=msgspec.UNSET, name="list")
    User_: User | msgspec.UnsetType = msgspec.field(default=msgspec.UNSET, name="User")
    id: Any"""
    )


def test_12_s2_unions_of_objects() -> None:
    cat, dog = ({"properties": {"kind": {"const": kind}, kind: {"type": "string"}}} for kind in ("cat", "dog"))
    told_apart = declared({"anyOf": [cat, dog]}, "python")
    assert 'class FResult(msgspec.Struct, kw_only=True, tag_field="kind", tag="cat"):' in told_apart
    assert 'class FResult2(msgspec.Struct, kw_only=True, tag_field="kind", tag="dog"):' in told_apart
    card, cash = (
        {"title": kind, "properties": {kind: {"type": "string"}}, "required": [kind]} for kind in ("Card", "Cash")
    )
    together = declared({"oneOf": [card, cash, {"type": "null"}]}, "python")
    assert together.endswith("FResult: TypeAlias = CardOrCash | None\n-> FResult")
    assert "One of Card, Cash." in together
    with_map = declared({"oneOf": [card, {"type": "object"}]}, "python")
    assert with_map.endswith("FResult: TypeAlias = dict[str, Any]\n-> FResult")


def test_12_s2_equal_schemas_are_one_declaration_and_others_get_a_number() -> None:
    other = {**USER, "properties": {"id": {"type": "string"}}}
    text = python(
        row("a", gives=USER),
        row("b", gives={"type": "array", "items": REF, "$defs": {"User": USER, "More": other}}),
        row("c", gives=other),
    )
    assert re.findall("^class (.*)\\(msg", text, re.MULTILINE) == ["User", "User2"]
    assert "def b(self, payload: Any = None, *, timeout_ms: int | None = None) -> list[User]:" in text


def test_12_s2_a_declaration_may_contain_itself() -> None:
    tree = {"title": "Tree", "properties": {"children": {"type": "array", "items": {"$ref": "#/$defs/Tree"}}}}
    text = python(row(gives={"$ref": "#/$defs/Tree", "$defs": {"Tree": tree}}))
    with imported(text) as module:
        found = msgspec.json.decode(b'{"children":[{"children":[{}]}]}', type=module.Tree)
        assert found.children[0].children[0].children is msgspec.UNSET
    value = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"$ref": "#/$defs/Value"}}]}
    schema = {"$ref": "#/$defs/Value", "$defs": {"Value": value}}
    assert declared(schema) == "export type Value = string | Array<Value>;\n-> Value"
    assert "Value: TypeAlias = list[Any] | str" in python(row(gives=schema))
    circle = {"$ref": "#/$defs/A", "$defs": {"A": {"anyOf": [{"$ref": "#/$defs/A"}, {"type": "null"}]}}}
    assert "export type A = unknown;" in generated("typescript", HEAD, "n", [row(gives=circle)])


def doubled(levels: int, level: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
    """A small schema in which each level names the next one twice."""
    defs: dict[str, Any] = {f"A{index}": level({"$ref": f"#/$defs/A{index + 1}"}) for index in range(levels)}
    return {"$ref": "#/$defs/A0", "$defs": defs | {f"A{levels}": {"properties": {"x": {"type": "string"}}}}}


@pytest.mark.parametrize("language", ["python", "typescript"])
@pytest.mark.parametrize(
    "level",
    [
        lambda ref: {"allOf": [ref, ref]},
        lambda ref: {"type": "array", "prefixItems": [ref, ref], "items": False},
        lambda ref: {"anyOf": [{"type": "array", "items": ref}, {"type": "object", "additionalProperties": ref}]},
        lambda ref: {"anyOf": [{"type": "array", "items": ref}, {"anyOf": [ref, {"type": "null"}]}]},
    ],
    ids=["allOf", "tuple", "list or dict", "nested unions"],
)
def test_12_s2_a_schema_that_doubles_with_each_level_is_written_in_little_time(
    level: Callable[[dict[str, Any]], dict[str, Any]], language: str
) -> None:
    text = generated(language, HEAD, "default", [row(gives=doubled(40, level))])
    assert len(text) < 2_000_000
    if language == "python":
        with imported(text):
            pass


def test_12_s2_each_of_many_definitions_is_looked_at_a_few_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many others lead to it."""
    looked_at = list[object]()

    def dumps(schema: object, **options: Any) -> str:
        looked_at.append(schema)
        return json.dumps(schema, **options)

    monkeypatch.setattr(schemas, "json", SimpleNamespace(dumps=dumps))
    defs = {
        f"D{index}": {"properties": {f"p{other}": {"$ref": f"#/$defs/D{(index + other) % 100}"} for other in range(10)}}
        for index in range(100)
    }
    text = generated("python", HEAD, "default", [row(gives={"$ref": "#/$defs/D0", "$defs": defs})])
    assert len(re.findall("^class D", text, re.MULTILINE)) > 50
    assert len(looked_at) < 3 * 100


def test_12_s2_definitions_that_differ_where_they_lead_are_two() -> None:
    def leading_to(kind: str, levels: int) -> dict[str, Any]:
        defs = {f"L{level}": {"properties": {"next": {"$ref": f"#/$defs/L{level + 1}"}}} for level in range(levels)}
        return {"$ref": "#/$defs/L0", "$defs": defs | {f"L{levels}": {"properties": {"end": {"type": kind}}}}}

    same, other = leading_to("string", 20), leading_to("integer", 20)
    text = python(row("a", gives=same), row("b", gives=dict(same)), row("c", gives=other))
    assert re.findall("^class (L0.*)\\(msg", text, re.MULTILINE) == ["L0", "L0_2"]


def test_12_s2_a_pointer_with_an_index_of_thousands_of_digits_names_nothing() -> None:
    assert declared({"$ref": "#/anyOf/" + "9" * 5000, "anyOf": [{"type": "string"}]}) == "-> unknown"


def test_12_s2_a_client_in_typescript_is_no_promise() -> None:
    text = generated("typescript", HEAD, "default", [row("then")])
    assert "async then(" not in text
    assert 'this.call("then", payload' in text


def test_12_s2_names_of_methods() -> None:
    ids = ["orders::create", "orders_create", "orders::create_async", "getById", "class", "", "7", "::", "a::b-c"]
    text = python(*(row(each) for each in ids))
    methods = re.findall(r"^    (?:async )?def (\w+)\(self, payload", text, re.MULTILINE)
    assert len(methods) == len(set(methods)) == 2 * len(ids)
    assert {"orders_create", "orders_create2", "get_by_id", "class_", "_7", "a_b_c"} <= set(methods)
    compile(text, "made", "exec")
    text = generated("typescript", HEAD, "n", [row(each) for each in [*ids, "constructor", "call"]])
    methods = re.findall(r"^  async (\w+)\(payload", text, re.MULTILINE)
    assert len(methods) == len(set(methods)) == len(ids) + 2
    assert {"ordersCreate", "getById", "aBC", "constructor2", "call2"} <= set(methods)


@pytest.mark.parametrize(
    "rows",
    [
        [row()],
        [row(gives={"enum": ["a", "b"]}, description="Literal, TypeAlias, msgspec")],
        [row(gives={"type": "object", "properties": {"a": {"type": "integer"}}, "title": "A", "required": ["a"]})],
        [row(gives={"$ref": "#/$defs/T", "$defs": {"T": {"type": "array", "items": {"type": "string"}}}})],
        *(Schemas(seed).rows() for seed in range(5)),
    ],
    ids=str,
)
def test_12_s2_a_linter_of_python_finds_nothing(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    """In a project of a user, where `iii` is a library."""
    command = [
        sys.executable,
        "-m",
        "ruff",
        "check",
        "--isolated",
        "--select",
        "F,I",
        "--output-format",
        "concise",
        "-",
    ]
    done = subprocess.run(command, input=python(*rows), capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "All checks passed!\n")
