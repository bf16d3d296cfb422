"""JSON Schemas of entries (18 §2.4)."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from iii.engine.json_schema import problems
from iii.modules.configuration.schema_check import SchemaChecks, check_packed

PORT = b'{"type":"object","properties":{"port":{"type":"integer"}},"required":["port"],"additionalProperties":false}'


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (b'{"port":1}', []), (b'{"port":"x"}', ['port: "x" is not of type "integer"']),
        (b'{"prot":1}', ["Additional properties are not allowed ('prot' was unexpected)", '"port" is a required property']),
    ],
)  # fmt: skip
def test_18_s2_4_every_problem_is_told_with_its_place(value: bytes, found: list[str]) -> None:
    assert sorted(problems(PORT, value)) == sorted(found)


@pytest.mark.parametrize(
    "schema", [b"5", b'{"type":"nope"}', b'{"$ref":"http://127.0.0.1:9/x"}', b'{"$ref":"file:///etc/passwd"}']
)
def test_18_s2_4_what_is_no_schema_is_a_problem_and_nothing_is_fetched(schema: bytes) -> None:
    (problem,) = problems(schema, b"1")
    assert problem.startswith("invalid JSON Schema: ")


def test_18_s2_4_values_beside_secrets_are_not_in_texts() -> None:
    schema = b'{"properties":{"password":{"type":"integer"}}}'
    assert "hunter2" not in str(problems(schema, b'{"password":"hunter2"}'))
    assert "4711" not in str(problems(PORT, b'{"port":"4711"}', hides_values=True))


def test_18_s2_4_another_process_finds_the_same() -> None:
    value = b'{"port":"x"}'
    packed = b"\x00" + len(PORT).to_bytes(8, "big") + PORT + value
    assert [text.decode() for text in check_packed(packed)] == problems(PORT, value)


async def test_18_s2_4_a_check_that_takes_long_does_not_hold_the_loop() -> None:
    depth = 22
    rules: dict[str, object] = {
        f"a{level}": {"allOf": [{"$ref": f"#/$defs/a{level + 1}"}] * 2} for level in range(depth)
    }
    schema = msgspec.json.encode({"$defs": {**rules, f"a{depth}": {"type": "integer"}}, "$ref": "#/$defs/a0"})
    checks = SchemaChecks()
    turns = 0
    checking = asyncio.ensure_future(checks.problems(schema, b"1"))
    while not checking.done():
        await asyncio.sleep(0.001)
        turns += 1
    assert await checking == []
    assert turns > 10
    checks.close()
