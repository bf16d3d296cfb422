"""Routes whose worker is away (P13)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iii.modules.http.away_routes import AwayRoutes, RememberedRoutes

NAMES = st.tuples(
    st.sampled_from(["GET", "POST"]),
    st.sampled_from(["/", "/a", "a", "/a/:x", "/a/:y", "/*", "/a/b", "/{", "/x" * 600]),
)


class Time:
    def __init__(self) -> None:
        self.s = 0.0

    def now(self) -> float:
        return self.s


def test_for_the_grace_and_no_longer() -> None:
    time = Time()
    away = AwayRoutes(30.0, time.now)
    away.add(("GET", "/users/:id"))
    assert away.has("GET", "/users/7")
    assert away.has("HEAD", "/users/7")
    assert not away.has("POST", "/users/7")
    assert not away.has("GET", "/users")
    time.s = 30.0
    assert not away.has("GET", "/users/7")
    assert away.names == []


def test_the_ones_that_left_first_are_forgotten_first() -> None:
    away = AwayRoutes(30.0, Time().now, most_routes=3)
    for name in "abcd":
        away.add(("GET", f"/{name}"))
    away.add(("GET", "/b"))  # again: it left last now
    away.add(("GET", "/e"))
    assert away.names == [("GET", "/d"), ("GET", "/b"), ("GET", "/e")]


@given(st.lists(st.one_of(NAMES, NAMES.map(lambda name: ("forget", *name)), st.integers(1, 20))))
def test_whatever_comes_and_goes_it_knows_only_what_is_away(steps: list[Any]) -> None:
    time = Time()
    away = AwayRoutes(30.0, time.now)
    left: dict[Any, float] = {}
    for step in steps:
        if isinstance(step, int):
            time.s += step
        elif step[0] == "forget":
            away.forget(step[1:])
            left.pop(step[1:], None)
        else:
            away.add(step)
            left[step] = time.s
        for name in away.names:
            assert time.s < left[name] + 30.0
            assert away.has(name[0], name[1] if name[1].startswith("/") else f"/{name[1]}")
    time.s += 30.0
    away.add(("GET", "/last"))
    assert away.names == [("GET", "/last")]


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'[["GET"]]', b"\xff", b"[" * 100_000])
async def test_a_file_that_cannot_be_read_is_ignored_with_a_line(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "http").mkdir()
    (tmp_path / "http" / "routes.json").write_bytes(content)
    assert await RememberedRoutes(str(tmp_path), list).read() == []
    assert "Remembered HTTP routes ignored" in caplog.text


async def test_what_changes_while_it_is_written_is_written_too(tmp_path: Path) -> None:
    names: list[tuple[str, str]] = []
    remembered = RememberedRoutes(str(tmp_path), lambda: list(names), save_after_s=0.0)
    for number in range(50):
        names.append(("GET", f"/{number}"))
        remembered.changed()
    await remembered.close()
    remembered.changed()
    assert await RememberedRoutes(str(tmp_path), list).read() == names
