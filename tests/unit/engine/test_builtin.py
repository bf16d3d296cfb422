"""Builtins: what decorated methods are to callers (02 §2; I1, I2)."""

import asyncio
import gc
import inspect
import json
import typing
from collections.abc import Coroutine
from typing import Any

import msgspec
import pytest
from msgspec import Raw, Struct

from iii.engine.builtin import LATER, Later, builtin, declared_result
from iii.engine.invocation import Invocation
from iii.engine.module import Module
from iii.engine.schema import json_schema
from iii.protocol.errors import InvalidArguments, InvocationError
from iii.protocol.limits import BUILTIN_REQUEST_BYTES, BUILTIN_VALUE_BYTES
from iii.server.catalogue import CATALOGUE
from iii.testing import FakeClock, MemoryEngine, MemoryWorker

DEEP = b"[" * 100_000 + b"]" * 100_000


class Sum(Struct):
    a: int
    b: int | None = None


class Total(Struct):
    total: int


class Note(Struct):
    text: Raw


class Filing(Struct, kw_only=True):
    place: str
    paper: Raw
    copies: int = msgspec.field(name="copyCount", default=1)


class Anything(Struct):
    value: Any = None


class Desk(Module):
    """A clerk who answers at once, later, badly or not at all."""

    name = "iii-desk"
    description = "Office work."
    waiting: Invocation | None = None

    def __init__(self, engine: Any, instance: str | None = None) -> None:
        super().__init__(engine, instance)
        self.seen: list[Any] = []
        self.bell = asyncio.Event()

    @builtin("desk::add", spec="02 §2")
    def add(self, request: Sum) -> Total:
        """Add two numbers.

        This is not for callers.
        """
        return Total(request.a + (request.b or 0))

    @builtin("desk::silent", spec="02 §2")
    def silent(self, request: Anything) -> None:
        self.seen.append(request.value)

    @builtin("desk::note", spec="I1")
    def note(self, request: Note) -> Raw:
        """Hand a text back as it came."""
        return request.text

    @builtin("desk::echo", spec="02 §2.2", request=Sum)
    def echo(self, request: Raw) -> Total | Raw:
        """Hand everything back."""
        return request

    @builtin("desk::file", spec="02 §2", aliases={"drawer": "place", "sheet": "paper"})
    def file(self, request: Filing) -> Raw:
        """Put a paper into a place."""
        self.seen.append(request)
        return request.paper

    @builtin("desk::later", spec="02 §2")
    def later(self, request: Anything, invocation: Invocation) -> Total | Later:
        """Answer when it suits."""
        self.waiting = invocation
        return LATER

    @builtin("desk::refuse", spec="02 §2")
    def refuse(self, request: Anything) -> None:
        """Refuse."""
        raise InvalidArguments("not today")

    @builtin("desk::break", spec="02 §2")
    def break_down(self, request: Anything) -> None:
        """Break down."""
        raise KeyError("secret of the house")

    @builtin("desk::strange", spec="02 §2.4")
    def strange(self, request: Anything) -> Anything:
        """Answer with what JSON has no word for."""
        if request.value == "loop":
            loop: list[Any] = []
            loop.append(loop)
            return Anything(loop)
        return Anything({"key": object()} if request.value == "object" else 2**70)

    @builtin("desk::wait", spec="02 §2")
    async def wait(self, request: Anything, invocation: Invocation) -> Total:
        """Wait for the bell."""
        await self.bell.wait()
        match request.value:
            case "refuse":
                raise InvalidArguments("not today")
            case "break":
                raise KeyError("secret of the house")
        return Total(7)


def test_a_second_engine_of_the_process_looks_at_no_signature_again(
    desk: "Desk", monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user's test suite makes an engine for each test."""
    monkeypatch.delattr(inspect, "signature")
    monkeypatch.delattr(typing, "get_type_hints")
    another = MemoryEngine(FakeClock())
    another.core.add_module(Desk(another.core))
    assert {"desk::add", "desk::file"} <= {each.id for each in another.core.functions}


@pytest.fixture
def desk(engine: MemoryEngine) -> Desk:
    desk = Desk(engine.core)
    engine.core.add_module(desk)
    return desk


@pytest.fixture
def caller(engine: MemoryEngine, desk: Desk) -> MemoryWorker:
    return engine.connect()


def error_of(caller: MemoryWorker, function_id: str, data: Any = None, **members: Any) -> tuple[str, str]:
    error = caller.call(function_id, data, **members)["error"]
    return error["code"], error["message"]


def info(caller: MemoryWorker, function_id: str) -> dict[str, Any]:
    detail: dict[str, Any] = caller.result_of("engine::functions::info", {"function_id": function_id})
    return detail


# -- transport --------------------------------------------------------------------------------------------------------


def test_02_2_1_a_builtin_answers_in_process(caller: MemoryWorker) -> None:
    answer = caller.call("desk::add", {"a": 1, "b": 2})

    assert (answer["function_id"], answer["result"]) == ("desk::add", {"total": 3})
    assert "error" not in answer


@pytest.mark.parametrize("function_id", ["desk::add", "desk::refuse", "desk::break", "desk::silent"])
def test_02_2_1_without_an_invocation_id_nothing_is_sent_back(caller: MemoryWorker, function_id: str) -> None:
    caller.forget()

    caller.say({"type": "invokefunction", "function_id": function_id, "data": {"a": "no number"}})

    assert caller.heard() == []


def test_02_2_1_a_void_call_runs_and_nothing_is_sent_back(caller: MemoryWorker, desk: Desk) -> None:
    caller.forget()

    caller.start_call("desk::silent", {"value": 5}, action={"type": "void"})

    assert desk.seen == [5]
    assert caller.heard() == []


def test_02_2_2_a_builtin_knows_its_caller_whatever_the_payload_says(caller: MemoryWorker, desk: Desk) -> None:
    caller.start_call("desk::later", {"_caller_worker_id": "forged"})

    assert desk.waiting is not None
    assert desk.waiting.caller is caller.session


@pytest.mark.parametrize("data", [[1], "text", 5, True])
def test_02_2_2_what_is_no_object_is_not_touched(caller: MemoryWorker, data: Any) -> None:
    assert caller.result_of("desk::echo", data) == data


def test_02_2_2_calls_of_the_engine_are_not_signed(engine: MemoryEngine, desk: Desk) -> None:
    results: list[bytes | None] = []

    engine.core.router.call("desk::echo", None, b'{"a":1}', lambda result, error: results.append(result))

    assert results == [b'{"a":1}']


@pytest.mark.parametrize("namespace", ["default", "shop"])
def test_N5_a_builtin_answers_to_any_namespace(caller: MemoryWorker, namespace: str) -> None:
    assert caller.result_of("desk::add", {"a": 1}, namespace=namespace) == {"total": 1}


# -- decoding ---------------------------------------------------------------------------------------------------------


def test_02_2_3_unknown_keys_are_ignored_and_null_is_absent(caller: MemoryWorker) -> None:
    assert caller.result_of("desk::add", {"a": 1, "b": None, "c": [2]}) == {"total": 1}


@pytest.mark.parametrize(
    ("data", "detail"),
    [
        ({"a": "x"}, 'invalid type: string "x", expected an integer - at `$.a`'),
        ({"a": None}, "invalid type: null, expected an integer - at `$.a`"),
        ({}, "missing field `a`"),
        (5, "invalid type: integer `5`, expected struct Sum"),
        ([], "invalid type: sequence, expected struct Sum"),
    ],
)
def test_02_2_3_what_does_not_fit_is_named(caller: MemoryWorker, data: Any, detail: str) -> None:
    assert error_of(caller, "desk::add", data) == (
        "deserialization_error",
        f"Failed to deserialize input for desk::add: {detail}",
    )


def test_I1_null_and_missing_data_are_an_empty_object(caller: MemoryWorker, desk: Desk) -> None:
    call = {"type": "invokefunction", "function_id": "desk::silent"}
    caller.say(call)
    caller.say({**call, "data": None})
    assert desk.seen == [None, None]

    caller.say({**call, "function_id": "desk::add", "invocation_id": "0" * 32, "data": None})

    answer = caller.answer_to("0" * 32)
    assert answer is not None
    assert answer["error"]["message"].endswith("missing field `a`")


def test_I1_a_null_member_is_a_value_and_an_absent_one_is_missing(caller: MemoryWorker) -> None:
    answer = caller.call("desk::note", {"text": None})
    assert answer["result"] is None

    assert error_of(caller, "desk::note", {})[0] == "deserialization_error"


@pytest.mark.parametrize("data", [b'{"value":"\xff"}', b'{"value":%b}' % DEEP, b'{"value":', b'{"value":NaN}'])
def test_02_2_3_what_cannot_be_read_is_refused(engine: MemoryEngine, desk: Desk, data: bytes) -> None:
    errors: list[InvocationError | None] = []

    engine.core.router.call("desk::silent", None, data, lambda result, error: errors.append(error))

    (error,) = errors
    assert error is not None
    assert error.code == "deserialization_error"
    assert error.message.startswith("Failed to deserialize input for desk::silent: ")


@pytest.mark.parametrize(
    ("data", "filed"),
    [
        ({"drawer": "top", "paper": {"a": [1]}}, ("top", {"a": [1]}, 1)),
        ({"drawer": "top", "sheet": None, "copyCount": 3, "more": 1}, ("top", None, 3)),
        ({"place": "desk", "drawer": "top", "sheet": "s"}, ("desk", "s", 1)),
    ],
)
def test_05_members_may_have_an_older_name(caller: MemoryWorker, desk: Desk, data: Any, filed: Any) -> None:
    assert caller.result_of("desk::file", data) == filed[1]
    assert (desk.seen[0].place, desk.seen[0].copies) == (filed[0], filed[2])


@pytest.mark.parametrize(
    ("data", "detail"),
    [
        ({"drawer": "top"}, "missing field `paper`"),
        ({"sheet": 1}, "missing field `place`"),
        ({"drawer": [2], "paper": 1}, "invalid type: sequence, expected a string - at `$.drawer`"),
        ({"place": 2.5, "paper": 1}, "invalid type: floating point `2.5`, expected a string - at `$.place`"),
        ({"place": {"a": 1}, "sheet": 1}, "invalid type: map, expected a string - at `$.place`"),
        ({}, "missing field `place`"),
        ("x" * 500, f'invalid type: string "{"x" * 100}", expected struct Filing'),
    ],
)
def test_05_an_older_name_is_named_where_it_does_not_fit(caller: MemoryWorker, data: Any, detail: str) -> None:
    assert error_of(caller, "desk::file", data)[1].endswith(f"desk::file: {detail}")


# -- sizes: nothing holds the loop for long ---------------------------------------------------------------------------

STAIRS = b"[" + b"[[[[[[[[[[]]]]]]]]]]," * (BUILTIN_VALUE_BYTES // 25) + b"1]"  # a million lists to whoever decodes it


class Collections:
    """Counts what the collector does, which is done once for 500 new containers here."""

    def __enter__(self) -> "Collections":
        self.count = 0
        self._before = gc.get_threshold()
        gc.set_threshold(500)
        gc.callbacks.append(self._counted)
        return self

    def __exit__(self, *error: object) -> None:
        gc.callbacks.remove(self._counted)
        gc.set_threshold(*self._before)

    def _counted(self, phase: str, _: object) -> None:
        self.count += phase == "start"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b'{"place":"top","paper":%b}', None),
        (b'{"drawer":"top","sheet":%b}', None),
        (b"%b", "deserialization_error"),
        (b'{"place":%b,"paper":1}', "deserialization_error"),
        (b'{"drawer":%b,"paper":1}', "deserialization_error"),
        (b'{"place":"top","more":%b}', "deserialization_error"),
        (b'{"drawer":"top","more":%b}', "deserialization_error"),
    ],
)
def test_F2_no_objects_are_made_of_a_value_whatever_is_wrong_with_it(
    engine: MemoryEngine, desk: Desk, data: bytes, code: str | None
) -> None:
    """Decoding 60 MiB to name the kind of one member held the loop for up to 38 s."""
    answers: list[str | None] = []

    def answered(result: bytes | None, error: InvocationError | None) -> None:
        answers.append(None if error is None else error.code)

    with Collections() as collections:
        engine.core.router.call("desk::file", None, data % STAIRS, answered)

    assert answers == [code]
    assert collections.count < 3


@pytest.mark.parametrize(
    ("function_id", "limit"), [("desk::file", BUILTIN_VALUE_BYTES), ("desk::refuse", BUILTIN_REQUEST_BYTES)]
)
def test_F3_a_payload_above_the_limit_is_refused_unread(
    engine: MemoryEngine, desk: Desk, function_id: str, limit: int
) -> None:
    errors: list[InvocationError | None] = []

    def call(data: bytes) -> str:
        engine.core.router.call(function_id, None, data, lambda result, error: errors.append(error))
        error = errors.pop()
        assert error is not None
        return error.code

    assert call(b'"' + b"x" * (limit - 2) + b'"') in ("deserialization_error", "invocation_failed")
    assert call(b"[" * (limit + 1)) == "payload_too_large"


def test_F3_names_of_a_builtin_that_takes_values_are_small(engine: MemoryEngine, desk: Desk) -> None:
    errors: list[InvocationError | None] = []
    for data in (b'{"place":"%b","paper":1}', b'{"place":"p","paper":1,"more":"%b"}'):
        text = data % (b"x" * BUILTIN_REQUEST_BYTES)
        engine.core.router.call("desk::file", None, text, lambda result, error: errors.append(error))
    for error in errors:
        assert error is not None
        assert "exceeds the limit of 524288" in error.message


MODULES = [row.load() for row in CATALOGUE]


@pytest.mark.parametrize("module", [module for module in MODULES if issubclass(module, Module)])
def test_F3_builtins_keep_large_values_as_they_were_sent(module: type[Module]) -> None:
    """What may have 8 MiB is Raw: nothing that a payload may be full of becomes objects on the loop."""
    parts = (module, *module.parts)
    methods = [getattr(part, name) for part in parts for name in dir(part)]
    for method in methods:
        if getattr(method, "__builtin__", None) is None:
            continue
        request = next(iter(typing.get_type_hints(method).values()))
        fields = () if request is Raw else msgspec.structs.fields(request)
        if any(_holds(field.type, (Raw,)) for field in fields):
            assert not [field.name for field in fields if _holds(field.type, (Any, dict, list))]


def _holds(kind: Any, kinds: tuple[Any, ...]) -> bool:
    options = (kind, typing.get_origin(kind), *typing.get_args(kind))
    return any(option in kinds for option in options) or any(_holds(each, kinds) for each in typing.get_args(kind))


# -- results ----------------------------------------------------------------------------------------------------------


def test_I2_no_result_is_left_out_and_a_null_is_sent(caller: MemoryWorker) -> None:
    assert "result" not in caller.call("desk::silent")
    answer = caller.call("desk::note", {"text": None})
    assert answer["result"] is None
    assert all("error" not in message for message in caller.heard("invocationresult"))


@pytest.mark.parametrize("value", ["object", "loop"])
def test_02_2_4_a_result_that_is_no_json_is_an_error(caller: MemoryWorker, value: str) -> None:
    code, message = error_of(caller, "desk::strange", {"value": value})

    assert code == "serialization_error"
    assert message.startswith("Failed to serialize result for desk::strange: ")


def test_a_refusal_reaches_the_caller(caller: MemoryWorker) -> None:
    assert error_of(caller, "desk::refuse") == ("INVALID_ARGUMENTS", "not today")


def test_a_builtin_that_breaks_is_answered_and_logged(caller: MemoryWorker, caplog: pytest.LogCaptureFixture) -> None:
    assert error_of(caller, "desk::break") == (
        "invocation_failed",
        "internal error in desk::break; the engine's log has it",
    )
    (record,) = [record for record in caplog.records if record.exc_info]
    assert record.message == "Builtin function failed (function=desk::break)"


def test_an_answer_may_come_later(caller: MemoryWorker, desk: Desk) -> None:
    call = caller.start_call("desk::later")
    assert caller.answer_to(call) is None
    assert desk.waiting is not None

    desk.waiting.complete(b"5")
    desk.waiting.refuse(InvalidArguments("once only"))

    answer = caller.answer_to(call)
    assert answer is not None
    assert answer["result"] == 5


# -- builtins that wait -----------------------------------------------------------------------------------------------


class Tasks:
    """Runs what builtins spawn."""

    def __init__(self) -> None:
        self.running: list[asyncio.Task[None]] = []

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        self.running.append(asyncio.ensure_future(coroutine))

    async def finished(self) -> None:
        async with asyncio.timeout(60):
            await asyncio.gather(*self.running)


async def waiting_call(engine: MemoryEngine, value: str | None = None) -> dict[str, Any]:
    """The answer of `desk::wait`, which must not come before the bell."""
    tasks = Tasks()
    engine.core.spawn = tasks.spawn
    desk = Desk(engine.core)
    engine.core.add_module(desk)
    caller = engine.connect()
    call = caller.start_call("desk::wait", {"value": value})
    assert caller.result_of("desk::add", {"a": 1}) == {"total": 1}  # others are answered meanwhile
    assert caller.answer_to(call) is None

    desk.bell.set()
    await tasks.finished()

    answer = caller.answer_to(call)
    assert answer is not None
    return answer


async def test_a_builtin_may_wait(engine: MemoryEngine) -> None:
    assert (await waiting_call(engine))["result"] == {"total": 7}


async def test_a_builtin_that_waited_may_refuse(engine: MemoryEngine) -> None:
    assert (await waiting_call(engine, "refuse"))["error"] == {"code": "INVALID_ARGUMENTS", "message": "not today"}


async def test_a_builtin_that_waited_may_break(engine: MemoryEngine, caplog: pytest.LogCaptureFixture) -> None:
    assert (await waiting_call(engine, "break"))["error"]["code"] == "invocation_failed"
    assert "Builtin function failed (function=desk::wait)" in caplog.text


# -- what lists show --------------------------------------------------------------------------------------------------


def test_02_2_9_schemas_and_description_come_from_the_method(caller: MemoryWorker) -> None:
    detail = info(caller, "desk::add")

    assert detail["description"] == "Add two numbers."
    assert detail["request_schema"]["properties"]["b"]["type"] == ["integer", "null"]
    assert detail["request_schema"]["required"] == ["a"]
    assert detail["response_schema"]["title"] == "Total"
    assert "metadata" not in detail


def test_02_2_9_a_method_that_decodes_by_itself_says_what_it_expects(caller: MemoryWorker) -> None:
    detail = info(caller, "desk::echo")

    assert detail["request_schema"]["title"] == "Sum"
    assert detail["response_schema"]["title"] == "Total"


def test_02_2_9_an_answer_that_comes_later_is_described_without_the_delay(caller: MemoryWorker) -> None:
    assert info(caller, "desk::later")["response_schema"]["title"] == "Total"


def test_24_s12_schemas_are_made_in_turns_once_the_engine_runs(engine: MemoryEngine) -> None:
    """All at once they would hold the loop; before it serves they would hold up its start."""

    class Order(Struct):
        number: int

    class Kitchen(Module):
        name = "iii-kitchen"
        description = "Dinner."

        @builtin("kitchen::cook", spec="of this test")
        def cook(self, request: Order) -> Total:
            return Total(request.number)

    Kitchen.cook.__annotations__["request"] = Order  # a class of this function, if annotations are texts
    before = json_schema.cache_info().misses
    engine.core.add_module(Kitchen(engine.core))
    assert json_schema.cache_info().misses == before

    steps = sum(1 for _ in engine.core.registry.making_schemas())

    all_made = json_schema.cache_info().misses
    assert all_made > before
    assert steps >= 2 * len(list(engine.core.functions))
    caller = engine.connect()
    for function in engine.core.functions:
        info(caller, function.id)
    assert json_schema.cache_info().misses == all_made


def test_24_s12_formats_of_the_same_method_are_equal_before_they_are_made(engine: MemoryEngine) -> None:
    """A module that is started again changes nothing for who follows the list."""
    first, second = ({each.id: each.formats for each in Desk(engine.core).functions()} for _ in range(2))

    assert first == second
    assert first["desk::add"] != first["desk::echo"]


def test_a_method_without_docstring_has_no_description(engine: MemoryEngine, desk: Desk) -> None:
    function = engine.core.functions.exact("desk::silent", "default")

    assert function is not None
    assert function.description == ""
    assert json.loads(function.response_format)["type"] == "null"


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (Total, Total),
        (Total | Later, Total),
        (Total | Raw, Total),
        (Total | Sum | Later, Total | Sum),
        (type(None), type(None)),
    ],
)
def test_what_callers_get(annotation: Any, expected: Any) -> None:
    assert declared_result(annotation) == expected
