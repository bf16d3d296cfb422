"""Which URLs may be called (03 §B4)."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iii.modules.http_functions.config import SecurityConfig
from iii.modules.http_functions.url_rules import UrlRefused, UrlRules
from iii.net.addresses import NoAddress, is_blocked, literal_address

OPEN = SecurityConfig(block_private_ips=False, require_https=False)


def refusal(url: str, security: SecurityConfig | None = None) -> str | None:
    try:
        UrlRules(security or SecurityConfig()).check(url)
    except UrlRefused as error:
        return error.message if error.code == "url_validation_failed" else error.code
    return None


@pytest.mark.parametrize(
    "url",
    [
        "https://10.0.0.1", "https://172.16.0.1", "https://192.168.1.1", "https://127.0.0.1", "https://[::ffff:127.0.0.1]",
        "https://2130706433/", "https://127.1/", "https://0x7f.1/", "https://0177.0.0.1/", "https://127.0.0.1./",
        "https://0x7f000001/", "https://017700000001/", "https://[::1]/", "https://[::]/", "https://[fe80::1]/",
        "https://[fc00::1]/", "https://[ff02::1]/", "https://[::ffff:169.254.169.254]/", "https://[64:ff9b::7f00:1]/",
        "https://[2002:7f00:1::]/", "https://[::127.0.0.1]/", "https://169.254.169.254/", "https://0.0.0.0/",
        "https://255.255.255.255/", "https://100.64.0.1/", "https://224.0.0.1/", "https://user:pw@10.0.0.1:8443/x",
    ],
)  # fmt: skip
def test_03_check_62_private_addresses_in_any_spelling(url: str) -> None:
    assert refusal(url) == "Private IP blocked"


@pytest.mark.parametrize(
    "url", ["https://8.8.8.8/", "https://134744072/", "https://[2001:4860:4860::8888]/", "https://example.com/"]
)
def test_03_B4_public_ones_pass(url: str) -> None:
    assert refusal(url) is None


@pytest.mark.parametrize(
    "url",
    [
        "://bad-url", "", "example.com", "/relative", "https://", "https:///path", "https://h:99999/", "https://1.2.3.4.5/",
        "https://256.1.1.1/", "https://0x1ffffffff/", "https://08.1.1.1/", "https://ex%61mple.com/", "https://a.1.b.99/",
    ],
)  # fmt: skip
def test_03_check_62_what_is_no_url(url: str) -> None:
    assert refusal(url, OPEN) == "Invalid URL"


def test_03_B4_schemes() -> None:
    assert refusal("http://example.com") == "HTTPS is required"
    assert refusal("http://example.com", OPEN) is None
    assert refusal("http://127.0.0.1:3000/x", OPEN) is None
    assert refusal("ftp://example.com", OPEN) == "Invalid URL"
    assert refusal("file:///etc/passwd", OPEN) == "Invalid URL"


@pytest.mark.parametrize(
    ("pattern", "url", "allowed"),
    [
        ("*.example.com", "https://api.example.com/", True),
        ("*.example.com", "https://a.b.example.com/", True),
        ("*.example.com", "https://example.com/", False),
        ("*.example.com", "https://example.com.evil.org/", False),
        ("*.example.com", "https://API.EXAMPLE.COM/", True),
        ("api?.example.com", "https://api1.example.com/", True),
        ("api[12].example.com", "https://api3.example.com/", False),
        ("https://api.example.com/v1/*", "https://api.example.com/v1/x", True),
        ("https://api.example.com/v1/*", "https://api.example.com/v2/x", False),
        ("https://api.example.com:8443/*", "https://api.example.com/x", False),
        ("8.8.8.*", "https://8.8.8.8/", True),
    ],
)
def test_03_B4_the_allowlist(pattern: str, url: str, allowed: bool) -> None:
    assert (refusal(url, SecurityConfig(url_allowlist=(pattern,))) is None) is allowed
    assert refusal(url, SecurityConfig(url_allowlist=())) is None


def test_03_B1_a_pattern_that_is_none() -> None:
    with pytest.raises(UrlRefused, match=r"Invalid URL$"):
        UrlRules(SecurityConfig(url_allowlist=("[invalid",)))


def test_the_address_that_was_judged_is_the_one_that_is_called() -> None:
    assert UrlRules(OPEN).check("http://0x7f.1:80/x?y=1").host == "127.0.0.1"
    assert UrlRules(OPEN).check("http://[::ffff:127.0.0.1]/").host == "::ffff:7f00:1"


@pytest.mark.parametrize("host", ["example.com", "localhost.", "a.b", "1.example", "0x7f.example.com", "", "x1"])
def test_names_are_no_addresses(host: str) -> None:
    assert literal_address(host) is None


@pytest.mark.parametrize("host", ["1.2.3.4.5", "09", "1.2.3.256", "a.b.1", ":::1"])
def test_what_ends_in_a_number_and_is_no_address_is_refused(host: str) -> None:
    with pytest.raises(NoAddress):
        literal_address(host)


@pytest.mark.parametrize(
    "address",
    [
        "192.0.0.192", "192.0.0.8", "198.18.0.1", "198.19.255.255", "192.88.99.1", "10.1.2.3", "169.254.169.254",
        "100.100.100.200", "fec0::1", "64:ff9b:1::1", "64:ff9b:1::808:808", "::ffff:0:127.0.0.1", "::ffff:0:8.8.8.8",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001::1", "2001:2::1", "2001:10::1", "2001:20::1", "2001:db8::1",
        "3fff::1", "100::1", "100:0:0:1::1", "5f00::1", "::8.8.8.8", "::127.0.0.1", "::", "::1", "::2", "fe80::1", "ff02::1",
        "2002:7f00:1::", "2002:a00:1::1", "2002:a9fe:a9fe::1", "64:ff9b::10.0.0.1", "64:ff9b::169.254.169.254",
        "::ffff:10.0.0.1", "2606:4700::5efe:10.0.0.1", "2606:4700::200:5efe:127.0.0.1", "fd00::1", "4000::1",
    ],
)  # fmt: skip
def test_http_minor_addresses_that_are_not_global_or_wrap_such_a_one(address: str) -> None:
    """IANA's special-purpose registries; mapped, compatible, 6to4, NAT64, Teredo, ISATAP and SIIT forms of IPv4."""
    assert is_blocked(ip_address(address))
    assert refusal(f"https://[{address}]/" if ":" in address else f"https://{address}/") == "Private IP blocked"


@pytest.mark.parametrize(
    "text", ["https://xn--/", "http://xn--/", "https://xn--a.xn--/", "https://xn--" + "a" * 70 + "/"]
)
def test_http_minor_a_name_that_is_no_punycode_is_no_url(text: str) -> None:
    assert refusal(text, OPEN) == "Invalid URL"


SPELLINGS = [  # of this machine, in ways that some library, resolver or browser takes for it
    "127.0.0.1.", "127.0.0.1..", "127.0.0.1...", ".127.0.0.1", "127..1", "127.1", "127.0.1", "0x7f.1", "0X7F.1.", "0x7f.1..",
    "2130706433", "2130706433..", "017700000001", "0x7f000001", "0177.0x0.0.1", "127.0.0.01", "127.0.0.0x1", "127.0x.0.1",
    "0", "0.", "0..", "0x", "0x0", "00", "[::1]", "[0:0:0:0:0:0:0:1]", "[::]", "[::127.0.0.1]", "[::ffff:127.0.0.1]",
    "[::FFFF:7F00:1]", "[::ffff:0:127.0.0.1]", "[64:ff9b::7f00:1]", "[64:ff9b::127.0.0.1]", "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::]", "[2002:7f00:0001:1::9]", "[2001:0:7f00:1::]", "[2001:0:4136:e378:8000:63bf:80ff:fffe]",
    "[2606:4700::5efe:7f00:1]", "[::1%25lo]", "[::1%lo]", "[fe80::1%eth0]", "[::1].", "[127.0.0.1]", "[v1.127.0.0.1]",
    "localhost", "LocalHost.", "localhost..", "a.localhost", "a.localhost..", ".localhost", "%6cocalhost", "localhost%00",
    "%31%32%37.0.0.1", "127%2e0.0.1", "127.0.0.1%20", "127.0.0.1 ", " 127.0.0.1", "127.0.0.1\t", "127.0.0.1%0a",
    "8.8.8.8@127.0.0.1", "8.8.8.8:80@127.0.0.1", "a@b@127.0.0.1", ":@127.0.0.1", "8.8.8.8%40@127.0.0.1", "a:b@[::1]",
    "8.8.8.8\\@127.0.0.1", "127.0.0.1\\@8.8.8.8", "8.8.8.8;127.0.0.1", "8.8.8.8,127.0.0.1", "127.0.0.1:80:80", "+127.0.0.1",
    "\uff11\uff12\uff17.0.0.1", "\uff11\uff12\uff17\uff0e\uff10\uff0e\uff10\uff0e\uff11", "127\u30020\u30020\u30021", "127\uff610.0.1",
    "\u2460\u2461\u2466.\u24ea.\u24ea.\u2460", "\U0001d7cf\U0001d7d0\U0001d7d5.0.0.1", "\uff10\uff58\uff17\uff46.1", "\uff4c\uff4f\uff43\uff41lhost",
    "\u24dbocalhost", "localhost\u3002", "127.0.0.1\u3002", "127.0.0.1\uff0e\uff0e", "loc\u00adalhost", "127\u200b.0.0.1",
]  # fmt: skip


@pytest.mark.parametrize("host", SPELLINGS)
@pytest.mark.parametrize("url", ["https://{}/", "https://{}:8443/x?y=1", "HTTPS://{}"])
def test_03_B4_no_spelling_of_this_machine_gets_past_the_check(host: str, url: str) -> None:
    """Refused at once, whatever a resolver would make of it."""
    assert refusal(url.format(host)) in ("Private IP blocked", "Invalid URL")


@pytest.mark.parametrize(
    "host",
    ["a..b", ".example.com", "example.com..", ".", "..", "-a.example", "a-.example", "a b.example", "x.1..", "a" * 64, "a." * 128],
)  # fmt: skip
def test_03_B4_what_is_neither_an_address_nor_a_name_of_dns_is_no_url(host: str) -> None:
    assert refusal(f"https://{host}/", OPEN) == "Invalid URL"


@pytest.mark.parametrize(
    "host",
    [
        "example.com.",
        "a_b.internal",
        "_x",
        "xn--bcher-kva.example",
        "b\u00fccher.example",
        "1e9",
        "a" * 63,
        "3com.example",
    ],
)
def test_03_B4_names_of_dns_are_not_refused(host: str) -> None:
    assert refusal(f"https://{host}/") is None


@given(
    st.one_of(
        st.text(),
        st.text().map(lambda text: f"https://{text}"),
        st.builds("http://{}:{}/{}?{}".format, st.text(), st.text(), st.text(), st.text()),
        st.text("xn-.:@[]%0123456789abcdef/\\", min_size=1).map(lambda text: f"https://{text}/"),
        st.ip_addresses().map(lambda address: f"https://[{address}]/"),
    )
)
def test_no_text_gets_past_the_check_with_anything_but_a_refusal(text: str) -> None:
    for security in (OPEN, SecurityConfig()):
        try:
            url = UrlRules(security).check(text)
        except UrlRefused:
            continue
        assert url.scheme in ("http", "https")
        assert url.host


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8",
        "2606:4700::1111",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
        "2002:808:808::1",
        "192.0.1.1",
        "2620:4f:8000::1",
    ],
)
def test_public_addresses_are_not_blocked(address: str) -> None:
    assert not is_blocked(ip_address(address))
