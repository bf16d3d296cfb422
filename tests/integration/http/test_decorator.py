"""`@worker.http`: typed parameters, responses, streams (issue 4; 03 §A5-A8, 08 §12)."""

from __future__ import annotations

import asyncio
import enum
import functools
from typing import Annotated, Any
from uuid import UUID

import pydantic
import pytest
from msgspec import Meta, Struct

import iii
from tests.integration.http.site import DEADLINE_S, Open, Site
from tests.integration.server.waiting import until


class NewUser(Struct, forbid_unknown_fields=True):
    name: str
    age: int = 0


class Address(Struct):
    street: str


class Person(Struct):
    home: Address
    work: Address


class Item(pydantic.BaseModel):
    price: float


class Order(enum.Enum):
    UP = "up"
    DOWN = "down"


ID = "3d3f4c8e-93a5-4a52-8d4e-0d8b7f0f9c11"


async def test_path_query_header_and_body_arrive_typed(site: Site) -> None:
    ids: list[object] = []

    @site.worker.http("POST", "/users/:user_id/items/{name}")
    async def create(
        user_id: UUID,
        name: str,
        user: NewUser,
        verbose: bool,
        order: Order = Order.UP,
        since: Annotated[int, iii.Query("from"), Meta(ge=1)] = 1,
        api_key: Annotated[str, iii.Header()] = "none",
        agent: Annotated[str, iii.Header("User-Agent")] = "nobody",
    ) -> dict[str, Any]:
        ids.append(user_id)
        return {"id": user_id, "name": name, "user": user, "rest": [verbose, order, since, api_key, agent]}

    await site.settled()
    status, body = await site.get(
        f"/users/{ID}/items/a%20b?verbose=true&order=down&from=7",
        "POST",
        json={"name": "Ada"},
        headers={"Api-Key": "s3", "User-Agent": "curl"},
    )
    assert status == 200
    assert ids == [UUID(ID)]
    user = {"name": "Ada", "age": 0}
    assert body == {"id": ID, "name": "a b", "user": user, "rest": [True, "down", 7, "s3", "curl"]}


@pytest.mark.parametrize(
    ("request_line", "sent", "message"),
    [
        ("/t/x?page=1", {"name": "a"}, "path parameter 'id': Expected `int`, got 'x' - at `$.path_params.id`"),
        ("/t/1", {"name": "a"}, "missing query parameter 'page' - at `$.query_params.page`"),
        (
            "/t/1?page=0",
            {"name": "a"},
            "query parameter 'page': Expected `int` >= 1, got '0' - at `$.query_params.page`",
        ),
        ("/t/1?page=1", {"name": 5}, "Expected `str`, got `int` - at `$.body.name`"),
        ("/t/1?page=1", {"name": "a", "x": 1}, "Object contains unknown field `x` - at `$.body`"),
        ("/t/1?page=1", [], "Expected `object`, got `array` - at `$.body`"),
        ("/t/1?page=1", None, "expected a JSON body, and the request has no body - at `$.body`"),
    ],
)
async def test_what_does_not_fit_is_a_400_that_says_where(
    site: Site, request_line: str, sent: Any, message: str
) -> None:
    ran: list[int] = []

    @site.worker.http("POST", "/t/:id")
    async def take(id: int, page: Annotated[int, Meta(ge=1)], user: NewUser) -> None:
        ran.append(id)

    await site.settled()
    options = {} if sent is None else {"json": sent}
    assert await site.get(request_line, "POST", **options) == (
        400,
        {"error": {"code": "invalid_request", "message": message}},
    )
    assert not ran


async def test_a_secret_in_a_header_is_not_repeated(site: Site) -> None:
    @site.worker.http("GET", "/h")
    def take(token: Annotated[int, iii.Header()]) -> None:
        pass

    await site.settled()
    status, body = await site.get("/h", headers={"Token": "s3cret"})
    assert status == 400
    assert body["error"]["message"] == "header 'token': Expected `int` - at `$.headers.token`"
    _, body = await site.get("/h")
    assert body["error"]["message"] == "missing header 'token' - at `$.headers.token`"


async def test_pydantic_models_and_optional_bodies(site: Site) -> None:
    @site.worker.http("POST", "/p")
    def price(item: Item, /) -> Item:
        return Item(price=item.price * 2)

    @site.worker.http("POST", "/o")
    def optional(user: NewUser | None = None) -> str:
        return user.name if user else "nobody"

    @site.worker.http("POST", "/any")
    def anything(value: Any) -> Any:
        return [value]

    await site.settled()
    assert await site.get("/p", "POST", json={"price": "1.5"}) == (200, {"price": 3.0})
    status, body = await site.get("/p", "POST", json={})
    assert (status, body["error"]["message"]) == (400, "Field required - at `$.body.price`")
    assert await site.get("/o", "POST") == (200, "nobody")
    assert await site.get("/o", "POST", json={"name": "Ada"}) == (200, "Ada")
    assert await site.get("/any", "POST", json={"a": 1}) == (200, [{"a": 1}])


async def test_what_is_returned_is_the_response(site: Site) -> None:
    @site.worker.http("GET", "/nothing")
    def nothing() -> None:
        pass

    @site.worker.http("GET", "/made")
    async def made() -> iii.HttpResponse:
        return iii.HttpResponse(201, {"id": 7}, {"location": "/made/7", "set-cookie": ["a=1", "b=2"]})

    @site.worker.http("GET", "/text")
    def text() -> iii.HttpResponse:
        return iii.HttpResponse(200, "<b>hi</b>", {"content-type": "text/html"})

    @site.worker.http("GET", "/bytes")
    def data() -> bytes:
        return b"\x00\xff"

    @site.worker.http("GET", "/picture")
    async def picture() -> iii.HttpResponse:
        return iii.HttpResponse(203, b"png", {"Content-Type": "image/png"})

    @site.worker.http("GET", "/looks-like-a-response")
    async def own() -> Any:
        return {"status_code": 404}

    await site.settled()
    assert (await site.ask("/nothing"))[0] == 204
    status, headers, body = await site.ask("/made")
    assert (status, headers["location"], headers.getall("set-cookie"), body) == (
        201,
        "/made/7",
        ["a=1", "b=2"],
        {"id": 7},
    )
    status, headers, body = await site.ask("/text")
    assert (status, headers["content-type"], body) == (200, "text/html", "<b>hi</b>")
    async with site.browser.get(f"{site.url}/bytes") as answer:
        assert (answer.status, answer.headers["content-type"]) == (200, "application/octet-stream")
        assert answer.headers["content-length"] == "2"
        assert await answer.read() == b"\x00\xff"
    status, headers, body = await site.ask("/picture")
    assert (status, headers["content-type"], body) == (203, "image/png", "png")
    assert await site.get("/looks-like-a-response") == (200, {"status_code": 404})


async def test_whatever_can_be_called_can_serve(site: Site) -> None:
    class Greeter:
        async def __call__(self, name: str) -> str:
            return f"object {name}"

        async def method(self, name: str) -> str:
            return f"method {name}"

    async def greet(greeting: str, name: str) -> str:
        return f"{greeting} {name}"

    def logged(function: Any) -> Any:
        @functools.wraps(function)
        async def wrapper(*args: Any, **more: Any) -> Any:
            return await function(*args, **more)

        return wrapper

    greeter = Greeter()
    site.worker.http("GET", "/object/:name")(greeter)
    site.worker.http("GET", "/method/:name")(greeter.method)
    site.worker.http("GET", "/partial/:name")(functools.partial(greet, "partial"))
    site.worker.http("GET", "/wrapped/:name")(logged(greeter.method))
    site.worker.http("GET", "/lambda/:name")(lambda name: greet("lambda", name))
    await site.settled()
    for kind in ("object", "method", "partial", "lambda"):
        assert await site.get(f"/{kind}/Ada") == (200, f"{kind} Ada")
    assert await site.get("/wrapped/Ada") == (200, "method Ada")


async def test_a_call_that_is_no_request_is_told_so(site: Site) -> None:
    @site.worker.http("GET", "/x", function_id="x::get")
    async def get() -> None: ...

    await site.settled()
    for payload in (None, {}, {"response": 1}, {"method": "GET", "response": None}):
        with pytest.raises(iii.InvocationError, match="serves HTTP requests"):
            await site.worker.trigger_async({"function_id": "x::get", "payload": payload})


async def test_the_whole_request_and_its_raw_body(site: Site) -> None:
    @site.worker.http("POST", "/whole/*rest")
    async def whole(request: iii.HttpRequest, rest: str) -> Any:
        read = await request.read()
        return [
            request.method,
            request.path,
            rest,
            request.path_params,
            request.query_params,
            request.body,
            read.decode(),
        ]

    @site.worker.http("PUT", "/raw")
    async def raw(data: bytes) -> int:
        return len(data)

    await site.settled()
    _, body = await site.get("/whole/a/b%2Fc?q=1", "POST", json={"x": 1})
    assert body == ["POST", "/whole/*rest", "a/b/c", {"rest": "a/b/c"}, {"q": "1"}, {"x": 1}, '{"x": 1}']
    assert await site.get("/raw", "PUT", data=b"x" * 300_000) == (200, 300_000)
    assert await site.get("/raw", "PUT") == (200, 0)


async def test_a_stream_of_events(site: Site) -> None:
    @site.worker.http("GET", "/events")
    async def events(response: iii.StreamResponse, count: int = 2) -> None:
        for number in range(count):
            await response.send_event({"n": number}, event="tick", id=str(number))
        await response.send_event("two\nlines", retry_ms=500)

    await site.settled()
    status, headers, body = await site.ask("/events?count=1")
    assert (status, headers["content-type"], headers["cache-control"]) == (200, "text/event-stream", "no-cache")
    assert body == 'event: tick\nid: 0\ndata: {"n":0}\n\nretry: 500\ndata: two\ndata: lines\n\n'
    assert (await site.ask("/events?count=x"))[0] == 400


async def test_a_stream_ends_as_its_handler_ends(site: Site) -> None:
    again: list[tuple[bool, str]] = []
    begun = asyncio.Event()

    @site.worker.http("GET", "/s/:how")
    async def stream(how: str, response: iii.StreamResponse) -> None:
        if how == "early":
            raise RuntimeError("early")
        await response.start(202, {"x-a": "1"})
        try:
            await response.start()
        except RuntimeError as error:
            again.append((response.started, str(error)))
        await response.write("some")
        if how == "late":
            await begun.wait()  # its failure has another connection than its stream, and may be faster
            raise RuntimeError("late")

    await site.settled()
    status, headers, body = await site.ask("/s/whole")
    assert (status, headers["x-a"], body) == (202, "1", "some")
    ((started, refusal),) = again
    assert started
    assert "has started" in refusal
    status, body = await site.get("/s/early")
    assert (status, body["error"]["message"]) == (500, "RuntimeError: early")
    async with site.browser.get(f"{site.url}/s/late") as answer:
        begun.set()
        with pytest.raises(Exception, match=r"(?i)payload is not completed|transfer|disconnected"):
            await answer.text()


async def test_a_client_that_leaves_is_seen_and_is_no_error_of_the_handler(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    left: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    @site.worker.http("GET", "/endless")
    async def endless(response: iii.StreamResponse) -> None:
        try:
            while True:
                await response.write(b"x" * 65_536)
        except iii.ChannelError:
            left.set_result(response.client_left)
            raise

    await site.settled()
    client = await site.raw(b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n")
    await client.head()
    client.drop()
    async with asyncio.timeout(DEADLINE_S):
        assert await left
    await until(lambda: not len(site.engine.channels))
    assert "Function failed" not in caplog.text


async def test_the_function_has_an_id_of_its_route_and_goes_through_middleware(site: Site) -> None:
    async def check(call: Any) -> Any:
        return {"action": "respond", "response": {"status_code": 401}}

    async def never(_: Any) -> Any:
        return False

    await site.function("auth::check", check)
    await site.function("auth::never", never)

    @site.worker.http("get", "plain")
    def plain() -> str:
        """Say something."""
        return "plain"

    @site.worker.http("GET", "/guarded", function_id="own::id", middleware=["auth::check"], description="D")
    def guarded() -> None:
        pass

    @site.worker.http("GET", "/refused", condition="auth::never")
    def refused() -> None:
        pass

    await site.settled()
    assert await site.get("/plain") == (200, "plain")
    assert (await site.get("/guarded"))[0] == 401
    assert (await site.get("/refused"))[0] == 422
    described = {each.function_id: each.description for each in await site.worker.list_functions_async()}
    assert described["http::GET plain"] == "Say something."
    assert described["own::id"] == "D"
    assert plain() == "plain"  # the decorated function stays what it was


async def test_openapi_shows_what_the_parameters_say(open_site: Open) -> None:
    site = await open_site(openapi=True)

    @site.worker.http("PUT", "/people/:id")
    async def update(
        id: int, person: Person, page: int = 1, token: Annotated[str, iii.Header("X-Token")] = ""
    ) -> list[Person]:
        return [person]

    await site.settled()
    _, document = await site.get("/openapi.json")
    operation = document["paths"]["/people/{id}"]["put"]
    assert operation["parameters"] == [
        {"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}},
        {"name": "page", "in": "query", "required": False, "schema": {"type": "integer", "default": 1}},
        {"name": "x-token", "in": "header", "required": False, "schema": {"type": "string", "default": ""}},
    ]
    assert operation["requestBody"] == {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Person"}}},
    }
    answer = operation["responses"]["200"]["content"]["application/json"]["schema"]
    assert answer == {"type": "array", "items": {"$ref": "#/components/schemas/Person"}}
    schemas = document["components"]["schemas"]
    assert schemas["Person"]["properties"]["home"] == {"$ref": "#/components/schemas/Address"}
    assert schemas["Address"]["required"] == ["street"]


JSON = "application/json"


@pytest.mark.parametrize("asynchronous", [True, False])
@pytest.mark.parametrize(
    ("content_type", "content", "message"),
    [
        (JSON, b"{bad", "the body is not valid JSON: object keys must be strings at byte 1"),
        (JSON, b'{"name":', "the body is not valid JSON: unexpected end at byte 8"),
        (JSON, b'{"name": "\xff"}', "the body is not valid JSON: not UTF-8 at byte 10"),
        (JSON, b"", "expected a JSON body, and the request has no body"),
        (JSON, b"null", "Expected `object`, got `null`"),
        (JSON, b"[" * 501 + b"]" * 501, "the body is nested deeper than 500 levels"),
        ("text/plain", b'{"name": "a"}', "expected a body with content-type application/json, got 'text/plain'"),
        (
            None,
            b'{"name": "a"}',
            "expected a body with content-type application/json, the request has no content-type",
        ),
    ],
)
async def test_http_M11_newcomer_M6_each_unreadable_body_has_its_own_text(
    site: Site, content_type: str | None, content: bytes, message: str, asynchronous: bool
) -> None:
    if asynchronous:

        @site.worker.http("POST", "/users")
        async def create(user: NewUser) -> None: ...

    else:

        @site.worker.http("POST", "/users")
        def create_in_a_thread(user: NewUser) -> None: ...

    await site.settled()
    options: dict[str, Any] = {"headers": {"content-type": content_type}} if content_type else {}
    if content_type is None:
        options["skip_auto_headers"] = ["content-type"]
    assert await site.get("/users", "POST", data=content, **options) == (
        400,
        {"error": {"code": "invalid_request", "message": f"{message} - at `$.body`"}},
    )


async def test_http_M11_an_optional_body_is_not_an_excuse_for_a_broken_one(site: Site) -> None:
    @site.worker.http("POST", "/users")
    def create(user: NewUser | None = None) -> str:
        return "nobody" if user is None else user.name

    await site.settled()
    json = {"content-type": JSON}
    assert await site.get("/users", "POST") == (200, "nobody")
    assert await site.get("/users", "POST", data=b"null", headers=json) == (200, "nobody")
    assert (await site.get("/users", "POST", data=b"{", headers=json))[0] == 400


async def test_http_M11_everything_that_is_wrong_is_told_at_once(site: Site) -> None:
    class Color(enum.Enum):
        RED = "red"

    @site.worker.http("POST", "/t/:id")
    async def take(id: int, color: Color, user: NewUser) -> None: ...

    await site.settled()
    _, answer = await site.get("/t/x?color=green", "POST", json={"name": 1})
    assert answer["error"]["message"].split("; ") == [
        "path parameter 'id': Expected `int`, got 'x' - at `$.path_params.id`",
        "query parameter 'color': Invalid enum value 'green' - at `$.query_params.color`",
        "Expected `str`, got `int` - at `$.body.name`",
    ]


async def test_bugs_6_bounds_of_pydantic_hold_in_paths_and_queries(site: Site) -> None:
    @site.worker.http("GET", "/t/:id")
    async def take(
        id: Annotated[int, pydantic.Field(ge=1)], tag: Annotated[str, pydantic.Field(max_length=2)] = ""
    ) -> Any:
        return [id, tag]

    await site.settled()
    assert await site.get("/t/1?tag=ab") == (200, [1, "ab"])
    assert await site.get("/t/0?tag=abc") == (
        400,
        {
            "error": {
                "code": "invalid_request",
                "message": "path parameter 'id': Input should be greater than or equal to 1, got '0' - at `$.path_params.id`; "
                "query parameter 'tag': String should have at most 2 characters, got 'abc' - at `$.query_params.tag`",
            }
        },
    )


async def test_a_response_without_a_body_is_empty(site: Site) -> None:
    responses = [
        iii.HttpResponse(302, None, {"location": "/there"}), iii.HttpResponse(), iii.HttpResponse(404, None, {"content-type": JSON}),
        iii.HttpResponse(204), iii.HttpResponse(205), iii.HttpResponse(304), iii.HttpResponse(200, b""),
    ]  # fmt: skip

    @site.worker.http("GET", "/:number")
    async def answer(number: int) -> iii.HttpResponse:
        return responses[number]

    await site.settled()
    for number, response in enumerate(responses):
        url = f"{site.url}/{number}"
        async with site.browser.get(url, allow_redirects=False) as found:
            assert (found.status, await found.read()) == (response.status_code, b"")
            assert found.headers.get("location") == response.headers.get("location")

    @site.worker.http("GET", "/null/")
    async def null() -> iii.HttpResponse:
        return iii.HttpResponse(200, b"null", {"content-type": JSON})

    await site.settled()
    assert await site.get("/null/") == (200, None)
