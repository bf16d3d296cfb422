"""Whatever a handler returns, streams or is asked: a response that HTTP has (03 §A5–A7)."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qsl

from hypothesis import given
from hypothesis import strategies as st

from iii.modules.http.answer import Answer
from iii.modules.http.request_object import query_params
from iii.modules.http.result import answer_of, answer_of_middleware
from iii.modules.http.stream_head import StreamHead

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
NAMES = st.text() | st.sampled_from(["content-type", "Content-Length", "X-A", "set-cookie", "transfer-encoding"])
RESPONSES = st.fixed_dictionaries(
    {},
    optional={
        "status_code": JSON | st.integers(0, 1100),
        "statusCode": JSON | st.integers(0, 1100),
        "headers": JSON | st.dictionaries(NAMES, JSON, max_size=5) | st.lists(st.text() | JSON, max_size=5),
        "body": JSON | st.fixed_dictionaries({"type": st.just("Buffer"), "data": st.lists(JSON | st.integers(0, 300))}),
    },
)
TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+")


def assert_sendable(answer: Answer) -> None:
    assert 200 <= answer.status <= 999
    for name, value in answer.headers:
        assert TOKEN.fullmatch(name)
        assert name not in (b"content-length", b"transfer-encoding", b"connection")
        assert not set(value) & {0, 10, 13}
    assert answer.status not in (204, 304) or not answer.body


@given(JSON | RESPONSES, st.booleans(), st.booleans())
def test_03_A7_any_result_is_a_response(result: Any, escaped: bool, spaced: bool) -> None:
    text = json.dumps(result, ensure_ascii=escaped, separators=None if spaced else (",", ":"))
    sent = text.encode(errors="surrogatepass" if escaped else "replace")
    for answer in (answer_of(sent), answer_of_middleware(sent)):
        if answer is None:
            status = result.get("status_code", result.get("statusCode"))
            assert 100 <= status < 200
        else:
            assert_sendable(answer)


@given(JSON)
def test_03_A7_a_body_without_content_type_means_what_the_handler_said(body: Any) -> None:
    answer = answer_of(json.dumps({"body": body}).encode())
    assert answer is not None
    assert json.loads(answer.body) == body


@given(st.lists(st.binary() | RESPONSES | st.fixed_dictionaries({"type": st.just("set_headers"), "headers": JSON})))
def test_03_A6_1_any_control_message_leaves_a_head_that_http_has(messages: list[Any]) -> None:
    head = StreamHead()
    for message in messages:
        head.apply(message if isinstance(message, bytes) else json.dumps(message).encode())
    assert_sendable(Answer(head.status, [each for each in head.headers if each[0] != b"content-length"], b""))


@given(st.lists(st.tuples(st.text(), st.text())), st.binary())
def test_03_A5_a_query_is_read_as_forms_are(pairs: list[tuple[str, str]], noise: bytes) -> None:
    from urllib.parse import urlencode

    sent = urlencode([(key.encode(errors="replace"), value.encode(errors="replace")) for key, value in pairs]).encode()
    assert query_params(sent) == dict(parse_qsl(sent.decode(), keep_blank_values=True))
    assert all(isinstance(value, str) for value in query_params(noise).values())
