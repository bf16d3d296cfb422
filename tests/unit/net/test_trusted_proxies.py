"""Addresses that proxies tell (20 §1)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iii.net.trusted_proxies import TrustedProxies

PROXIES = TrustedProxies(["10.0.0.0/8", "::1", "192.0.2.7"])


@pytest.mark.parametrize(
    ("peer", "told", "client"),
    [
        ("10.0.0.1", "198.51.100.4", "198.51.100.4"),
        ("10.0.0.1", "1.2.3.4, 198.51.100.4", "198.51.100.4"),
        ("10.0.0.1", "198.51.100.4, 10.9.9.9, 192.0.2.7", "198.51.100.4"),
        ("10.0.0.1", "10.0.0.2", "10.0.0.2"),
        ("::ffff:10.0.0.1", "198.51.100.4:4711", "198.51.100.4"),
        ("::1", "[2001:db8::1]:80", "2001:db8::1"),
        ("::1", "2001:db8::1", "2001:db8::1"),
        ("10.0.0.1", "unknown", "10.0.0.1"),
        ("10.0.0.1", "nonsense, 10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", None, "10.0.0.1"),
        ("198.51.100.4", "1.2.3.4", "198.51.100.4"),
        (None, "1.2.3.4", None),
    ],
)
def test_20_check_44_who_is_behind_the_proxies(peer: str | None, told: str | None, client: str | None) -> None:
    assert PROXIES.client(peer, told) == client


@given(st.text())
def test_20_check_44_what_a_client_sends_itself_does_not_count(sent: str) -> None:
    assert PROXIES.client("192.0.2.7", f"{sent}, 203.0.113.9") == "203.0.113.9"


@pytest.mark.parametrize("network", ["10.0.0.0/40", "proxy", "10.0.0.1/8"])
def test_what_is_not_a_network(network: str) -> None:
    with pytest.raises(ValueError, match=network.split("/")[0]):
        TrustedProxies([network])
