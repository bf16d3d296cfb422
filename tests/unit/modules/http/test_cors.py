"""Cross-origin headers (03 §A10)."""

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


def test_P2_http_M9_a_listed_origin_may_send_what_it_asks_for() -> None:
    cors = Cors(
        CorsConfig(allowed_origins=(ORIGIN,), allow_credentials=True, expose_headers=("X-Total", "etag"), max_age=600)
    )
    credentials = (b"access-control-allow-credentials", b"true")
    assert added(cors, ORIGIN) == [
        (b"access-control-allow-origin", ORIGIN.encode()), credentials,
        (b"access-control-expose-headers", b"X-Total,etag"), VARY,
    ]  # fmt: skip
    assert added(cors, "http://other.com") == [VARY]
    assert cors.preflight(ORIGIN, "PUT", "authorization,x-key").headers == [
        (b"access-control-allow-origin", ORIGIN.encode()), credentials,
        (b"access-control-allow-methods", b"PUT"), (b"access-control-allow-headers", b"authorization,x-key"),
        (b"access-control-max-age", b"600"), VARY,
    ]  # fmt: skip
    refused = dict(cors.preflight("http://other.com", "PUT", "authorization").headers)
    assert b"access-control-allow-origin" not in refused
    assert credentials[0] not in refused
    assert refused[b"access-control-allow-headers"] == b"*"


def test_P2_http_M9_without_credentials_explicit_origins_still_may_send_authorization() -> None:
    cors = Cors(CorsConfig(allowed_origins=(ORIGIN,)))
    told = dict(cors.preflight(ORIGIN, "PUT", "authorization").headers)
    assert (told[b"access-control-allow-methods"], told[b"access-control-allow-headers"]) == (b"*", b"authorization")


def test_P2_the_request_id_may_be_read_by_default() -> None:
    exposed = (b"access-control-expose-headers", b"x-request-id")
    assert exposed in added(Cors(CorsConfig(), "x-request-id"), ORIGIN)
    assert exposed in added(Cors(CorsConfig(allowed_origins=(ORIGIN,)), "x-request-id"), ORIGIN)
    assert exposed not in added(Cors(CorsConfig(expose_headers=()), "x-request-id"), ORIGIN)


def test_http_M8_a_host_that_is_no_origin_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    Cors(CorsConfig(allowed_origins=("localhost", "a.example", "https://b.example")))
    texts = [record.getMessage() for record in caplog.records]
    assert len(texts) == 2
    assert "it has no scheme (origin=localhost, hint=http://localhost)" in texts[0]
