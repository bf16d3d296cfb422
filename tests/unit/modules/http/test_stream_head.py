"""Control messages of a streamed response (03 §A6.1)."""

import json
from typing import Any

import pytest

from iii.modules.http.headers import HEAD_BYTES, MOST_HEADERS
from iii.modules.http.stream_head import StreamHead


def head(*messages: Any) -> StreamHead:
    head = StreamHead()
    for message in messages:
        head.apply(message if isinstance(message, bytes) else json.dumps(message).encode())
    return head


def test_03_check_35_status_and_headers() -> None:
    found = head(
        {"type": "set_status", "status_code": 206},
        {"type": "set_headers", "headers": {"content-type": "text/plain", "bad\nheader": "x", "X-N": 5}},
    )
    assert (found.status, found.headers) == (206, [(b"content-type", b"text/plain")])


def test_later_headers_replace_those_of_the_same_name() -> None:
    found = head(
        {"type": "set_headers", "headers": {"X-A": "1", "X-B": ["2", "3"]}},
        {"type": "set_headers", "headers": {"x-a": "4", "connection": "keep-alive"}},
    )
    assert found.headers == [(b"x-b", b"2"), (b"x-b", b"3"), (b"x-a", b"4")]


@pytest.mark.parametrize("value", [["2", 3, "4"], ["2", None, "4"], [["x"], "2", "4", {}, True]])
def test_03_A6_1_an_item_that_is_not_text_takes_no_other_with_it(
    value: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    found = head({"type": "set_headers", "headers": {"x-a": "1"}}, {"type": "set_headers", "headers": {"X-B": value}})
    assert found.headers == [(b"x-a", b"1"), (b"x-b", b"2"), (b"x-b", b"4")]
    assert [record.message for record in caplog.records] == [
        "Header of a streamed response left out: not text (header=X-B)"
    ]


@pytest.mark.parametrize("value", [5, None, True, {}, [], [5]])
def test_03_A6_1_a_header_without_any_text_changes_nothing(value: object) -> None:
    found = head({"type": "set_headers", "headers": {"x-a": "1"}}, {"type": "set_headers", "headers": {"x-a": value}})
    assert found.headers == [(b"x-a", b"1")]


def test_a_content_length_is_the_handlers_to_say() -> None:
    assert head({"type": "set_headers", "headers": {"content-length": "5"}}).headers == [(b"content-length", b"5")]


@pytest.mark.parametrize(
    "message",
    [
        {"type": "set_status", "status_code": 99},
        {"type": "set_status", "status_code": 199},
        {"type": "set_status", "status_code": 600},
        {"type": "set_status", "status_code": "abc"},
        {"type": "set_status", "status_code": 201.0},
        {"type": "set_status", "status_code": True},
        {"type": "set_status"},
        {"type": "set_headers"},
        {"type": "set_headers", "headers": ["a: b"]},
        {"type": "nonsense"},
        {"status_code": 201},
        [],
        b"",
        b"{",
        b'"\xff"',
        b"[" * 100_000,
    ],
)
def test_03_check_38_what_makes_no_sense_has_no_effect(message: Any) -> None:
    found = head(message)
    assert (found.status, found.headers) == (200, [])


@pytest.mark.parametrize("length", ["abc", "-1", "+5", "", "9" * 30, ["5", "6"]])
def test_03_A6_1_a_content_length_that_is_none_is_left_out(length: object) -> None:
    assert head({"type": "set_headers", "headers": {"Content-Length": length, "x-a": "1"}}).headers == [(b"x-a", b"1")]


def test_03_A6_1_a_name_replaces_itself_however_it_is_spelt() -> None:
    assert head({"type": "set_headers", "headers": {"X-A": "1", "x-a": "2"}}).headers == [(b"x-a", b"2")]


@pytest.mark.parametrize(
    "messages",
    [
        [{"type": "set_headers", "headers": {f"x-{number}": "1"}} for number in range(5000)],
        [{"type": "set_headers", "headers": {f"x-{number}": "1" for number in range(5000)}}],
        [{"type": "set_headers", "headers": {"x": ["1"] * 5000}}],
        [{"type": "set_headers", "headers": {"x": "1" * HEAD_BYTES}}],
        [{"type": "set_headers", "headers": {f"x-{number}-{each}": "1" for each in range(600)}} for number in range(5)],
    ],
)
def test_kind_2_3_a_head_is_bounded_and_the_log_says_so_once(
    messages: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    """What comes before the limit counts, what comes after it is passed over."""
    found = head({"type": "set_status", "status_code": 201}, *messages)
    assert found.status == 201
    assert len(found.headers) <= MOST_HEADERS
    assert [record.__dict__["event"] for record in caplog.records] == ["http.stream_head_exceeded"]
