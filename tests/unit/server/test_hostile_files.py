"""A file that would end the process, hold it or make it wait is refused at once, with its place (attack 6 and 9)."""

import os
from pathlib import Path

import pytest

from iii.protocol.start_failure import StartFailure
from iii.server import config_file
from tests.machine import cpu_within

ALIASES = "\n".join(["a0: &a0 [1]", *(f"a{i}: &a{i} [*a{i - 1}]" for i in range(1, 500))])
LAUGHS = "\n".join(["a0: &a0 [1]", *(f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 20))])
TOO_DEEP = "nested deeper than 100 levels"
FILES = {
    "flow": ("workers: " + "[" * 100_000, f":1:109: not valid YAML: {TOO_DEEP}"),
    "closed flow": ("workers: " + "[" * 100_000 + "]" * 100_000, TOO_DEEP),
    "mappings": ("{a: " * 100_000, TOO_DEEP),
    "dashes": ("workers:\n" + "- " * 100_000, TOO_DEEP),
    "questions": ("? " * 100_000, TOO_DEEP),
    "indentation": ("".join(f"{' ' * i}a:\n" for i in range(500)), TOO_DEEP),
    "aliases": (ALIASES, TOO_DEEP),
    "laughs": (LAUGHS, "more than 100000 values"),
    "itself": ("workers: &a [*a]", ":1:14: not valid YAML: alias '*a' refers to a value that contains it"),
    "entries": ("workers:\n" + "  - {name: iii-pubsub, config: {}}\n" * 100_000, ":20001:12: not valid YAML: more than 100000 values"),
    "reference": ("port: ${NAME}\nworkers: " + "[" * 100_000, TOO_DEEP),
    "missing": ("port: ${MISSING}\nworkers: " + "[" * 100_000, "MISSING"),
    "digits": ("port: " + "9" * 5000, ":1:7: not valid YAML: a number of 5000 digits exceeds the limit of 4000"),
    "bool": ("port: !!bool maybe", ":1:7: not valid YAML: not a value of type 'bool'"),
    "int": ("port: !!int x", "not a value of type 'int'"),
    "map": ("port: !!map x", ":1:7: not valid YAML"),
    "timestamp": ("port: !!timestamp x", "values of type '!!timestamp' are not allowed"),
    "binary": ("port: !!binary \u00e9", "values of type '!!binary' are not allowed"),
    "set": ("port: !!set {a}", "values of type '!!set' are not allowed"),
    "object": ("port: !!python/object/apply:os.system [x]", "are not allowed"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "told"), FILES.values(), ids=FILES)
def test_attack_6_an_excess_is_told_with_its_place(text: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(text, encoding="utf-8")
    with cpu_within(5):  # 100,000 values some 0.3 s
        with pytest.raises(StartFailure) as failure:
            config_file.load(path, environment={"NAME": "# 1"})
        assert told in str(failure.value)
        assert "sys." not in str(failure.value)
        assert "codec" not in str(failure.value)


def test_attack_9_what_is_no_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path, told in ((tmp_path / "fifo", "is a pipe, not a regular file"), (Path("/dev/zero"), "is a device"), (tmp_path, "is a directory")):  # fmt: skip
        with pytest.raises(StartFailure, match=told):
            config_file.load(path)


def test_attack_9_a_file_of_any_size_is_refused_at_once(tmp_path: Path) -> None:
    with (tmp_path / "c.yaml").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(StartFailure, match="exceed the limit"):
        config_file.load(tmp_path / "c.yaml")
