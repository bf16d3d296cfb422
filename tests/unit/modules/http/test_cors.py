"""Cross-origin headers (03 A10)."""

import pytest

from iii.modules.http.config import CorsConfig
from iii.modules.http.cors import Cors
from iii.modules.http.headers import Headers

ORIGIN = "http://allowed.com"
VARY = (b"vary", b"origin, access-control-request-method, access-control-request-headers")


def added(cors: Cors, origin: str | None, *own: tuple[bytes, bytes]) -> Headers:
    headers = list(own)
    cors.add_to(headers, origin)
    return headers


def test_03_check_48_without_a_block_everything_is_allowed() -> None:
    cors = Cors(None)
    expected = [(b"access-control-allow-origin", b"*"), (b"access-control-expose-headers", b"*"), VARY]
    assert added(cors, "http://example.com") == added(cors, None) == expected
    assert cors.preflight(ORIGIN).headers == [
        (b"access-control-allow-origin", b"*"),
        (b"access-control-allow-methods", b"*"),
        (b"access-control-allow-headers", b"*"),
        VARY,
    ]


def test_03_check_49_only_a_listed_origin_is_echoed() -> None:
    cors = Cors(CorsConfig(allowed_origins=(ORIGIN,), allowed_methods=("GET", "post")))
    assert added(cors, ORIGIN) == [(b"access-control-allow-origin", ORIGIN.encode()), VARY]
    for other in ("http://other.com", "HTTP://allowed.com", None):
        assert added(cors, other) == [VARY]
    allowed, refused = cors.preflight(ORIGIN), cors.preflight("http://other.com")
    rest = [(b"access-control-allow-methods", b"GET,post"), (b"access-control-allow-headers", b"*"), VARY]
    assert (allowed.status, allowed.headers, allowed.body) == (
        200,
        [(b"access-control-allow-origin", ORIGIN.encode()), *rest],
        b"",
    )
    assert (refused.status, refused.headers) == (200, rest)


@pytest.mark.parametrize("origins", [(), ("*",), ("http://a", "*")])
def test_03_A10_a_star_allows_every_origin(origins: tuple[str, ...], caplog: pytest.LogCaptureFixture) -> None:
    cors = Cors(CorsConfig(allowed_origins=origins))
    assert added(cors, "http://b") == [(b"access-control-allow-origin", b"*"), VARY]
    assert len(caplog.records) == (len(origins) == 2)


def test_03_A10_what_the_handler_sets_itself_stays() -> None:
    own = (b"access-control-allow-origin", b"http://mine")
    assert added(Cors(None), None, own) == [own, (b"access-control-expose-headers", b"*"), VARY]
    vary = (b"vary", b"accept")
    assert added(Cors(None), None, vary, own)[:2] == [vary, own]
    assert added(Cors(None), None, vary, own)[-1] == VARY
