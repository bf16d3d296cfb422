"""What functions are told of a request (03 §A5, §A9.3)."""

import json
import tracemalloc
from typing import Any

import pytest

from iii.engine.channel_refs import ChannelRef
from iii.modules.http.headers import header_map
from iii.modules.http.json_body import LARGE_BYTES, json_or_null
from iii.modules.http.request_object import middleware_input, query_params, request_object
from iii.protocol.media_types import is_json


def test_03_A5_every_member_is_there() -> None:
    refs = ChannelRef("i", "k", "read"), ChannelRef("j", "l", "write")
    sent = request_object(
        api_path="users/:id", method="POST", path_params={"id": "42"}, query=b"q=hello",
        headers={"host": "localhost:3111", "content-type": "application/json"}, body=b'{"name": "x"}',
        request_ref=refs[0], response_ref=refs[1],
    )  # fmt: skip
    assert json.loads(sent) == {
        "query_params": {"q": "hello"},
        "path_params": {"id": "42"},
        "headers": {"host": "localhost:3111", "content-type": "application/json"},
        "path": "users/:id",
        "method": "POST",
        "body": {"name": "x"},
        "trigger": {"type": "http", "path": "users/:id", "method": "POST"},
        "request_body": {"channel_id": "i", "access_key": "k", "direction": "read"},
        "response": {"channel_id": "j", "access_key": "l", "direction": "write"},
    }


def test_03_check_46_a_condition_gets_body_but_no_channels() -> None:
    sent = json.loads(request_object(api_path="/a", method="GET", path_params={}, query=b"", headers={}, body=b"null"))
    assert "body" in sent
    assert not sent.keys() & {"request_body", "response"}


def test_03_A9_3_middleware_gets_no_path_and_no_body() -> None:
    sent = json.loads(middleware_input("preHandler", {"id": "42"}, b"q=hello", {"x-api-key": "k"}, "GET"))
    assert sent == {
        "phase": "preHandler",
        "request": {
            "path_params": {"id": "42"}, "query_params": {"q": "hello"}, "headers": {"x-api-key": "k"}, "method": "GET",
        },
        "context": {},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("query", "params"),
    [
        (b"", {}),
        (b"q=hello&limit=10", {"q": "hello", "limit": "10"}),
        (b"a=1&a=2", {"a": "2"}),
        (b"x", {"x": ""}),
        (b"=v", {"": "v"}),
        (b"&&a=1&", {"a": "1"}),
        (b"a=1;b=2", {"a": "1;b=2"}),
        (b"a=%zz", {"a": "%zz"}),
        (b"a+b=c+d%2B", {"a b": "c d+"}),
        (b"a=%ff", {"a": "�"}),
        (b"a=%C3%A4", {"a": "ä"}),
        ("a=ä".encode(), {"a": "ä"}),
        (b"a=b=c", {"a": "b=c"}),
    ],
)
def test_03_check_4_query(query: bytes, params: dict[str, str]) -> None:
    assert query_params(query) == params


def test_03_check_7_headers_are_one_string_each() -> None:
    headers = [
        (b"x-custom", b"a"),
        (b"cookie", b"a=1"),
        (b"x-custom", b"b"),
        (b"cookie", b"b=2"),
        (b"x-u", b"\xc3\xa4"),
    ]
    assert header_map(headers) == {"x-custom": "a, b", "cookie": "a=1; b=2", "x-u": "Ã¤"}


@pytest.mark.parametrize(
    ("content_type", "json_body"),
    [
        ("application/json", True),
        ("application/json; charset=utf-8", True),
        ("Application/JSON", True),
        ("application/vnd.api+json", True),
        ("application/problem+json; charset=utf-8", True),
        ("application/ json", False),
        ("application/json5", False),
        ("application/jsonp", False),
        ("application/jsonl", False),
        ("text/plain; a=application/json", False),
        ("text/plain;application/json", False),
        ("multipart/form-data; boundary=application/json", False),
        ("application/x-www-form-urlencoded; x=+json", False),
        ("text/plain, application/json", False),
        ("application/json, text/plain", False),
        ("+json", False),
        ("", False),
        ("text/json", False),
        ("text/plain", False),
        (None, False),
    ],
)
def test_P1_http_M1_the_essence_of_a_media_type_decides_what_is_json(content_type: str | None, json_body: bool) -> None:
    assert is_json(content_type) is json_body


@pytest.mark.parametrize(
    "content", [b"{}", b'{"z":2, "a":1}', b"[1,2]", b'"x"', b"1.0", b"123456789012345678901234567890", b" null "]
)
def test_03_check_18_json_is_passed_on_as_it_is(content: bytes) -> None:
    assert json_or_null(content) == content


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xef\xbb\xbf{}", b"NaN", b'{"a":Infinity}', b'"\xff"', b"{} {}", b"[" * 100_000 + b"]" * 100_000],
)
def test_03_check_19_anything_else_is_null(content: bytes) -> None:
    assert json_or_null(content) == b"null"


@pytest.mark.parametrize("end", [b"[]]", b"[]", b"[}]", b"'']"])
@pytest.mark.parametrize("item", [b"[],", b'{"a":{}},', b'"",', b"0,", b"[" * 400 + b"]" * 400 + b","])
def test_kind_2_no_objects_are_made_of_a_body(item: bytes, end: bytes) -> None:
    """Half a MiB of `[],` took 40 ms, of values nested 400 deep 80 ms; a look through takes 2 ms."""
    content = b"[" + item * (LARGE_BYTES // len(item)) + end
    tracemalloc.start()
    try:
        found = json_or_null(content)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found == (content if end == b"[]]" else b"null")
    assert most < 4 * len(content)


def test_a_request_is_encoded_with_any_json_body() -> None:
    body: Any = {"ä": [None, True, 1.5, "\u2028"]}
    sent = request_object(
        api_path="/ä", method="GET", path_params={"a": "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16")},
        query=b"\x00=%00", headers={"x": bytes(range(32, 127)).decode()}, body=json.dumps(body).encode(),
    )  # fmt: skip
    assert json.loads(sent)["body"] == body
