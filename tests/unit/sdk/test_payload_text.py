"""Payloads as they are shown in traces (08 §7.4, §17.4, check 62)."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iii.protocol.limits import SHOWN_PAYLOAD_BYTES as MOST
from iii.protocol.redacted_text import REDACTED, redacted_text
from iii.protocol.secrets import without_secrets
from iii.protocol.shown_payload import MARKER, shown_payload
from iii.sdk.payload_text import payload_limit_bytes, redact_and_truncate
from tests.machine import cpu_within, scaled


def test_08_check_62_secrets_are_removed_and_the_text_is_cut() -> None:
    text, cut = redact_and_truncate({"api_key": "s3cr3t", "b": "x" * 9000}, 4096)
    assert "s3cr3t" not in text
    assert text.endswith(MARKER)
    assert len(text.encode()) <= 4096
    assert cut


@pytest.mark.parametrize(
    "key", ["token", "user_token", "x-token", "ApiKey", "Authorization", "my_password", "db_secret_1"]
)
def test_members_that_hide_something(key: str) -> None:
    assert without_secrets({"a": [{key: {"deep": 1}}]}, REDACTED) == {"a": [{key: REDACTED}]}


def test_other_members_stay() -> None:
    value: dict[str, Any] = {"tokens": 1, "token_count": 2, "keyboard": (1, 2)}
    assert without_secrets(value) == {"tokens": 1, "token_count": 2, "keyboard": [1, 2]}


@pytest.mark.parametrize("limit", range(40))
def test_a_cut_never_splits_a_character_nor_exceeds_the_limit(limit: int) -> None:
    text, cut = redact_and_truncate({"b": "ä€𝄞" * 10}, limit)
    assert cut
    assert len(text.encode()) <= limit


def test_short_and_strange_values() -> None:
    assert redact_and_truncate({"a": 1}) == ('{"a":1}', False)
    assert redact_and_truncate(object()) == ('"[unserializable]"', False)


@pytest.mark.parametrize(
    ("value", "limit"),
    [("", MOST), ("unlimited", MOST), ("0", MOST), ("-5", MOST), ("x", MOST), (" 100 ", 100), ("999999999", MOST)],
)
def test_the_limit_of_the_environment(monkeypatch: pytest.MonkeyPatch, value: str, limit: int) -> None:
    monkeypatch.setenv("III_TRACE_PAYLOAD_MAX_BYTES", value)
    assert payload_limit_bytes() == limit


# -- secrets in text that is not decoded --------------------------------------------------------------------------

NAMES = st.sampled_from(["password", "x-token", "n", 'quo"ted', "back\\slash", "pass\\", "é", "secret\n"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(['"password": 1', "{[", "]}"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=12,
)
SPACING = st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", " :\t")])


@given(VALUES, SPACING, st.booleans())
def test_08_check_62_secrets_are_removed_from_text_as_from_values(
    value: Any, separators: tuple[str, str], ascii_only: bool
) -> None:
    text = json.dumps(value, separators=separators, ensure_ascii=ascii_only)
    assert json.loads(redacted_text(text)) == without_secrets(value, REDACTED)


@given(st.dictionaries(NAMES, VALUES, min_size=1, max_size=4), st.data())
def test_08_check_62_a_cut_shows_no_secret(value: dict[str, Any], data: st.DataObject) -> None:
    value["my_password"] = {"deep": ["S3CR3T", {"S3CR3T": 'S3CR3T"'}]}
    text = json.dumps(value)
    end = data.draw(st.integers(0, len(text)))
    assert "S3CR3T" not in redacted_text(text[:end])


def test_a_large_payload_is_cut_before_it_is_searched() -> None:
    """G2b: the search through 10 MB held the loop for 0.4 to 1 s."""
    beginning = b'{"password":"S3CR3T","rows":["'
    payload = beginning + rb"\"password\":\"x\"," * 500_000 + b'"]}'
    with cpu_within(0.2):
        text, cut = shown_payload(payload, MOST)
    assert text.startswith('{"password":"[REDACTED]","rows":["')
    assert cut
    assert len(text) <= MOST


@pytest.mark.parametrize("row", [b'"a":1,', b'{"token":"x"},', b'"\\"', b"[", b'"key":{"key":['])
def test_no_payload_takes_long_to_be_shown(row: bytes) -> None:
    payload = b'{"token":' + row * (MOST // len(row))
    with cpu_within(scaled(0.1)):
        shown_payload(payload, MOST)
