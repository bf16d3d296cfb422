"""Module blocks against the Struct that the module declares (C4)."""

from typing import Annotated, Literal

import pytest
from msgspec import Meta, Struct

from iii.protocol.start_failure import StartFailure
from iii.server.block import decode_block
from iii.server.document import FilePosition

PLACE = FilePosition("config.yaml", "workers[1] (iii-x)")


class Access(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    auth_function_id: str | None = None


class Queue(Struct, frozen=True, kw_only=True):
    max_retries: Annotated[int, Meta(ge=0)] = 3
    api_key: str = ""


class Block(Struct, frozen=True, kw_only=True):
    host: Annotated[str, Meta(min_length=1)] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65_535)] = 49134
    mode: Literal["fast", "safe"] = "safe"
    ratio: float | None = None
    rbac: Access | None = None
    queues: dict[str, Queue] = {}
    origins: list[str] = []
    steps: list[Queue] = []


class Needy(Struct):
    url: str


def decoded(block: object, *, strict: bool = True) -> tuple[Block, list[str]]:
    warnings: list[str] = []
    return decode_block(block, Block, PLACE, strict=strict, warnings=warnings), warnings


def mistake(block: object, declared: type[Struct] = Block, *, strict: bool = True) -> str:
    with pytest.raises(StartFailure) as failure:
        decode_block(block, declared, PLACE, strict=strict, warnings=[])
    assert str(failure.value).startswith(f"{PLACE}: ")
    return str(failure.value).removeprefix(f"{PLACE}: ")


@pytest.mark.parametrize("block", [None, {}])
def test_an_absent_block_gives_the_defaults(block: object) -> None:
    assert decoded(block) == (Block(), [])


def test_all_levels_are_read() -> None:
    block = {"port": 1, "ratio": 1, "rbac": None, "queues": {"a": {"max_retries": 0}}, "origins": ["x"]}
    assert decoded(block)[0] == Block(port=1, ratio=1.0, queues={"a": Queue(max_retries=0)}, origins=["x"])


def test_C4_unknown_key_is_an_error_in_the_new_form() -> None:
    assert mistake({"prot": 1}) == "unknown key 'prot' (1), did you mean 'port'?"
    assert (
        mistake({"queues": {"a": {"max_retry": 1}}})
        == "unknown key 'queues.a.max_retry' (1), did you mean 'max_retries'?"
    )
    assert mistake({"steps": [{}, {"x": 1}]}) == "unknown key 'steps[1].x' (1); known: max_retries, api_key"
    assert mistake({5: 1}).startswith("unknown key '5' (1); known: host, port")


def test_C4_unknown_key_is_a_warning_in_the_old_form() -> None:
    block, warnings = decoded({"prot": 1, "port": 2}, strict=False)
    assert block.port == 2
    assert warnings == [f"{PLACE}: unknown key 'prot' (1), did you mean 'port'?; it is ignored"]


def test_C4_a_misspelt_access_rule_is_an_error_in_both_forms() -> None:
    for strict in (True, False):
        expected = "unknown key 'rbac.auth_functon_id' (\"f\"), did you mean 'auth_function_id'?"
        assert mistake({"rbac": {"auth_functon_id": "f"}}, strict=strict) == expected


def test_a_key_that_guards_something_is_never_ignored() -> None:
    assert mistake({"middleware_function_id": "f"}, strict=False).startswith("unknown key 'middleware_function_id'")


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ([], "config: expected a mapping, got an empty list"),
        ("x", 'config: expected a mapping, got "x"'),
        ({"port": "abc"}, 'port: expected a whole number, got "abc"'),
        ({"port": 70000}, "port: expected a whole number <= 65535, got 70000"),
        ({"port": -1}, "port: expected a whole number >= 0, got -1"),
        ({"port": True}, "port: expected a whole number, got true"),
        ({"port": None}, "port: expected a whole number, got nothing"),
        ({"host": ""}, 'host: expected text of length >= 1, got ""'),
        ({"mode": "quick"}, 'mode: expected fast or safe, got "quick"'),
        ({"mode": 1}, "mode: expected text, got 1"),
        ({"ratio": "x"}, 'ratio: expected a number, got "x"'),
        ({"origins": "x"}, 'origins: expected a list, got "x"'),
        ({"origins": ["a", 1]}, "origins[1]: expected text, got 1"),
        ({"queues": {"b": {}, "a": {"max_retries": -1}}}, "queues.a.max_retries: expected a whole number >= 0, got -1"),
        ({"steps": [{"max_retries": "x"}]}, 'steps[0].max_retries: expected a whole number, got "x"'),
    ],
)
def test_wrong_values_name_key_and_value(block: object, expected: str) -> None:
    assert mistake(block).startswith(expected)


def test_a_secret_is_not_shown() -> None:
    assert mistake({"steps": [{"api_key": 4711}]}) == "steps[0].api_key: expected text, got [hidden]"


def test_a_missing_key_is_named() -> None:
    assert mistake({}, Needy) == "url: is missing"
