"""Addresses: refused at once if no attempt could succeed, shown without what only the two ends may know."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

import iii
from iii.protocol.address import masked, without_secrets
from iii.sdk.engine_address import engine_url


@pytest.mark.parametrize(
    "address",
    [
        "ws://",
        "wss://",
        "ws:///path",
        "ws://:49134",
        "ws://h:99999",
        "ws://h:0",
        "ws://h:-1",
        "ws://h:port",
        "ws://ho st:1",
        "ws://h:1/a b",
        "ws://h\t:1",
        "ws://h:1\n",
        "ws://[::1:1",
        "ws://h:1/#part",
        "ws://h..x:1",
        f"ws://{'a' * 64}.example:1",
        "http://h:1",
        "h:1",
    ],
)
def test_bugs_minor_an_address_that_cannot_succeed_is_refused_at_once(address: str) -> None:
    with pytest.raises(ValueError, match="the engine's address must be ws://HOST:PORT or wss://HOST, got"):
        engine_url(address)
    with pytest.raises(ValueError, match="the engine's address must be"):
        iii.connect_worker(address)


@pytest.mark.parametrize(
    "address", ["ws://h", "WS://H:1", "wss://h/x?y=1", "ws://[::1]:1", "ws://1.2.3.4:65535", "ws://bücher.example:1"]
)
def test_a_good_address_is_taken_as_it_is(address: str) -> None:
    assert engine_url(address) == address


SECRETS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=6, max_size=30).map(
    lambda text: "S3" + quote(text, safe="!$'()*,;")
)


@given(SECRETS, SECRETS, SECRETS)
def test_bugs_11_no_credential_is_ever_shown(password: str, token: str, bearer: str) -> None:
    url = f"ws://ada:{password}@h:1/path?token={token}&{token}"
    shown = masked(url)
    assert shown == "ws://***@h:1/path?token=***&***"

    echo = f"cannot upgrade GET /path?token={token} HTTP/1.1 of ada:{password} Bearer {bearer}".lower()
    told = without_secrets(echo, url, {"authorization": f"Bearer {bearer}"})
    for secret in (password, token, bearer):
        assert secret.lower() not in told


def test_bugs_11_a_wrong_address_is_refused_without_its_credentials() -> None:
    with pytest.raises(ValueError, match="must be") as refused:
        engine_url("ws://ada:s3cret@h:99999/?token=t0ken")
    assert "s3cret" not in str(refused.value)
    assert "t0ken" not in str(refused.value)


def test_what_has_no_secret_is_shown_in_full() -> None:
    assert masked("ws://127.0.0.1:49134/a@b") == "ws://127.0.0.1:49134/a@b"
