"""JSON Schemas as strangers write them, and functions that have them: made by chance, the same for the same seed."""

from random import Random
from typing import Any

NAMES = (
    "id", "name", "kind", "first-name", "class", "None", "list", "int", "str", "Any", "msgspec", "self", "__init__", "_id", "",
    "1st", "größe", "ﬁ", "a b", "a_b", "$ref", "@type", "constructor", "payload", "timeout_ms", "Literal", "iii", "🙂", "'", '"', "\\",
    "*/", '"""', "\n", "\u2028", "prototype", "async", "User", "Dict", "bool", "\x00", "\u202e", "#{}", "${x}", "`",
)  # fmt: skip
TEXTS = (*NAMES, "a\nb", 'ends with "', "ends with \\", '""" import os', "*/ import", "\\u0041", "x" * 300)
SCALARS: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2**70, 1.5, -0.0, 1e300, "a", "b", "'", '"', "\\", "\n", "*/", '"""',
)  # fmt: skip
PLAIN = ("string", "integer", "number", "boolean", "null")


class Schemas:
    """Of one seed."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def rows(self) -> list[dict[str, Any]]:
        """Functions, as discovery lists them."""
        return [
            {
                "function_id": f"{self._of(NAMES)}::{self._of(NAMES)}",
                "description": self._of((*TEXTS, None)),
                "request_format": self.root(),
                "response_format": self.root(),
            }
            for _ in range(self._random.randint(1, 4))
        ]

    def root(self) -> Any:
        names = [self._of(NAMES) for _ in range(3)]
        schema = self.schema(4, names)
        if isinstance(schema, dict) and self._random.random() < 0.8:
            schema["$defs"] = {name: self.schema(3, names) for name in names}
            schema["definitions"] = {name: self.schema(2, names) for name in names}
        return schema

    def schema(self, depth: int, names: list[str]) -> Any:
        kinds = ["scalar", "scalar", "choice", "kinds", "nothing"]
        if depth:
            kinds += ["object"] * 4 + [
                "array",
                "tuple",
                "map",
                "union",
                "union",
                "all",
                "tagged",
                "reference",
                "reference",
            ]
        schema: Any = getattr(self, f"_{self._of(kinds)}")(depth - 1, names)
        if isinstance(schema, dict):
            for key, values in (
                ("title", TEXTS),
                ("description", TEXTS),
                ("default", (*SCALARS, [], {})),
                ("nullable", (True, 1)),
            ):
                if self._random.random() < 0.2:
                    schema[key] = self._of(values)
        return schema

    def _of(self, values: Any) -> Any:
        return self._random.choice(values)

    def _nothing(self, depth: int, names: list[str]) -> Any:
        return self._of(
            (None, True, False, {}, "string", 5, [], {"type": 5}, {"type": "strange"}, {"enum": []}, {"anyOf": []})
        )

    def _scalar(self, depth: int, names: list[str]) -> Any:
        return {"type": self._of(PLAIN)}

    def _kinds(self, depth: int, names: list[str]) -> Any:
        return {"type": [self._of((*PLAIN, "object", "array")) for _ in range(self._random.randint(0, 3))]}

    def _choice(self, depth: int, names: list[str]) -> Any:
        if self._random.random() < 0.5:
            return {"const": self._of((*SCALARS, [1], {}))}
        return {"enum": [self._of(SCALARS) for _ in range(self._random.randint(1, 4))]}

    def _object(self, depth: int, names: list[str]) -> Any:
        keys = [self._of(NAMES) for _ in range(self._random.randint(0, 4))]
        return {
            "type": "object",
            "properties": {key: self.schema(depth, names) for key in keys},
            "required": self._of((keys, keys[:1], None, [])),
        }

    def _tagged(self, depth: int, names: list[str]) -> Any:
        tag = self._of(NAMES)
        shapes = [self._object(depth, names) for _ in range(self._random.randint(2, 3))]
        for index, shape in enumerate(shapes):
            shape["properties"][tag] = {"const": self._of((str(index), index))}
        found: dict[str, Any] = {self._of(("oneOf", "anyOf")): shapes}
        if self._random.random() < 0.5:
            found["discriminator"] = {"propertyName": self._of((tag, "other"))}
        return found

    def _array(self, depth: int, names: list[str]) -> Any:
        return {"type": "array", "items": self.schema(depth, names)}

    def _tuple(self, depth: int, names: list[str]) -> Any:
        items = [self.schema(depth, names) for _ in range(self._random.randint(0, 3))]
        return {"type": "array", "prefixItems": items, "items": self._of((False, True, self.schema(depth, names)))}

    def _map(self, depth: int, names: list[str]) -> Any:
        return {"type": "object", "additionalProperties": self.schema(depth, names)}

    def _union(self, depth: int, names: list[str]) -> Any:
        return {self._of(("anyOf", "oneOf")): [self.schema(depth, names) for _ in range(self._random.randint(1, 4))]}

    def _all(self, depth: int, names: list[str]) -> Any:
        return {"allOf": [self.schema(depth, names) for _ in range(self._random.randint(1, 3))]}

    def _reference(self, depth: int, names: list[str]) -> Any:
        where = self._of(("#/$defs/", "#/$defs/", "#/definitions/", "#/properties/", "https://example.com/"))
        return {
            "$ref": self._of((f"{where}{self._of(names)}", f"{where}{self._of(names)}", "#", "#/", "#/$defs/missing/0"))
        }
