"""Placeholders in values (18 §2.3, 07 check 50)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iii.modules.configuration import templates
from iii.modules.configuration.templates import AS_TEXT, filled, kept, scalar
from iii.protocol.limits import KIB
from iii.protocol.versions import PACKAGE_VERSION
from iii.storage.yaml_text import compose


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


BEFORE: dict[str, Any] = {
    "a": {"key": "${K}", "n": "${N:3}"},
    "list": [{"url": "https://h/${K}"}, {"url": "${U:x}"}, {"url": "${N:3}"}],
    "free": "y",
}


def put_back(value: object, before: object = BEFORE, **environment: str) -> Any:
    environment = environment or {"K": "hunter2"}
    return msgspec.json.decode(kept(msgspec.json.encode(value), msgspec.json.encode(before), environment))


def test_18_s2_3_what_was_read_filled_keeps_its_placeholders() -> None:
    read = fill(BEFORE, K="hunter2")
    assert read["list"][0] == {"url": "https://h/hunter2"}
    assert put_back(read) == BEFORE
    read["free"], read["list"][1:2] = "z", []
    assert put_back(read) == {**BEFORE, "free": "z", "list": [BEFORE["list"][0], BEFORE["list"][2]]}, "items have moved"
    assert put_back({"a": {"key": "hunter3", "n": 3.0}, "free": "hunter2"}) == {
        "a": {"key": "hunter3", "n": 3.0},
        "free": "hunter2",
    }
    assert put_back({"a": {"key": "${K}", "n": "3"}}) == {"a": {"key": "${K}", "n": "3"}}


def test_18_s2_3_a_place_in_a_list_keeps_its_own_placeholder_before_another() -> None:
    before = ["${A:1}", "${B:1}", "${C:[1, true]}"]
    assert put_back([1, 1, [1, True]], before) == before
    assert put_back([1, True], before) == ["${A:1}", True]
    assert put_back([[1, True], 1, 1, [1, 1]], before) == ["${C:[1, true]}", "${B:1}", "${A:1}", [1, 1]]
    assert put_back({"0": 1}, before) == {"0": 1}


def test_18_s2_3_variables_that_were_filled_in_are_known() -> None:
    found = filled(b'["${A}","${B:x}","${C}"]', {"A": "1"})
    assert (found.variables, found.missing) == ((("A", "1"),), ("C",))


def test_18_s2_3_a_reference_beside_another_is_a_text() -> None:
    assert fill(f"${{A}}{AS_TEXT}", A="12") == "12"


def test_kind_2_what_is_not_json_is_read_within_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list of 64 KiB took 150 ms; 900 short ones that nest, 270 ms."""
    read: list[str] = []

    def counting(text: str) -> Any:
        read.append(text)
        return compose(text)

    monkeypatch.setattr(templates, "compose", counting)
    texts = [f"[a, b, {number}]" for number in range(900)]
    found = fill([f"${{X:{text}}}" for text in texts * 2])
    assert (found[0], found[899], found[900]) == (["a", "b", 0], texts[899], ["a", "b", 0])
    assert sum(map(len, read)) <= 8 * KIB
    read.clear()
    assert fill(["${X}", "${Y}", "${Z}"], X="[1, 2]" + " " * 9_000, Y="[" * 9_000 + "]" * 9_000, Z=f"[{'a,' * 5_000}]")[
        0
    ] == [1, 2]
    assert not read


def test_kind_2_only_what_may_be_a_placeholder_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """60 lists within each other, each beside a placeholder: each was encoded, with all in it."""
    compared = []

    class Counting:
        def encode(self, value: Any) -> bytes:
            compared.append(value)
            return encode(value)

    encode = msgspec.json.Encoder(order="sorted").encode
    monkeypatch.setattr(templates, "_sorted", Counting())
    before: Any = "${X:[1]}"
    value: Any = {"many": [7] * 100}
    for _ in range(60):
        before, value = ["${X:[1]}", before], [value]
    assert put_back(value, before) == value
    assert all(each == [1] for each in compared)


@given(
    st.recursive(
        st.sampled_from(["${A}", "x${A}", "${B:[1]}", "${D:7}", "z", 7, True]),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from("ab"), inner),
        max_leaves=8,
    )
)
def test_18_s2_3_whatever_was_read_filled_keeps_its_placeholders(before: Any) -> None:
    read = fill(before, A="s")
    again = put_back(read, before, A="s")
    assert fill(again, A="s") == read
    assert again == before or b"7" in msgspec.json.encode(read), "a 7 in a list may have been a placeholder"
