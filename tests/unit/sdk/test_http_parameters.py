"""Where the parameters of HTTP handlers come from, and which handlers are refused (issue 4, 08 §12)."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated, Any

import pytest

import iii
from iii.sdk.annotations import Signature
from iii.sdk.http_handler import HttpHandler
from iii.sdk.http_messages import server_sent_event
from iii.sdk.http_parameters import ParameterSource, parameters_of


class Opaque:
    def __init__(self, x: int) -> None: ...


def unannotated(value) -> None: ...  # type: ignore[no-untyped-def]


def unknown(value: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821


def two_bodies(first: dict[str, int], second: list[int]) -> None: ...


def list_in_path(id: list[int]) -> None: ...


def object_in_query(page: Annotated[dict[str, int], iii.Query()]) -> None: ...


def opaque(value: Opaque) -> None: ...


def sync_stream(id: str, response: iii.StreamResponse) -> None: ...


def sync_raw(id: str, data: bytes) -> None: ...


def list_with_default(id: str, tags: list[str] = []) -> None: ...  # noqa: B006


def union_of_lists(id: str, tags: Annotated[set[int], "…"] | None = None) -> None: ...


def list_in_query(id: str, tags: Annotated[list[str], iii.Query]) -> None: ...


def misspelt(user_id: str) -> None: ...


def misspelt_among_others(limit: int, ids: str) -> None: ...


def nothing_taken() -> None: ...


@pytest.mark.parametrize(
    ("handler", "message"),
    [
        (unannotated, "parameter 'value' is not in the path and has no annotation: annotate it with iii.HttpRequest"),
        (
            unknown,
            "the annotation 'Nowhere' of parameter 'value' cannot be resolved: the name 'Nowhere' is not defined",
        ),
        (two_bodies, "parameters 'first', 'second' would each be the whole body"),
        (list_in_path, "parameter 'id' is a path parameter: its text cannot be converted to"),
        (object_in_query, "parameter 'page' is a query parameter: its text cannot be converted to"),
        (opaque, "parameter 'value': <class 'tests.unit.sdk.test_http_parameters.Opaque'> cannot be decoded from JSON"),
        (list_with_default, "parameter 'tags' is a list with a default, which is an optional JSON body"),
        (list_with_default, "write Annotated[…, iii.Body()]; a query parameter is a single text: use str, and split"),
        (union_of_lists, "parameter 'tags' is a list with a default"),
        (list_in_query, "a query parameter is a single text: use str, and split ?name=a,b at the commas"),
        (misspelt, "route '/x/:id' has the path parameter 'id', and the handler has no parameter of that name"),
        (misspelt, "(did you mean 'user_id'?): name a parameter 'id', or take iii.HttpRequest for the whole request"),
        (misspelt_among_others, "(did you mean 'ids'?)"),
        (sync_stream, "declare it with async def"),
        (sync_raw, "declare it with async def"),
    ],
)
def test_a_handler_that_no_request_can_fill_is_refused_when_it_is_registered(
    handler: Callable[..., Any], message: str
) -> None:
    with pytest.raises(TypeError) as refused:
        HttpHandler(handler, "/x/:id")
    assert message in str(refused.value)


def test_a_handler_without_parameters_needs_nothing_of_the_path() -> None:
    assert HttpHandler(nothing_taken, "/x/:id.json") is not None


def test_each_spelling_of_a_path_parameter_is_known() -> None:
    def handler(a, b, c, d: int | None, e: Annotated[str, iii.Header]) -> None:  # type: ignore[no-untyped-def]
        ...

    handler.__annotations__.update({"d": int | None, "e": Annotated[str, iii.Header]})
    sources = [each.source for each in parameters_of(Signature(handler), ":a/x/{b}/{*c}")]
    assert sources == [ParameterSource.PATH] * 3 + [ParameterSource.QUERY, ParameterSource.HEADER]


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


@pytest.mark.parametrize("status", [0, 99, 100, 101, 199, 600, 700, 1000, -200, "404", 200.0, None, True, b"200"])
async def test_http_M10_a_status_that_http_does_not_have_raises(status: Any) -> None:
    with pytest.raises((ValueError, TypeError), match="status_code must be"):
        iii.HttpResponse(status)
    with pytest.raises((ValueError, TypeError), match="status_code must be"):
        await iii.StreamResponse(NOWHERE).start(status)


@pytest.mark.parametrize(
    "headers",
    [{"a b": "c"}, {"": "c"}, {"é": "c"}, {"a:": "c"}, {"a": "b\r\nc: d"}, {"a": "\0"}, {"a": ["b", "\n"]}, {"a": 5}, {"a": None},
     {5: "a"}, [("a", "b")], "a: b"],
    ids=repr,
)  # fmt: skip
async def test_http_M10_headers_that_http_does_not_have_raise(headers: Any) -> None:
    with pytest.raises((ValueError, TypeError), match="header"):
        iii.HttpResponse(200, None, headers)
    with pytest.raises((ValueError, TypeError), match="header"):
        await iii.StreamResponse(NOWHERE).start(200, headers)


def test_http_M10_what_http_has_is_taken() -> None:
    for status in (200, 599, HTTPStatus.NOT_FOUND):
        iii.HttpResponse(status, headers={"X-Name": "é, ü", "set-cookie": ["a=1", "b=2"], "x-empty": ""})


NOWHERE: Any = None


def test_newcomer_M8_the_parameter_that_is_wrong_is_the_one_that_is_named() -> None:
    def handler(id: int, user: NoSuch) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(TypeError, match="of parameter 'user' cannot be resolved: the name 'NoSuch' is not defined"):
        parameters_of(Signature(handler), "/:id")


def test_bugs_6_a_result_that_cannot_be_resolved_leaves_the_parameters_alone() -> None:
    def handler(id: int, limit: int = 20) -> NoSuch: ...  # type: ignore[name-defined]  # noqa: F821

    endpoint = HttpHandler(handler, "/:id")
    assert endpoint.response_format is None
    assert endpoint.request_format is not None
    assert endpoint.request_format["properties"]["query_params"]["properties"] == {
        "limit": {"type": "integer", "default": 20}
    }


def test_a_parameter_that_is_left_out_has_its_default_or_is_missed() -> None:
    """08 §12."""

    def handler(id: Any, limit: int = 20, *, key: Annotated[str, iii.Header("x-key")]) -> None: ...

    body: Any = None
    request = iii.HttpRequest("GET", "/7", {"id": "7"}, {}, {}, None, body)
    id, limit, key = parameters_of(Signature(handler), "/:id")
    assert (id.value(request), limit.value(request)) == ("7", 20)
    with pytest.raises(iii.InvocationError, match="missing header 'x-key'"):
        key.value(request)


def test_newcomer_M11_a_list_that_is_marked_as_the_body_is_the_body() -> None:
    def handler(tags: Annotated[list[str], iii.Body()] = []) -> None: ...  # noqa: B006

    (tags,) = parameters_of(Signature(handler), "/")
    assert tags.source is ParameterSource.BODY


def test_newcomer_M11_a_scalar_may_be_the_body() -> None:
    def handler(amount: Annotated[int, iii.Body]) -> None: ...

    (amount,) = parameters_of(Signature(handler), "/")
    assert amount.source is ParameterSource.BODY


@pytest.mark.parametrize("path", ["/x/:id", "/x/*", "/x/{*rest}"])
def test_newcomer_M11_who_takes_the_whole_request_needs_no_path_parameter(path: str) -> None:
    def handler(request: iii.HttpRequest) -> None: ...

    assert len(parameters_of(Signature(handler), path)) == 1


def test_newcomer_M11_a_wildcard_without_a_name_is_nobodys_to_take() -> None:
    def handler() -> None: ...

    assert not parameters_of(Signature(handler), "/files/*")
