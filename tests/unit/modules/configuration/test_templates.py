"""Placeholders in values (18 §2.3, 07 check 50)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iii.modules.configuration.templates import filled, scalar
from iii.protocol.versions import PACKAGE_VERSION


def fill(value: object, **environment: str) -> Any:
    return msgspec.json.decode(filled(msgspec.json.encode(value), environment).value)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("8080", 8080), (" 5 ", 5), ("-5", -5), ("0x1F", 31), ("0o17", 15), ("3.5", 3.5), (".5", 0.5), ("1e3", 1000.0),
        ("true", True), ("True", True), ("TRUE", True), ("null", None), ("~", None), (".inf", None), ("[1,2]", [1, 2]),
        ('"5"', "5"), ("on", "on"), ("yes", "yes"), ("017", "017"), ("1_000", "1_000"), ("2020-01-01", "2020-01-01"),
        ("localhost", "localhost"), ("9" * 30, "9" * 30), ("[", "["), ("a: b", "a: b"), ("x #y", "x #y"), ("", ""),
    ],
)  # fmt: skip
def test_07_check_50_a_whole_placeholder_is_a_yaml_scalar(text: str, meant: object) -> None:
    assert fill(["${V}", "${V}!"], V=text) == [meant, f"{text}!"]


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        ("${X:1}${Y:2}", "12"), ("redis://${PORT:6379}", "redis://6379"), ("${}", "${}"), ("${:x}", "${:x}"),
        ("${A:${B:1}}", "${B:1}"), (" ${P:3111} ", 3111), ({"${K:1}": "${V:1}"}, {"${K:1}": 1}), ("$100", "$100"),
        ("${UNCLOSED", "${UNCLOSED"), ("${E:}", ""), ("${V:__III_ENGINE_VERSION__}", PACKAGE_VERSION), (7, 7),
    ],
)  # fmt: skip
def test_18_s2_3_placeholders_are_filled_in_texts_alone(value: object, meant: object) -> None:
    assert fill(value) == meant


def test_18_s2_3_a_missing_variable_is_named_once_and_stays_in_the_text() -> None:
    found = filled(b'["${B} ${A}","${B}","${C:1}"]', {})
    assert (found.missing, found.value) == (("B", "A"), b'["${B} ${A}","${B}",1]')


@given(st.text())
def test_18_s2_3_any_text_of_a_variable_has_a_meaning_that_is_json(text: str) -> None:
    msgspec.json.encode(scalar(text))
