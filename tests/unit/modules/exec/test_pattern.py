"""What a `watch` pattern means (07 §6.1)."""

from pathlib import Path

import pytest

from iii.modules.exec.config import ExecConfig
from iii.modules.exec.pattern import Pattern
from iii.protocol.start_failure import StartFailure

BASE = Path("/work")


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        ("src/**/*.ts", ["src/a.ts", "src/b/c.ts"], ["src/a.js", "srcs/a.ts", "a.ts", "src/ts"]),
        ("src/*.ts", ["src/a.ts"], ["src/b/c.ts"]),
        ("steps/**/*.{ts, js}", ["steps/a.ts", "steps/x/a.js"], ["steps/a.py"]),
        ("src/**/*.test.ts", ["src/a.ts"], ["src/a.test.js"]),
        ("src/**", ["src/a", "src/b/c.bin"], ["other/a"]),
        ("src/**/*", ["src/a.py"], ["a.py"]),
        ("config/*", ["config/x.yaml"], ["config/y/x.yaml"]),
        ("**/*.py", ["a.py", "b/c.py"], ["a.pyc"]),
        ("src//*.py", ["src/a.py"], ["a.py"]),
        ("src/main.py", ["src/main.py"], ["src/a/main.py", "src/main.js"]),
        ("/abs/**/*.go", ["/abs/x/y.go"], ["abs/x.go"]),
        ("/*.go", ["/y.go"], ["y.go"]),
        ("src/**/*.{}", ["src/a.x"], ["a.x"]),
    ],
)
def test_07_6_1_patterns(pattern: str, matching: list[str], other: list[str]) -> None:
    parsed = Pattern.parse(pattern, BASE)
    assert [path for path in matching if not parsed.matches(BASE / path)] == []
    assert [path for path in other if parsed.matches(BASE / path)] == []


def test_07_6_1_a_block_without_commands_says_what_is_missing() -> None:
    with pytest.raises(StartFailure, match="iii-exec requires a config with exec"):
        ExecConfig().commands()
    assert ExecConfig(exec=[]).commands() == []


@pytest.mark.parametrize("wrong", [{"env": {"A=B": "x"}}, {"env": {"": "x"}}, {"exec": ["a\0b"]}, {"cwd": "\0"}])
def test_07_6_1_what_no_process_can_have_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"name of a variable|NUL byte"):
        ExecConfig(**wrong)  # type: ignore[arg-type]
