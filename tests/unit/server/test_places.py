"""Every mistake in a configuration names the line of its own key, the value, and what would be right (C4)."""

import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
import yaml
from msgspec import Struct

from iii.protocol.start_failure import StartFailure
from iii.server import config_file
from iii.server.catalogue import CATALOGUE

UNFIT: tuple[Any, ...] = ("a text", [[1]])
Step = str | int


class Key(NamedTuple):
    """One key that a configuration may hold: its module, its path below `config`, its type, the Struct that has it."""

    module: str
    path: tuple[Step, ...]
    hint: Any
    struct: type[Struct]
    adapter: str | None = None

    def __str__(self) -> str:
        return f"{self.module}:{self.adapter or ''}:{'.'.join(map(str, self.path))}"


def keys_of(module: str, hint: Any, path: tuple[Step, ...], adapter: str | None = None) -> Iterator[Key]:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if isinstance(hint, type) and issubclass(hint, Struct):
        for field in msgspec.structs.fields(hint):
            below = (*path, field.encode_name)
            yield Key(module, below, field.type, hint, adapter)
            yield from keys_of(module, field.type, below, adapter)
        adapters = getattr(hint, "adapters", None)
        for name, block in adapters.blocks.items() if adapters is not None else ():
            yield from keys_of(module, block, ("adapter", "config"), name)
    elif origin is dict:
        yield from keys_of(module, arguments[1], (*path, "a.b"), adapter)
    elif origin in (list, tuple):
        yield from keys_of(module, arguments[0], (*path, 0), adapter)
    else:
        for part in arguments:
            yield from keys_of(module, part, path, adapter)


KEYS = [key for row in CATALOGUE for key in keys_of(row.name, row.config_type(), ())]


def at(path: tuple[Step, ...], value: Any) -> Any:
    for step in reversed(path):
        value = [value] if isinstance(step, int) else {step: value}
    return value


def shown(path: tuple[Step, ...]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")


def refusal(key: Key, path: tuple[Step, ...], value: Any, folder: Path) -> tuple[str, int]:
    """The message, and the number of the line on which the last key of `path` stands."""
    block = at(path, value)
    if key.adapter is not None:
        block["adapter"]["name"] = key.adapter
    document = {"workers": [{"name": "iii-pubsub"}, {"name": key.module, "config": block}]}
    if key.module == "iii-pubsub":
        del document["workers"][0]
    lines = ["# a comment", *yaml.safe_dump(document, sort_keys=False).splitlines()]
    file = folder / "config.yaml"
    file.write_text("\n".join(lines))
    with pytest.raises(StartFailure) as failure:
        config_file.load(file, environment={})
    name = next(step for step in reversed(path) if isinstance(step, str))
    line = max(number for number, line in enumerate(lines, 1) if line.strip(" -").startswith(f"{name}:"))
    if isinstance(path[-1], int):
        line += 1
    return str(failure.value), line


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_a_value_of_a_wrong_type_names_line_key_and_value(key: Key, tmp_path: Path) -> None:
    unfit = next((value for value in UNFIT if not fits(value, key.hint)), None)
    if getattr(key.hint, "__origin__", key.hint) is Any:
        return
    assert unfit is not None
    message, line = refusal(key, key.path, unfit, tmp_path)
    assert f"config.yaml:{line}: workers[" in message
    assert f"{shown(key.path)}" in message
    assert "expected " in message
    assert 'got "a text"' in message or "got a list of 1" in message or "got [hidden]" in message


def fits(value: Any, hint: Any) -> bool:
    try:
        msgspec.convert(value, hint)
    except msgspec.ValidationError:
        return False
    return True


def choices(hint: Any) -> tuple[Any, ...]:
    if typing.get_origin(hint) is typing.Literal:
        return typing.get_args(hint)
    return tuple(choice for part in typing.get_args(hint) for choice in choices(part)) if hint is not Any else ()


@pytest.mark.parametrize(
    "key", [key for key in KEYS if choices(key.hint) and typing.get_origin(key.hint) is not dict], ids=str
)
def test_a_choice_that_there_is_not_names_line_value_and_all_choices(key: Key, tmp_path: Path) -> None:
    message, line = refusal(key, key.path, "foo", tmp_path)
    expected = " or ".join(choices(key.hint))
    wanted = f'config.yaml:{line}: {message.split(": ")[1]}: {shown(key.path)}: expected {expected}, got "foo"'
    assert any(told.endswith(wanted) for told in message.splitlines())  # beside keys that are missing


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_an_unknown_key_names_line_value_and_the_nearest(key: Key, tmp_path: Path) -> None:
    known = str(key.path[-1])
    wrong = f"{known}x"
    path = (*key.path[:-1], wrong)
    message, line = refusal(key, path, 17, tmp_path)
    assert f"config.yaml:{line}: workers[" in message
    assert f"unknown key '{shown(path)}' (" in message
    assert "(17)" in message or "([hidden])" in message
    assert ", did you mean '" in message


def test_a_value_that_may_be_a_misspelt_secret_is_not_shown(tmp_path: Path) -> None:
    key = KEYS[0]
    for name in ("pasword", "tokn", "api_kye", "url"):
        message, _ = refusal(key, (name,), "redis://me:hunter2@host" if name == "url" else "hunter2", tmp_path)
        assert "hunter2" not in message
        assert "[hidden]" in message
