"""Calls as HTTP requests, responses as results (03 §B3, §B5)."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest

from iii.engine.functions import Function
from iii.engine.invocation import Invocation
from iii.modules.http_functions.auth import Secrets, signature
from iii.modules.http_functions.config import SecurityConfig
from iii.modules.http_functions.outgoing import body_of, check_headers, headers_of, result_of
from iii.net.exchange_causes import cause_of
from iii.protocol.errors import InvocationError
from iii.protocol.messages import ApiKeyAuth, BearerAuth, HmacAuth, HttpInvocation

SECRETS = Secrets(SecurityConfig().env_allowlist)


def function(**members: Any) -> Function:
    unused: Any = object()
    return Function(
        "default", "external::f", unused, unused, invocation=HttpInvocation("https://example.com", **members)
    )


def failure(status: int, content: bytes) -> tuple[str, str]:
    with pytest.raises(InvocationError) as error:
        result_of(status, content)
    return error.value.code, error.value.message


def test_03_B3_the_headers() -> None:
    call = Invocation(
        "external::f", None, b"{}", call_id="the-id", traceparent=f"00-{'a' * 32}-{'b' * 16}-01", baggage="x=y"
    )
    sent = function(headers={"content-type": "text/x", "X-Own": "1", "x-III-timestamp": "9"})
    assert headers_of(call, sent, b"{}", 1000, SECRETS) == {
        "x-iii-Function-Path": "external::f", "x-iii-Invocation-ID": "the-id", "x-iii-Timestamp": "1000",
        "Accept": "*/*", "content-type": "text/x", "X-Own": "1", "x-iii-Trace-ID": "a" * 32,
        "traceparent": f"00-{'a' * 32}-{'b' * 16}-01", "baggage": "x=y",
    }  # fmt: skip
    plain = headers_of(Invocation("external::f", None, b"{}"), function(), b"{}", 1, SECRETS)
    assert plain["Content-Type"] == "application/json"
    assert len(plain["x-iii-Invocation-ID"]) == 36


@pytest.mark.parametrize("baggage", ["a=b\r\nx: y", "a=\x00", f"a={'b' * 9000}"])
def test_06_s3_rule_9_baggage_that_is_no_header_is_left_out(baggage: str) -> None:
    call = Invocation("external::f", None, b"{}", baggage=baggage)
    assert "baggage" not in headers_of(call, function(), b"{}", 1, SECRETS)


@pytest.mark.parametrize("headers", [{"a b": "x"}, {"": "x"}, {"a": "x\r\ny: z"}, {"a": "\x00"}])
def test_03_B2_headers_that_http_has_not(headers: dict[str, str]) -> None:
    with pytest.raises(InvocationError, match="is not valid"):
        check_headers(HttpInvocation("https://example.com", headers=headers))


def test_03_B3_the_body_is_compact() -> None:
    assert body_of(Invocation("f", None, b'{"a": [1, 2]}')) == b'{"a":[1,2]}'
    assert body_of(Invocation("f", None, b"null")) == b"null"


@pytest.mark.parametrize(
    ("body", "secret", "timestamp", "value"),
    [
        ("hello", "secret", "1000", "cfef82098fd2d00d43b8884c6e161980a3d1a4cf12dacf4703d31f84d9221f0b"),
        (
            '{"hello":"world"}',
            "secret",
            "1700000000",
            "d0490163db52084b80eebdd46f07171996db9c1a1c4934485373495c9f3bbda0",
        ),
    ],
)
def test_03_B5_hmac_vectors(body: str, secret: str, timestamp: str, value: str) -> None:
    assert signature(secret, body.encode(), timestamp) == f"sha256={value}"


def test_03_check_58_59_secrets_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THE_SECRET", "s3cret")
    assert SECRETS.auth_header(BearerAuth("THE_SECRET"), b"", "1") == ("Authorization", "Bearer s3cret")
    assert SECRETS.auth_header(ApiKeyAuth("X-Key", "THE_SECRET"), b"", "1") == ("X-Key", "s3cret")
    assert SECRETS.auth_header(HmacAuth("THE_SECRET"), b"x", "1") == ("x-iii-Signature", signature("s3cret", b"x", "1"))
    monkeypatch.delenv("THE_SECRET")
    for auth, code, text in (
        (BearerAuth("THE_SECRET"), "token_not_found", "Token not found: THE_SECRET"),
        (ApiKeyAuth("X-Key", "THE_SECRET"), "api_key_not_found", "API key not found: THE_SECRET"),
        (HmacAuth("THE_SECRET"), "secret_not_found", "Secret not found: THE_SECRET"),
    ):
        with pytest.raises(InvocationError) as error:
            SECRETS.auth_header(auth, b"", "1")
        assert (error.value.code, error.value.message) == (code, text)


@pytest.mark.parametrize("name", ["HOME", "PATH", "DATABASE_URL", "HOSTNAME"])
def test_http_minor_a_variable_that_is_no_secret_of_workers_is_not_read(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """`security.env_allowlist`: whether it exists is not told, the remedy is."""
    for value in ("x", None):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
        with pytest.raises(InvocationError) as error:
            SECRETS.auth_header(BearerAuth(name), b"", "1")
        assert error.value.code == "token_not_found"
        assert error.value.message == (
            f"Token not allowed: {name}; add the name to `security.env_allowlist` of iii-http-functions"
        )
    monkeypatch.setenv(name, "x")
    assert Secrets((name,)).auth_header(BearerAuth(name), b"", "1")[1] == "Bearer x"
    with pytest.raises(InvocationError):
        Secrets(()).auth_header(BearerAuth("MY_TOKEN"), b"", "1")


@pytest.mark.parametrize("auth", [BearerAuth("MY_TOKEN"), ApiKeyAuth("x-key", "MY_TOKEN")])
def test_a_secret_that_would_break_the_head_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, auth: Any) -> None:
    monkeypatch.setenv("MY_TOKEN", "s3cret\r\nx: y")
    with pytest.raises(InvocationError, match="not valid in a header: MY_TOKEN") as error:
        SECRETS.auth_header(auth, b"", "1")
    assert "s3cret" not in str(error.value)


def test_the_name_of_an_api_keys_header_is_checked() -> None:
    with pytest.raises(InvocationError, match="is not valid"):
        check_headers(HttpInvocation("https://example.com", auth=ApiKeyAuth("a b", "MY_KEY")))


def all_errors(kind: type[Exception]) -> Iterator[type[Exception]]:
    yield kind
    for each in kind.__subclasses__():
        yield from all_errors(each)


@pytest.mark.parametrize("kind", sorted({*all_errors(aiohttp.ClientError)}, key=str))
def test_http_M3_no_error_of_the_library_tells_more_than_what_went_wrong(kind: type[Exception]) -> None:
    class Told(kind):  # type: ignore[misc, valid-type]  # whatever its constructor wants
        def __init__(self) -> None:
            Exception.__init__(self, "https://user:pw@host/?api_key=SECRET123")

        def __str__(self) -> str:
            return "https://user:pw@host/?api_key=SECRET123"

    text = cause_of(Told())
    assert text
    assert "SECRET123" not in text


def test_03_check_60_what_a_response_means() -> None:
    assert result_of(204, b"") is None
    assert result_of(200, b'{"a": 1}') == b'{"a": 1}'
    assert result_of(201, b"null") is None
    assert result_of(302, b"<html>") is None
    assert result_of(304, b'{"a":1}') == b'{"a":1}'
    assert failure(200, b"<html>")[0] == "invalid_response"
    assert failure(200, b'{"a":1e999}')[0] == "invalid_response"  # callers could not read it
    assert failure(502, b'{"error":{"code":"upstream_failure","message":"gateway failed"}}') == (
        "upstream_failure", "gateway failed",
    )  # fmt: skip
    assert failure(400, b"text") == ("http_error", "HTTP 400 Bad Request")
    assert failure(500, b"") == ("http_error", "HTTP 500 Internal Server Error")
    assert failure(599, b"[]") == ("http_error", "HTTP 599 <unknown status code>")
    assert failure(400, b'{"error":{}}') == ("http_error", "HTTP request failed")
    assert failure(400, b'{"error":"text"}') == ("http_error", "HTTP request failed")
    assert failure(400, b'{"error":{"code":5,"message":"m"}}') == ("http_error", "m")


def test_kind_2_no_objects_are_made_of_a_response() -> None:
    lists = b"[" + b"[]," * 2_000_000 + b"[]]"
    tracemalloc.start()
    try:
        assert result_of(200, lists) is lists
        assert failure(500, b'{"error":{"code":"c","message":"m","more":%b}}' % lists) == ("c", "m")
        assert failure(500, b'{"error":{"code":%b}}' % lists) == ("http_error", "HTTP request failed")
        assert failure(500, b'{"error":%b}' % lists) == ("http_error", "HTTP request failed")
        assert failure(500, lists) == ("http_error", "HTTP 500 Internal Server Error")
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 8 * len(lists)  # objects take 56 bytes for each of these three
