"""Filters of functions: syntax and matching (20 §7)."""

from __future__ import annotations

import fnmatch
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iii.engine.access.filters import BadFilter, read_filter
from iii.engine.access.pattern import Patterns, unwrapped
from tests.machine import cpu_within


@pytest.mark.parametrize(
    ("pattern", "fits", "does_not"),
    [
        ("hello::world", ["hello::world"], ["hello::worldx", "xhello::world"]),
        ("engine::*", ["engine::a", "engine::a::b"], ["other::a"]),
        ("*::public", ["api::public", "x::y::public"], ["api::private"]),
        ("*public*", ["public", "mypublicfn"], ["private"]),
        ("api::*::read", ["api::users::read"], ["api::users::write", "api::read"]),
        ("*", ["", "anything::at::all"], []),
        ("a*a", ["aa", "aba"], ["a"]),
        ("a.c", ["a.c"], ["abc"]),
    ],
)
def test_07_check_31_patterns(pattern: str, fits: list[str], does_not: list[str]) -> None:
    patterns = Patterns([pattern])

    assert all(each in patterns for each in fits)
    assert not any(each in patterns for each in does_not)


@given(st.text("ab:*", max_size=8), st.text("ab:", max_size=10))
def test_patterns_mean_what_a_regular_expression_would(pattern: str, identifier: str) -> None:
    meant = re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), identifier) is not None

    assert (identifier in Patterns([pattern])) is meant
    assert fnmatch.fnmatchcase(identifier, pattern) is meant


def test_a_pattern_with_many_stars_takes_no_time() -> None:
    patterns = Patterns(["a*" * 50 + "b"])
    with cpu_within(1):
        assert "a" * 100_000 not in patterns


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ('match("a::*")', "a::*"), ("match('a')", "a"), ('  match("a") ', "a"), ("match(\"a')", None), ('match(")', None),
        ("a::*", None), ('match("a"', None), ("", None), ('match("")', ""),
    ],
)  # fmt: skip
def test_07_check_31_wrapping(text: str, pattern: str | None) -> None:
    assert unwrapped(text) == pattern


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("match(\"a')", "expected match(\"pattern\"), got: match(\"a')"),
        ('match(")', 'expected match("pattern"), got: match(")'),
        ({"match": "a", "metadata": {"b": 1}}, "a filter has either a 'match' or a 'metadata' key, not both"),
        ({}, "expected a 'match' or 'metadata' key with filter conditions"),
        ({"metadata": {}}, "expected a 'match' or 'metadata' key with filter conditions"),
        ({"matches": "a"}, "unknown key 'matches' in expose_functions filter; expected 'match', 'metadata', or 'namespace'"),
        ({"match": 1}, "'match' must be a pattern, got: 1"),
        ({"match": "a", "namespace": " "}, "'namespace' must be a name, got:  "),
        (7, 'expected match("pattern") or a mapping, got: 7'),
    ],
)  # fmt: skip
def test_07_check_31_errors_of_filters(entry: object, told: str) -> None:
    with pytest.raises(BadFilter, match=f"^{re.escape(told)}"):
        read_filter(entry)


@pytest.mark.parametrize(
    ("wanted", "metadata", "fits"),
    [
        ({"public": True}, b'{"public":true,"x":1}', True),
        ({"public": True}, b'{"public":"true"}', False),
        ({"public": True}, b'{"public":1}', False),
        ({"n": 1}, b'{"n":1.0}', False),
        ({"a": 1, "b": 2}, b'{"a":1}', False),
        ({"team": 'match("pay*")'}, b'{"team":"payments"}', True),
        ({"team": 'match("pay*")'}, b'{"team":["pay"]}', False),
        ({"deep": {"a": [1]}}, b'{"deep":{"a":[1]}}', True),
        ({"deep": {"a": [1]}}, b'{"deep":{"a":[true]}}', False),
        ({"public": True}, b"null", False),
        ({"public": True}, b'["public"]', False),
        ({"public": True}, None, False),
    ],
)
def test_07_check_31_metadata(wanted: dict[str, Any], metadata: bytes | None, fits: bool) -> None:
    assert read_filter({"metadata": wanted}).fits("any::id", "default", metadata) is fits


def test_filters_are_about_one_namespace() -> None:
    plain, named = read_filter('match("a")'), read_filter({"match": "a", "namespace": "orders"})

    assert [plain.fits("a", each, None) for each in ("default", "orders")] == [True, False]
    assert [named.fits("a", each, None) for each in ("default", "orders")] == [False, True]
