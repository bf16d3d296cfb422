"""Payloads as they are shown in traces (08 §7.4, §17.4, check 62)."""

from typing import Any

import pytest

from iii.protocol.limits import SHOWN_PAYLOAD_BYTES as MOST
from iii.protocol.secrets import without_secrets
from iii.sdk.payload_text import MARKER, payload_limit_bytes, redact_and_truncate
from iii.sdk.redacted_text import REDACTED


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
