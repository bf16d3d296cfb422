"""Expressions that are compiled at their first use are those of the library."""

import re

import pytest

from iii.protocol.late_pattern import late_pattern


def test_it_is_what_the_library_compiles() -> None:
    pattern = late_pattern("(a)b", re.IGNORECASE)
    assert [pattern.fullmatch(text) is not None for text in ("AB", "ab", "abc")] == [True, True, False]
    assert pattern.fullmatch is pattern.fullmatch
    assert pattern.sub("-", "xAby") == "x-y"
    assert late_pattern(rb"\d").findall(b"1a2") == [b"1", b"2"]


def test_what_is_wrong_with_one_is_said_where_it_is_used() -> None:
    pattern = late_pattern("(")
    with pytest.raises(re.error):
        pattern.search("")
