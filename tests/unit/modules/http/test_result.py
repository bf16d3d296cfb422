"""The response that a function's result stands for (03 §A7)."""

import json
from typing import Any

import pytest

from iii.modules.http.answer import Answer
from iii.modules.http.headers import HEAD_BYTES, MOST_HEADERS
from iii.modules.http.json_body import COMPACT_BYTES
from iii.modules.http.result import answer_of, answer_of_middleware

JSON_TYPE = (b"content-type", b"application/json")


def answer(result: Any) -> Answer:
    found = answer_of(result if isinstance(result, bytes) else json.dumps(result, separators=(",", ":")).encode())
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"status_code": 201}, 201),
        ({"status_code": 999}, 999),
        ({"status_code": 201.0}, 201),
        ({"statusCode": 404}, 404),
        ({"status_code": 201, "statusCode": 404}, 201),
        ({"status_code": "abc"}, 200),
        ({"status_code": "404"}, 200),
        ({"status_code": 404.5}, 200),
        ({"status_code": -404}, 200),
        ({"status_code": 1000}, 200),
        ({"status_code": 99}, 200),
        ({"status_code": None}, 200),
        ({"status_code": True}, 200),
        ({"status_code": [404]}, 200),
        ({"status_code": 10**400}, 200),
        ({}, 200),
    ],
)
def test_03_check_25_status(sent: Any, status: int) -> None:
    assert answer(sent).status == status


@pytest.mark.parametrize("status", [100, 101, 199])
def test_03_A7_6_a_handler_cannot_send_1xx(status: int) -> None:
    assert answer_of(json.dumps({"status_code": status}).encode()) is None


@pytest.mark.parametrize("result", [{}, [1, 2], "x", 7, True, {"message": "hi"}])
def test_03_check_25_what_is_no_response_is_an_empty_one(result: Any) -> None:
    assert answer(result) == Answer(200, [JSON_TYPE], b"{}")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"a": [1, None]}, b'{"a":[1,null]}'),
        ("plain", b'"plain"'),
        (None, b"null"),
        (1.5, b"1.5"),
        ([], b"[]"),
    ],
)
def test_03_check_24_without_content_type_any_body_is_json(body: Any, text: bytes) -> None:
    assert answer({"body": body}) == Answer(200, [JSON_TYPE], text)


def test_03_A7_5_json_is_compact_utf8() -> None:
    sent = b'{"body": {"a" : [1, 2],\n "\\u00e4": "\\u00e4 x"}}'
    assert answer(sent).body == '{"a":[1,2],"ä":"ä x"}'.encode()


def test_numbers_beyond_64_bits_keep_their_digits() -> None:
    assert answer(b'{"body": {"n": 123456789012345678901234567890}}').body == b'{"n":123456789012345678901234567890}'


@pytest.mark.parametrize(
    ("content_type", "body", "text"),
    [
        ("text/xml", "<note/>", b"<note/>"),
        ("application/json", '{"a": 1}', b'{"a": 1}'),
        ("text/plain", "ä", "ä".encode()),
        ("text/plain", None, b""),
        ("application/json", None, b""),
        ("text/plain", {"a": 1}, b'{"a":1}'),
        ("application/problem+json", [1], b"[1]"),
        ("image/png", {"type": "Buffer", "data": [0, 255, 10]}, b"\x00\xff\n"),
        ("image/png", {"type": "Buffer", "data": []}, b""),
        ("application/json", {"type": "Buffer", "data": [1]}, b'{"type":"Buffer","data":[1]}'),
        ("image/png", {"type": "Buffer", "data": [256]}, b'{"type":"Buffer","data":[256]}'),
        ("image/png", {"type": "Buffer", "data": [1], "x": 1}, b'{"type":"Buffer","data":[1],"x":1}'),
    ],
)
def test_03_check_22_with_a_content_type(content_type: str, body: Any, text: bytes) -> None:
    assert answer({"headers": {"Content-Type": content_type}, "body": body}) == Answer(
        200, [(b"content-type", content_type.encode())], text
    )


def test_03_check_23_26_headers_as_lines() -> None:
    sent = {
        "headers": ["X-A: one", 123, None, "no-colon", ": nameless", "X-B: two", "Set-Cookie: a=1", "Set-Cookie:b=2"]
    }
    assert answer(sent).headers == [
        (b"x-a", b"one"), (b"x-b", b"two"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2"), JSON_TYPE,
    ]  # fmt: skip


def test_03_A7_2_headers_as_a_map() -> None:
    sent = {"headers": {"X-A": "one", "X-N": 5, "X-T": True, "X-L": ["a", "b", 7], "X-O": {}, "X-Z": None, "X-U": "ä"}}
    assert answer(sent).headers == [
        (b"x-a", b"one"), (b"x-n", b"5"), (b"x-t", b"true"), (b"x-l", b"a"), (b"x-l", b"b"), (b"x-u", "ä".encode()),
        JSON_TYPE,
    ]  # fmt: skip


@pytest.mark.parametrize("headers", [None, "X-A: one", 7, []])
def test_03_A7_2_anything_else_is_no_header(headers: Any) -> None:
    assert answer({"headers": headers}).headers == [JSON_TYPE]


@pytest.mark.parametrize("bad", ["a\r\nx-evil: 1", "a\nb", "a\x00", "a\x7f", "\x1b"])
def test_no_header_can_smuggle_another_one(bad: str) -> None:
    assert answer({"headers": {"X-A": bad, "X-B": "b"}}).headers == [(b"x-b", b"b"), JSON_TYPE]
    assert answer({"headers": {f"X{bad}": "a", "X-B": "b"}}).headers == [(b"x-b", b"b"), JSON_TYPE]


@pytest.mark.parametrize("name", ["Content-Length", "Transfer-Encoding", "Connection", "Keep-Alive", "Upgrade"])
def test_03_A7_7_the_server_decides_about_the_connection(name: str) -> None:
    assert answer({"headers": {name: "5"}}).headers == [JSON_TYPE]
    assert answer({"headers": [f"{name}: 5"]}).headers == [JSON_TYPE]


@pytest.mark.parametrize("status", [204, 205, 304])
def test_03_check_27_no_body_where_http_has_none(status: int) -> None:
    assert answer({"status_code": status, "body": {"a": 1}}) == Answer(status, [], b"")
    assert answer({"status_code": status, "headers": {"ETag": "x"}}) == Answer(status, [(b"etag", b"x")], b"")


@pytest.mark.parametrize(
    "headers",
    [{"Content-Type": ["text/a", "text/b"]}, ["Content-Type: text/a", "content-type: text/b"],
     {"Content-Type": "text/a", "content-type": "text/b"}],
)  # fmt: skip
def test_http_minor_a_header_that_is_single_is_sent_once(headers: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert answer({"headers": headers, "body": "x"}) == Answer(200, [(b"content-type", b"text/a")], b"x")
    assert "is repeated" in caplog.text
    cookies = {"Set-Cookie": ["a=1", "b=2"], "Link": ["<a>", "<b>"]}
    assert len(answer({"headers": cookies}).headers) == 5


def test_03_A9_3_a_middleware_responds() -> None:
    assert answer_of_middleware(b'{"status_code":403,"body":{"error":"Forbidden"}}') == Answer(
        403, [JSON_TYPE], b'{"error":"Forbidden"}'
    )
    assert answer_of_middleware(b"null") == Answer(200, [JSON_TYPE], b"null")
    assert answer_of_middleware(b"{}") == Answer(200, [JSON_TYPE], b"null")


def test_03_A7_2_no_header_takes_others_with_it() -> None:
    sent = '{"headers":{"x-huge":1e400,"x-half":1.50,"X-A ":" b\\r\\n","\\u212aelvin":"sign","x\\u00a0":"space"}}'
    assert answer(sent.encode()).headers == [(b"x-huge", b"1e400"), (b"x-half", b"1.50"), (b"x-a", b"b"), JSON_TYPE]


def test_03_A7_a_result_nested_beyond_reading_is_an_engine_error() -> None:
    assert answer_of(b'{"headers":' + b"[" * 100_000 + b"]" * 100_000 + b"}") is None


@pytest.mark.parametrize(
    "headers",
    [
        {f"x-{number}": "1" for number in range(MOST_HEADERS + 1)}, {f"x {number}": "1" for number in range(MOST_HEADERS + 1)},
        [f"x-{number}: 1" for number in range(MOST_HEADERS + 1)], {"x": ["1"] * (MOST_HEADERS + 1)},
        {"location": ["1"] * (MOST_HEADERS + 1)}, {"x": "1" * HEAD_BYTES},
    ],
)  # fmt: skip
def test_kind_2_a_head_past_the_limits_is_none(headers: Any, caplog: pytest.LogCaptureFixture) -> None:
    """200,000 headers of a result held the loop for 0.3 s; each that is not valid had a log line."""
    assert answer_of(json.dumps({"headers": headers, "body": 1}).encode()) is None
    assert len(caplog.records) <= MOST_HEADERS
    assert len(answer({"headers": {f"x-{number}": "1" for number in range(MOST_HEADERS)}}).headers) == MOST_HEADERS + 1


def test_kind_2_a_large_body_is_sent_as_it_came() -> None:
    """To take out spaces and escapes of 31 MiB held the loop for 0.5 s."""
    small, large = ["\u00e9 "] * 10, ["\u00e9 "] * (COMPACT_BYTES // 9)
    assert (
        answer(json.dumps({"body": small}).encode()).body
        == json.dumps(small, ensure_ascii=False, separators=(",", ":")).encode()
    )
    assert answer(json.dumps({"body": large}).encode()).body == json.dumps(large).encode()


@pytest.mark.parametrize("text", ["", "plain", "h\u00e9", "a\\b", 'a"b', "line\nline", "\U0001f600"])
@pytest.mark.parametrize("escaped", [True, False])
def test_03_A7_5_a_string_beside_a_content_type_is_sent_raw(text: str, escaped: bool) -> None:
    result = json.dumps({"headers": {"content-type": "text/plain"}, "body": text}, ensure_ascii=escaped)
    assert answer(result.encode()).body == text.encode()
