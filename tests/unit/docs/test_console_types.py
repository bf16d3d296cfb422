"""The types of the console's pages are those of the server's Structs (23 §5)."""

from typing import Annotated, Any, Literal

import pytest
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from docs.generator.console_types import types_of


class Inner(Struct, omit_defaults=True):
    """What is in it.

    More about it.
    """

    left_out: int = 0


class Outer(Struct, rename={"from_ms": "from"}):
    from_ms: int
    always: str = ""
    absent: bool | UnsetType = UNSET
    nullable: Annotated[float | None, Meta(description="A share.")] = None
    either: Literal["a", "b"] | None = None
    pairs: list[tuple[str, str]] = []
    inner: dict[str, list[Inner | None]] = {}
    text: Raw = Raw(b"null")
    anything: Any = None


def test_23_5_members_are_there_unless_the_struct_leaves_them_out() -> None:
    found = types_of(Outer)

    assert found.index("Inner") < found.index("Outer")
    assert "/** What is in it. */\nexport interface Inner {\n  left_out?: number;\n}\n" in found
    assert (
        "\nexport interface Outer {\n"
        "  from: number;\n"
        "  always: string;\n"
        "  absent?: boolean;\n"
        "  nullable: number | null;\n"
        '  either: "a" | "b" | null;\n'
        "  pairs: [string, string][];\n"
        "  inner: Record<string, (Inner | null)[]>;\n"
        "  text: Json;\n"
        "  anything: Json;\n"
        "}\n"
    ) in found


def test_23_5_two_structs_of_one_name_are_refused() -> None:
    other = type("Inner", (Struct,), {"__annotations__": {"other": int}})

    with pytest.raises(ValueError, match="Inner is the name of two Structs"):
        types_of(Inner, other)
