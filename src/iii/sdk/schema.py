"""JSON Schemas of types, by the library that reads them (08 §9.6)."""

from collections.abc import Callable, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

if TYPE_CHECKING:
    from pydantic import TypeAdapter

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_REFERENCE = "#/$defs/{name}"
_MODEL_REFERENCE = "#/$defs/{model}"
_MODEL = "model:"  # before the name of a definition that is not msgspec's

Schema = dict[str, Any]
OWN_FORMATS = (
    "__iii_formats__"  # attribute of a handler that says what its hints do not: `request_format` and `response_format`
)


class Described(Protocol):
    """A type that has a schema."""

    def schemas(self) -> tuple[Schema, Schema]:
        """The schema of the type and the definitions that it refers to at `#/$defs/`; empty: it cannot be told."""


def schema(kind: Described | None) -> Schema | None:
    """The schema of a type, with all definitions under the root's `$defs`; None if there is nothing to say."""
    (root,), definitions = components([kind])
    root = _inlined(root, definitions)
    if not root:
        return None
    if definitions:
        root["$defs"] = definitions
    root["$schema"] = DIALECT
    return root


def components(kinds: Sequence[Described | None]) -> tuple[list[Schema], Schema]:
    """The schemas of several types and the definitions that they share; ``{}`` for one that says nothing."""
    shared: Schema = {}
    roots = [{} if kind is None else merged(kind.schemas(), shared) for kind in kinds]
    return [_simplified(each) for each in roots], {name: _simplified(shared[name]) for name in sorted(shared)}


def merged(found: tuple[Schema, Schema], shared: Schema) -> Schema:
    """Put definitions to others, and give back the root; if a name means something else there, all get a number."""
    root, definitions = found
    for number in count(1):
        names = {name: name if number == 1 else f"{name}_{number}" for name in definitions}
        moved = {names[name]: _renamed(each, names) for name, each in definitions.items()}
        if all(shared.get(name, each) == each for name, each in moved.items()):
            shared.update(moved)
            renamed: Schema = _renamed(root, names)
            return renamed
    raise AssertionError("a number is free")


def of_msgspec(hint: Any, inner: Callable[[Any], tuple[Schema, Schema] | None]) -> tuple[Schema, Schema]:
    """`inner` describes a class that msgspec does not know; None for one made of a scalar."""
    models: Schema = {}

    def described(cls: Any) -> Schema:
        found = inner(cls)
        if found is None:
            base = next(base for base in (str, int, float) if issubclass(cls, base))
            return {"type": {str: "string", int: "integer", float: "number"}[base]}
        root, definitions = found
        names = {name: _MODEL + name for name in definitions}  # apart from those of msgspec, which come later
        return merged(
            (_renamed(root, names), {names[name]: _renamed(definitions[name], names) for name in names}), models
        )

    (root,), own = msgspec.json.schema_components([hint], schema_hook=described, ref_template=_REFERENCE)
    names = {name: name.removeprefix(_MODEL) for name in models}
    for name, plain in names.items():
        if plain in own:
            names[name] = f"{plain}_model"
    definitions = {names.get(name, name): _renamed(each, names) for name, each in {**models, **own}.items()}
    return _renamed(root, names), definitions


def of_pydantic(adapter: "TypeAdapter[Any]") -> tuple[Schema, Schema]:
    """Empty if there is a type in it that JSON Schema has no words for."""
    from pydantic import TypeAdapter
    from pydantic.errors import PydanticUserError

    try:
        found, shared = TypeAdapter.json_schemas([("root", "validation", adapter)], ref_template=_MODEL_REFERENCE)
    except (PydanticUserError, ValueError):  # the latter for values without a form in JSON, as of an Enum
        return {}, {}
    return found["root", "validation"], shared.get("$defs", {})


def of_pydantic_1(pydantic: Any, hint: Any) -> tuple[Schema, Schema]:
    """Of version 1."""
    try:
        root: Schema = pydantic.schema_of(hint, title="", ref_template=_MODEL_REFERENCE)
    except Exception:  # it has no words for some types, and an exception of its own for each
        return {}, {}
    root.pop("title", None)
    return root, root.pop("definitions", {})


def _renamed(part: Any, names: dict[str, str]) -> Any:
    """With references to definitions by their new names, in `$ref` and in the mapping of a discriminator."""
    if isinstance(part, list):
        return [_renamed(each, names) for each in part]
    if isinstance(part, dict):
        return {key: _renamed(value, names) for key, value in part.items()}
    if isinstance(part, str) and part.startswith("#/$defs/"):
        name = part.removeprefix("#/$defs/")
        return f"#/$defs/{names.get(name, name)}"
    return part


def _inlined(root: Schema, definitions: Schema) -> Schema:
    """A root that only refers to a definition becomes that definition, unless others refer to it too."""
    name = str(root.get("$ref", "")).removeprefix("#/$defs/")
    if len(root) != 1 or name not in definitions:
        return root
    definition: Schema = definitions[name]
    if f'"{root["$ref"]}"' in msgspec.json.encode(definitions).decode():
        return root
    del definitions[name]
    return definition


def _simplified(described: Any) -> Any:
    """`anyOf` of one type and null as `"type": [t, "null"]`, as every published client words it."""
    if isinstance(described, list):
        return [_simplified(each) for each in described]
    if not isinstance(described, dict):
        return described
    plain = {key: _simplified(value) for key, value in described.items()}
    choices = plain.get("anyOf")
    if isinstance(choices, list) and len(choices) == 2 and {"type": "null"} in choices:
        other = next((each for each in choices if each != {"type": "null"}), None)
        if (
            isinstance(other, dict)
            and isinstance(other.get("type"), str)
            and "enum" not in other
            and "const" not in other
        ):
            del plain["anyOf"]
            return {**plain, **other, "type": [other["type"], "null"]}
    return plain
