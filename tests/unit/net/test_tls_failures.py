"""Failed handshakes: counted, each address told of once a minute (22 §3)."""

from iii.net.tls_failures import ADDRESSES, TOLD_AGAIN_S, TlsFailures


def test_22_3_an_address_is_told_of_once_a_minute() -> None:
    now = 100.0
    failures = TlsFailures(lambda: now)
    assert [failures.is_news(peer) for peer in ("10.0.0.1:1", "10.0.0.1:2", "10.0.0.2:1")] == [True, False, True]
    now += TOLD_AGAIN_S
    assert failures.is_news("10.0.0.1:3")
    assert failures.count == 4


def test_22_3_so_many_addresses_are_remembered() -> None:
    failures = TlsFailures(lambda: 0.0)
    for number in range(ADDRESSES + 1):
        assert failures.is_news(f"[::{number:x}]:1")
    assert failures.is_news("[::0]:1")  # forgotten
    assert not failures.is_news(f"[::{ADDRESSES:x}]:1")
