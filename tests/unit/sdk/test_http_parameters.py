"""Where the parameters of HTTP handlers come from, and which handlers are refused (issue 4, 08 §12)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import pytest

import iii
from iii.sdk.http_handler import HttpHandler
from iii.sdk.http_messages import server_sent_event
from iii.sdk.http_parameters import Source, parameters_of


class Opaque:
    def __init__(self, x: int) -> None: ...


def unannotated(value) -> None: ...  # type: ignore[no-untyped-def]


def unknown(value: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821


def two_bodies(first: dict[str, int], second: list[int]) -> None: ...


def list_in_path(id: list[int]) -> None: ...


def object_in_query(page: Annotated[dict[str, int], iii.Query()]) -> None: ...


def opaque(value: Opaque) -> None: ...


def sync_stream(response: iii.StreamResponse) -> None: ...


def sync_raw(data: bytes) -> None: ...


@pytest.mark.parametrize(
    ("handler", "message"),
    [
        (unannotated, "parameter 'value' is not in the path and has no annotation: annotate it with iii.HttpRequest"),
        (unknown, "the annotation 'Nowhere' of parameter 'value' names something unknown there"),
        (two_bodies, "parameters 'first', 'second' would each be the whole body"),
        (list_in_path, "parameter 'id' is a path parameter, whose text makes no"),
        (object_in_query, "parameter 'page' is a query parameter, whose text makes no"),
        (opaque, "parameter 'value' cannot be made from JSON"),
        (sync_stream, "make it async def"),
        (sync_raw, "make it async def"),
    ],
)
def test_a_handler_that_no_request_can_fill_is_refused_when_it_is_registered(
    handler: Callable[..., Any], message: str
) -> None:
    with pytest.raises(TypeError) as refused:
        HttpHandler(handler, "/x/:id")
    assert message in str(refused.value)


def test_each_spelling_of_a_path_parameter_is_known() -> None:
    def handler(a, b, c, d: int | None, e: Annotated[str, iii.Header]) -> None:  # type: ignore[no-untyped-def]
        ...

    handler.__annotations__.update({"d": int | None, "e": Annotated[str, iii.Header]})
    sources = [each.source for each in parameters_of(handler, ":a/x/{b}/{*c}")]
    assert sources == [Source.PATH] * 3 + [Source.QUERY, Source.HEADER]


def test_a_handler_without_types_has_no_schemas() -> None:
    async def handler(request: iii.HttpRequest, *args: Any, **more: Any) -> None: ...

    handler.__annotations__.clear()
    handler.__annotations__["request"] = iii.HttpRequest
    described = HttpHandler(handler, "/")
    assert (described.request_format, described.response_format) == (None, None)


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (("a",), "data: a\n\n"),
        (("a\r\nb\rc\n",), "data: a\ndata: b\ndata: c\ndata: \n\n"),
        (([1], "tick", "7", 10), "event: tick\nid: 7\nretry: 10\ndata: [1]\n\n"),
        (("", None, ""), "id: \ndata: \n\n"),
    ],
)
def test_events_are_worded_line_by_line(event: tuple[Any, ...], text: str) -> None:
    assert server_sent_event(*event) == text


@pytest.mark.parametrize("forged", [("x", "a\ndata: forged"), ("x", None, "1\r2"), ("x", None, "1\0")])
def test_no_name_of_an_event_forges_another_line(forged: tuple[Any, ...]) -> None:
    with pytest.raises(ValueError, match="line break"):
        server_sent_event(*forged)
