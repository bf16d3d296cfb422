"""JSON Schema of a handler's payload and result, from its type hints (08 §9.6)."""

from collections.abc import Sequence
from typing import Any

import msgspec

from iii.sdk.annotations import NOTHING, is_pydantic_model, is_readable

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_REFERENCE = "#/$defs/{name}"

Schema = dict[str, Any]


def schema(hint: Any) -> Schema | None:
    """The schema of a type, with all definitions under the root's `$defs`; None if the hint says nothing about JSON."""
    (root,), definitions = components([hint])
    root = _inlined(root, definitions)
    if not root:
        return None
    if definitions:
        root["$defs"] = definitions
    root["$schema"] = DIALECT
    return root


def components(hints: Sequence[Any]) -> tuple[list[Schema], Schema]:
    """The schemas of several types and the definitions that they share; one that says nothing about JSON is ``{}``."""
    definitions: Schema = {}

    def of_pydantic(model: Any) -> Schema:
        described: Schema = model.model_json_schema(ref_template="#/$defs/{model}")
        definitions.update(described.pop("$defs", {}))
        return described

    plain = [hint for hint in hints if _says_something(hint) and not is_pydantic_model(hint)]
    found, shared = msgspec.json.schema_components(plain, schema_hook=of_pydantic, ref_template=_REFERENCE)
    roots = iter(found)
    schemas = [
        {} if not _says_something(hint) else of_pydantic(hint) if is_pydantic_model(hint) else next(roots)
        for hint in hints
    ]
    definitions.update(shared)
    return [_simplified(each) for each in schemas], {
        name: _simplified(definitions[name]) for name in sorted(definitions)
    }


def _says_something(hint: Any) -> bool:
    return hint is not NOTHING and hint is not Any and is_readable(hint)


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
