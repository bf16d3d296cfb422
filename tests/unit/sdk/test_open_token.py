"""A worker warns of a token that others can read (22 §5)."""

import pytest

from iii.sdk.open_token import shown_headers

BEARER = {"authorization": "Bearer secret-of-mine"}


@pytest.mark.parametrize(
    ("url", "headers", "warned"),
    [
        ("ws://far:1", BEARER, True),
        ("ws://far:1?a=b&token=secret-of-mine", {}, True),
        ("ws://me:secret-of-mine@far:1", {}, True),
        ("ws://far:1?a=b", {"X-Own": "1"}, False),
        ("wss://far:1?token=secret-of-mine", BEARER, False),
        ("ws://LOCALHOST:1", BEARER, False),
        ("ws://127.1.2.3:1", BEARER, False),
        ("ws://[::1]:1", BEARER, False),
    ],
)
def test_22_5_of_what_it_warns(
    url: str, headers: dict[str, str], warned: bool, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("III_TOKEN", raising=False)
    monkeypatch.delenv("III_TOKEN_FILE", raising=False)
    assert shown_headers(url, headers) == headers

    assert [record.__dict__["event"] for record in caplog.records] == ["sdk.token_unencrypted"] * warned
    assert "secret-of-mine" not in caplog.text
