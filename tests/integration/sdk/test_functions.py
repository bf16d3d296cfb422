"""Functions that a worker serves (08 §7, checks 19-34; 00 O16)."""

import asyncio
import dataclasses
import datetime
import enum
import functools
import threading
from typing import Annotated, Any, TypedDict

import msgspec
import pydantic
import pytest

import iii
from tests.integration.sdk.connecting import Connect
from tests.integration.sdk.fake_engine import FakeConnection, FakeEngine, Message

SCHEMA = "https://json-schema.org/draft/2020-12/schema"


class Address(msgspec.Struct):
    street: str


class User(msgspec.Struct):
    name: str
    age: int
    address: Address | None = None


@dataclasses.dataclass
class Point:
    x: int
    y: int = 0


class Options(TypedDict):
    limit: int


@dataclasses.dataclass
class Corner:
    z: int


class Color(enum.Enum):
    RED = "red"


class Item(pydantic.BaseModel):
    name: str
    count: Annotated[int, pydantic.Field(ge=1)]


class Order(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")

    items: list[Item]


class Reply(pydantic.BaseModel):
    status_code: int = pydantic.Field(alias="statusCode")
    body: Any = None


@pytest.fixture
def registered(engine: FakeEngine, worker: iii.Worker) -> "Register":
    return Register(engine, worker)


class Register:
    """Registers a handler and gives the engine's side of it."""

    def __init__(self, engine: FakeEngine, worker: iii.Worker) -> None:
        self.engine = engine
        self.worker = worker

    def __call__(self, handler: Any, function_id: str = "f", **options: Any) -> Message:
        self.worker.register_function(function_id, handler, **options)
        return self.connection.message("registerfunction", id=function_id)

    @property
    def connection(self) -> FakeConnection:
        return self.engine.connection()

    def call(self, data: Any = None, **members: Any) -> Message:
        return self.connection.invoke("f", data, **members)


# -- registering --------------------------------------------------------------------------------------------------


def test_08_check_19_string_and_dict_forms_register(engine: FakeEngine, worker: iii.Worker) -> None:
    def handler(data: str) -> int:
        """Counts."""
        return len(data)

    worker.register_function({"id": "g", "description": "d", "metadata": {"team": "a"}}, handler)
    worker.register_function("g3", handler)

    plain = engine.connection().message("registerfunction", id="g")
    assert plain == {"type": "registerfunction", "id": "g", "description": "d", "metadata": {"team": "a"}}
    described = engine.connection().message("registerfunction", id="g3")
    assert described["description"] == "Counts."
    assert described["request_format"] == {"type": "string", "$schema": SCHEMA}


def test_08_7_1_keywords_hold_beside_a_dict(engine: FakeEngine, worker: iii.Worker) -> None:
    worker.register_function({"id": "g", "metadata": None}, lambda data: data, description="d", metadata={"team": "a"})

    plain = engine.connection().message("registerfunction", id="g")
    assert plain == {"type": "registerfunction", "id": "g", "description": "d", "metadata": {"team": "a"}}
    with pytest.raises(TypeError, match="description of 'h' is given twice"):
        worker.register_function({"id": "h", "description": "d"}, lambda data: data, description="e")


def test_08_check_20_what_cannot_be_registered_raises_here(worker: iii.Worker) -> None:
    worker.register_function("g", lambda data: data)
    with pytest.raises(ValueError, match=r"^id is required: that of the function '.*<lambda>' is '  '$"):
        worker.register_function("  ", lambda data: data)
    with pytest.raises(ValueError, match=r"^function id 'g' already registered: at .*test_functions\.py:\d+$"):
        worker.register_function("g", lambda data: data)
    with pytest.raises(TypeError, match="must be callable or HttpInvocationConfig, got int"):
        worker.register_function("x", 5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="function_id must be str, got int"):
        worker.register_function(7, lambda data: data)  # type: ignore[arg-type]
    with pytest.raises(KeyError):
        worker.register_function({}, lambda data: data)  # type: ignore[arg-type]


def test_a_request_that_is_no_dict_is_refused_in_words(worker: iii.Worker) -> None:
    with pytest.raises(TypeError, match=r"takes one dict with the keys action, function_id, .*; got 'math::add'"):
        worker.trigger("math::add")  # type: ignore[arg-type]


def test_a_handler_that_wants_more_than_a_payload_is_refused_when_it_is_registered(worker: iii.Worker) -> None:
    with pytest.raises(
        TypeError, match="the handler of 'math::add' requires 'b', but a handler is called with one argument"
    ):
        worker.register_function("math::add", lambda a, b: a + b)
    worker.register_function("math::add", lambda payload, metadata, scale=1: payload)
    worker.register_function("math::sub", lambda payload, *, metadata: payload)


def test_08_check_21_hints_become_schemas_and_no_hints_none(registered: Register) -> None:
    async def hinted(data: str) -> None: ...

    def unhinted(data):  # type: ignore[no-untyped-def]
        return data

    def anything(data: Any) -> Any: ...

    described = registered(hinted, "hinted")
    assert described["request_format"] == {"type": "string", "$schema": SCHEMA}
    assert described["response_format"] == {"type": "null", "$schema": SCHEMA}
    for function_id, handler in {"unhinted": unhinted, "anything": anything}.items():
        assert registered(handler, function_id).keys() == {"type", "id"}


def test_08_check_24_explicit_formats_win(registered: Register) -> None:
    def handler(data: str) -> int:
        return 1

    described = registered(handler, request_format={"type": "object"}, response_format={"const": 1}, description="own")
    assert described["request_format"] == {"type": "object"}
    assert described["response_format"] == {"const": 1}
    assert described["description"] == "own"


def test_08_check_25_an_http_function_is_described_but_not_served(engine: FakeEngine, worker: iii.Worker) -> None:
    worker.register_function("h", iii.HttpInvocationConfig(url="http://example.test/hook"))
    worker.register_function(
        "i",
        iii.HttpInvocationConfig(
            url="http://example.test/", method="PUT", timeout_ms=5, auth=iii.BearerAuth(token_key="TOKEN_OF_HOOK")
        ),
    )

    plain = engine.connection().message("registerfunction", id="h")
    assert plain == {"type": "registerfunction", "id": "h", "invocation": plain["invocation"]}
    assert plain["invocation"]["url"] == "http://example.test/hook"
    assert plain["invocation"].get("method", "POST") == "POST"
    full = engine.connection().message("registerfunction", id="i")["invocation"]
    assert full["auth"] == {"type": "bearer", "token_key": "TOKEN_OF_HOOK"}
    error = engine.connection().invoke("h")["error"]
    assert error["code"] == "function_not_invokable"


def test_the_decorator_leaves_the_function_as_it_was(engine: FakeEngine, worker: iii.Worker) -> None:
    @worker.function("add", metadata={"internal": True})
    def add(data: list[int]) -> int:
        return sum(data)

    assert add([1, 2]) == 3
    assert engine.connection().message("registerfunction", id="add")["metadata"] == {"internal": True}
    assert engine.connection().invoke("add", [1, 2, 3])["result"] == 6


def test_later_changes_of_metadata_do_not_change_what_was_registered(engine: FakeEngine, worker: iii.Worker) -> None:
    metadata = {"team": "a"}
    worker.register_function("f", lambda data: data, metadata=metadata)
    metadata["team"] = "b"
    engine.connection(1).message("registerfunction", id="f")
    engine.connection(1).drop()
    assert engine.connection(2).message("registerfunction", id="f")["metadata"] == {"team": "a"}


def test_an_unregistered_function_is_not_served_any_more(engine: FakeEngine, worker: iii.Worker) -> None:
    ref = worker.register_function("f", lambda data: data)
    ref.unregister()
    engine.connection().message("unregisterfunction", id="f")
    assert engine.connection().invoke("f")["error"]["code"] == "function_not_found"
    worker.register_function("f", lambda data: "again")
    ref.unregister()
    assert engine.connection().invoke("f", invocation_id="2")["result"] == "again"


# -- answers ------------------------------------------------------------------------------------------------------


def test_08_check_26_an_unknown_function_is_answered_unless_nobody_wants_to_know(
    registered: Register, caplog: pytest.LogCaptureFixture
) -> None:
    connection = registered.connection
    connection.send({"type": "invokefunction", "function_id": "x", "data": None})
    error = connection.invoke("x")["error"]
    assert (error["code"], error["message"]) == ("function_not_found", "Function 'x' not found")
    assert len(connection.of("invocationresult")) == 1
    assert """Call without an answer refused (function=x, reason="Function 'x' not found")""" in caplog.text


@pytest.mark.parametrize("kind", ["sync", "async", "awaitable"])
def test_08_check_27_a_raising_handler_fails_its_call(registered: Register, kind: str) -> None:
    def fail(data: Any) -> None:
        raise ValueError("boom")

    async def fail_async(data: Any) -> None:
        fail(data)

    registered({"sync": fail, "async": fail_async, "awaitable": lambda data: fail_async(data)}[kind])
    error = registered.call()["error"]
    assert error["code"] == "invocation_failed"
    assert error["message"] == "ValueError: boom"  # P14
    assert "ValueError: boom" in error["stacktrace"]


@pytest.mark.parametrize("raised", [SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError(), GeneratorExit()])
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_08_check_28_nothing_a_handler_raises_stops_the_worker(
    registered: Register, raised: BaseException, kind: str
) -> None:
    calls: list[Any] = []

    def fail(data: Any) -> str:
        calls.append(data)
        if len(calls) == 1:
            raise raised
        return "alive"

    async def fail_async(data: Any) -> str:
        return fail(data)

    registered(fail if kind == "sync" else fail_async)
    error = registered.call(invocation_id="1")["error"]
    assert error["message"].startswith(type(raised).__name__)
    assert registered.call(invocation_id="2")["result"] == "alive"


def test_08_check_29_a_none_is_sent_as_null(registered: Register) -> None:
    registered(lambda data: None)
    answer = registered.call()
    assert answer["result"] is None
    assert "error" not in answer


@pytest.mark.parametrize("value", [datetime.datetime(2026, 1, 1), {1, 2}, b"x", object(), {"at": object()}])
def test_08_check_30_a_result_without_json_form_fails_the_call(registered: Register, value: Any) -> None:
    registered(lambda data: value)
    error = registered.call()["error"]
    assert error["code"] == "invocation_failed"
    assert "not JSON serializable" in error["message"]


def test_a_date_that_is_declared_is_sent_as_text(registered: Register) -> None:
    def now(data: Any) -> datetime.date:
        return datetime.date(2026, 11, 24)

    assert registered(now)["response_format"]["format"] == "date"
    assert registered.call()["result"] == "2026-11-24"


def test_08_check_31_models_structs_and_dataclasses_are_encoded(registered: Register) -> None:
    registered(lambda data: Reply(statusCode=201, body={}), "model")
    registered(lambda data: User("a", 1), "struct")
    registered(lambda data: [Point(1), Color.RED, (1, 2)], "others")
    connection = registered.connection
    assert connection.invoke("model", invocation_id="1")["result"] == {"statusCode": 201, "body": {}}
    assert connection.invoke("struct", invocation_id="2")["result"] == {"name": "a", "age": 1, "address": None}
    assert connection.invoke("others", invocation_id="3")["result"] == [{"x": 1, "y": 0}, "red", [1, 2]]


# -- payloads -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hint", "data", "received"),
    [
        (User, {"name": "a", "age": 1, "_caller_worker_id": "w"}, User("a", 1)),
        (Point, {"x": 1}, Point(1)),
        (Options, {"limit": 5, "_caller_worker_id": "w"}, {"limit": 5}),
        (
            Order,
            {"items": [{"name": "a", "count": 2}], "_caller_worker_id": "w"},
            Order(items=[Item(name="a", count=2)]),
        ),
        (list[Item], [{"name": "a", "count": 2}], [Item(name="a", count=2)]),
        (User | None, None, None),
        (Color, "red", Color.RED),
        (dict[str, Any], {"a": 1, "_caller_worker_id": "w"}, {"a": 1, "_caller_worker_id": "w"}),
        (Any, [1], [1]),
        (int | str, "x", "x"),
        (Point | Corner, {"z": 1}, Corner(1)),
    ],
)
def test_a_payload_arrives_as_its_annotation_says(registered: Register, hint: Any, data: Any, received: Any) -> None:
    got: list[Any] = []

    def handler(payload):  # type: ignore[no-untyped-def]
        got.append(payload)

    handler.__annotations__["payload"] = hint
    registered(handler)
    assert "error" not in registered.call(data)
    assert got == [received]


def test_bugs_6_what_cannot_be_kept_is_refused_when_it_is_registered(worker: iii.Worker) -> None:
    def opaque(data: threading.Thread) -> None: ...
    def unknown(data: "Somewhere") -> None: ...  # type: ignore[name-defined]  # noqa: F821
    def metadata(data: int, metadata: threading.Thread) -> None: ...

    refused: list[tuple[Any, str]] = [
        (opaque, "cannot be decoded from JSON"),
        (unknown, "'Somewhere' is not defined"),
        (metadata, "Thread"),
    ]
    for handler, reason in refused:
        with pytest.raises(TypeError, match=f"the handler of 'f' cannot be registered: .*{reason}"):
            worker.register_function("f", handler)


def test_bugs_6_metadata_is_what_its_hint_says(registered: Register) -> None:
    def handler(data: int, metadata: User | None = None) -> Any:
        return metadata

    registered(handler)
    assert registered.call(1)["result"] is None
    assert registered.call(1, invocation_id="2", metadata={"name": "a", "age": 1})["result"]["name"] == "a"
    error = registered.call(1, invocation_id="3", metadata={"name": 1})["error"]
    assert (error["code"], error["message"]) == ("invalid_request", "metadata: Expected `str`, got `int` - at `$.name`")


@pytest.mark.parametrize(
    ("hint", "data", "path"),
    [
        (User, {"name": "a", "age": "old", "_caller_worker_id": "w"}, "$.age"),
        (User, {"name": "a", "age": 1, "address": {"street": 5}}, "$.address.street"),
        (User, None, "Expected `object`, got `null`"),
        (User, ["_caller_worker_id"], "Expected `object`, got `array`"),
        (Point, {"x": []}, "$.x"),
        (Options, {}, "limit"),
        (Order, {"items": [{"name": "a", "count": 0}], "_caller_worker_id": "w"}, "$.items[0].count"),
        (Order, {"items": [], "other": 1}, "$.other"),
        (list[Item], [{"name": "a"}], "$[0].count"),
        (Color, "blue", "blue"),
    ],
)
def test_O16_a_payload_that_does_not_fit_is_an_invalid_request(
    registered: Register, hint: Any, data: Any, path: str
) -> None:
    called = []

    def handler(payload):  # type: ignore[no-untyped-def]
        called.append(payload)

    handler.__annotations__["payload"] = hint
    registered(handler)
    error = registered.call(data)["error"]
    assert called == []
    assert error["code"] == "invalid_request"
    assert path in error["message"]
    assert "stacktrace" not in error


def test_a_struct_that_refuses_unknown_members_does_not_mind_the_engines_own(registered: Register) -> None:
    class Strict(msgspec.Struct, forbid_unknown_fields=True):
        a: int

    def handler(payload):  # type: ignore[no-untyped-def]
        return payload.a

    handler.__annotations__["payload"] = Strict
    registered(handler)
    assert registered.call({"a": 1, "_caller_worker_id": "w"}, invocation_id="1")["result"] == 1
    error = registered.call({"a": 1, "b": 2, "_caller_worker_id": "w"}, invocation_id="2")["error"]
    assert "unknown field `b`" in error["message"]


def test_O16_a_handler_chooses_its_error_code(registered: Register, caplog: pytest.LogCaptureFixture) -> None:
    def handler(data: Any) -> None:
        raise iii.InvocationError("OUT_OF_STOCK", "none left")

    registered(handler)
    error = registered.call()["error"]
    assert (error["code"], error["message"]) == ("OUT_OF_STOCK", "none left")
    assert "OUT_OF_STOCK" not in caplog.text  # the caller is told, that is what it is for


def test_a_handler_without_parameters_gets_nothing_and_a_default_stands_in_for_no_payload(registered: Register) -> None:
    registered(lambda: "called", "bare")
    registered(lambda data="default": data, "default")
    registered(lambda *args: list(args), "star")
    connection = registered.connection
    assert connection.invoke("bare", {"a": 1}, invocation_id="1")["result"] == "called"
    assert connection.invoke("default", None, invocation_id="2")["result"] == "default"
    assert connection.invoke("default", 0, invocation_id="3")["result"] == 0
    assert connection.invoke("star", 1, invocation_id="4")["result"] == [1]


def test_08_check_33_metadata_reaches_who_names_it(registered: Register) -> None:
    class Callable:
        async def __call__(self, data: Any, metadata: Any) -> Any:
            return metadata

    takers = {
        "second": lambda data, metadata=None: metadata,
        "keyword": lambda data, *, metadata=None: metadata,
        "object": Callable(),
        "partial": functools.partial(lambda prefix, data, metadata: [prefix, metadata], "p"),
    }
    others = {
        "plain": lambda data: data,
        "rest": lambda data, **rest: rest,
        "other": lambda data, other=None: other,
        "third": lambda data, other=None, metadata=None: metadata,
        "first": lambda metadata: metadata,
        "builtin": str,
    }
    for function_id, handler in {**takers, **others}.items():
        registered(handler, function_id)
    connection = registered.connection
    answers = {
        function_id: connection.invoke(function_id, 1, invocation_id=function_id, metadata={"tenant": "a"})
        for function_id in {**takers, **others}
    }
    assert answers["partial"]["result"] == ["p", {"tenant": "a"}]
    assert [answers[each]["result"] for each in ("second", "keyword", "object")] == [{"tenant": "a"}] * 3
    assert [answers[each]["result"] for each in others] == [1, {}, None, None, 1, "1"]
    assert connection.invoke("second", 1, invocation_id="none")["result"] is None


def test_nothing_is_answered_where_no_answer_is_wanted(
    registered: Register, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(data: Any) -> None:
        raise ValueError(f"nobody hears of {data}")

    async def fail_async(data: Any) -> None:
        fail(data)

    async def work_async(data: Any) -> int:
        return 1

    registered(lambda data: 1, "works")
    registered(work_async, "works async")
    registered(fail, "fails")
    registered(fail_async, "fails async")
    registered(lambda data: fail_async(data), "fails later")
    connection = registered.connection
    ids = ("works", "works async", "fails", "fails async", "fails later")
    for function_id in ids:
        connection.send({"type": "invokefunction", "function_id": function_id, "data": function_id})
    registered.engine.wait(lambda: caplog.text.count("\nValueError: nobody hears of fails") == 3)
    assert not connection.of("invocationresult")

    def refuse(threads: Any, job: Any) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("iii.sdk.threads.HandlerThreads.run", refuse)
    connection.send({"type": "invokefunction", "function_id": "works", "data": None})
    error = connection.invoke("works")["error"]
    assert (error["code"], error["message"]) == ("invocation_failed", "RuntimeError: can't start new thread")


def test_I13_a_call_that_cannot_be_read_is_refused(registered: Register, caplog: pytest.LogCaptureFixture) -> None:
    registered(lambda data: data)
    connection = registered.connection
    connection.send({"type": "pong"})
    connection.send({"type": "invokefunction", "function_id": 5, "invocation_id": "i9"})
    assert connection.message("invocationresult", invocation_id="i9")["error"]["code"] == "invalid_request"


def test_a_fault_of_ours_ends_one_message_only(
    registered: Register, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    registered(lambda data: data)
    with monkeypatch.context() as broken:
        broken.setattr("iii.sdk.executor.Executor.execute", None)
        registered.connection.send({"type": "invokefunction", "function_id": "f", "invocation_id": "lost"})
        registered.engine.wait(lambda: "Failed to handle incoming message" in caplog.text)
    assert registered.call(1)["result"] == 1


# -- running ------------------------------------------------------------------------------------------------------


def test_08_check_34_two_hundred_nested_sync_calls_finish(worker: iii.Worker) -> None:
    worker.register_function("inner", lambda number: number + 1)
    worker.register_function("outer", lambda number: worker.trigger({"function_id": "inner", "payload": number}) * 10)
    gate = threading.Barrier(200)

    def call(number: int) -> None:
        gate.wait(60)
        results[number] = worker.trigger({"function_id": "outer", "payload": number})

    results: dict[int, int] = {}
    callers = [threading.Thread(target=call, args=(number,)) for number in range(200)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(60)
    assert results == {number: (number + 1) * 10 for number in range(200)}


async def test_async_handlers_run_beside_each_other_and_sync_ones_beside_them(engine: FakeEngine) -> None:
    async with iii.connect_worker(engine.url) as worker:
        met = asyncio.Event()
        released = threading.Event()

        @worker.function("waits")
        async def waits(data: Any) -> str:
            await met.wait()
            return "met"

        @worker.function("meets")
        async def meets(data: Any) -> bool:
            met.set()
            return asyncio.current_task() is not None

        @worker.function("blocks")
        def blocks(data: Any) -> bool:
            return released.wait(60)

        waiting = asyncio.create_task(worker.trigger_async({"function_id": "waits"}))
        blocking = asyncio.create_task(worker.trigger_async({"function_id": "blocks"}))
        assert await worker.trigger_async({"function_id": "meets"}) is True
        assert await waiting == "met"
        released.set()
        assert await blocking is True


def test_a_sync_callable_that_returns_an_awaitable_is_awaited(registered: Register) -> None:
    async def later(data: Any) -> Any:
        await asyncio.sleep(0)
        return {"later": data}

    registered(lambda data: later(data))
    assert registered.call(1)["result"] == {"later": 1}


def test_the_trace_of_an_invocation_goes_on_to_the_calls_it_makes(
    engine: FakeEngine, connect: Connect, worker: iii.Worker
) -> None:
    headers = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01", "baggage": "iii.session.id=s1"}
    engine.answers["inner"] = None

    @worker.function("sync")
    def sync(data: Any) -> None:
        worker.trigger({"function_id": "inner", "payload": "sync"})

    @worker.function("async")
    async def asynchronous(data: Any) -> None:
        await worker.trigger_async({"function_id": "inner", "payload": "async"})

    connection = engine.connection()
    for kind in ("sync", "async"):
        connection.message("registerfunction", id=kind)
        connection.invoke(kind, invocation_id=kind, **headers)
        inner = connection.message("invokefunction", function_id="inner", data=kind)
        assert {key: inner[key] for key in headers} == headers
    worker.trigger({"function_id": "inner", "payload": "outside"})
    assert "traceparent" not in connection.message("invokefunction", function_id="inner", data="outside")
