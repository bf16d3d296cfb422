"""Results of the types that callers name, through a real engine (12 §1)."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

import msgspec
import pydantic
import pytest
import pytest_asyncio

import iii
from iii.modules.pubsub.module import PubSub
from tests.integration.own_engine import OwnEngine


class House(OwnEngine[PubSub]):
    pass


class User(msgspec.Struct):
    id: int
    name: str = "Ada"


@dataclasses.dataclass
class Order:
    lines: list[User]


class Account(pydantic.BaseModel):
    id: Annotated[int, pydantic.Field(ge=1)]


@pytest_asyncio.fixture
async def house() -> AsyncIterator[House]:
    house = await House.opened(PubSub)
    house.worker.register_function("test::echo", lambda data: data["it"])
    yield house
    await house.disconnect()
    await house.module.stop()


def echo(value: Any, **more: Any) -> Any:
    return {"function_id": "test::echo", "payload": {"it": value}, **more}


@pytest.mark.parametrize(
    ("returns", "sent", "result"),
    [
        (User, {"id": 7}, User(7)),
        (list[User], [{"id": 7}], [User(7)]),
        (User | None, None, None),
        (Order, {"lines": [{"id": 7, "name": "B"}]}, Order([User(7, "B")])),
        (Account, {"id": 7}, Account(id=7)),
        (dict[str, int], {"a": 1}, {"a": 1}),
        (Literal["on", "off"], "on", "on"),
        (Annotated[int, msgspec.Meta(gt=0)], 1, 1),
        (Annotated[int, []], 2, 2),  # has no hash
        (dict[str, Annotated[int, []]], {"a": 1}, {"a": 1}),
        (type(None), None, None),
        (Any, {"id": 7}, {"id": 7}),
        (object, {"id": 7}, {"id": 7}),
        (None, None, None),
    ],
)
async def test_12_s1_a_result_is_of_the_type_that_is_named(house: House, returns: Any, sent: Any, result: Any) -> None:
    assert await house.worker.trigger_async(echo(sent), returns=returns) == result
    assert await asyncio.to_thread(house.worker.trigger, echo(sent), returns=returns) == result
    call = house.worker.start(echo(sent), returns=returns)
    assert await call == await call == result
    assert call.result() == result


@pytest.mark.parametrize(
    ("returns", "sent", "told"),
    [
        (User, {"id": "7"}, "User: Expected `int`, got `str` - at `$.id`"),
        (User, None, "User: Expected `object`, got `null`"),
        (list[User], [{"id": 1}, {}], "Object missing required field `id` - at `$[1]`"),
        (Order, {"lines": [{"id": 1, "name": 2}]}, "Order: Expected `str`, got `int` - at `$.lines[0].name`"),
        (Account, {"id": 0}, "Account: Input should be greater than or equal to 1 - at `$.id`"),
        (User | int, "x", "User | int: Expected `int | object`, got `str`"),
        (type(None), 1, "None: Expected `null`, got `int`"),
    ],
)
async def test_12_s1_another_result_is_an_error_that_names_function_path_and_type(
    house: House, returns: Any, sent: Any, told: str
) -> None:
    async def failures() -> list[iii.InvalidResult]:
        found = []
        for wait in (
            lambda: house.worker.trigger_async(echo(sent), returns=returns),
            lambda: asyncio.to_thread(house.worker.trigger, echo(sent), returns=returns),
            lambda: house.worker.start(echo(sent), returns=returns),
        ):
            with pytest.raises(iii.InvalidResult) as caught:
                await wait()
            found.append(caught.value)
        return found

    for error in await failures():
        assert error.code == "invalid_result"
        assert error.message.startswith("the result of test::echo is not ")
        assert told in error.message
        assert error.function_id == "test::echo"
        assert error.invocation_id is not None
        assert isinstance(error, iii.InvocationError)


async def test_12_s1_a_type_that_cannot_be_read_is_refused_before_the_call(house: House) -> None:
    called: list[Any] = []
    house.worker.register_function("test::called", called.append)
    request: Any = {"function_id": "test::called", "payload": 1}
    refused: list[tuple[Any, str]] = [
        (House, "cannot be decoded from JSON"),
        ("User", r"returns must be a type, got the text 'User'"),
        (dict[tuple[int], int], "keys of a type that JSON does not allow"),
        (Annotated[House, []], "cannot be decoded from JSON"),  # has no hash
    ]
    for returns, told in refused:
        with pytest.raises(TypeError, match=told):
            await house.worker.trigger_async(request, returns=returns)
        with pytest.raises(TypeError, match=told):
            house.worker.start(request, returns=returns)
    for action in (iii.TriggerAction.Void(), {"type": "void"}, iii.TriggerAction.Enqueue(queue="q")):
        with pytest.raises(ValueError, match="returns is for calls that wait for a result"):
            await house.worker.trigger_async(request | {"action": action}, returns=User)
    await house.worker.trigger_async(request)
    assert called == [1]


async def test_12_s1_a_failed_call_fails_as_without_a_type(house: House) -> None:
    def refuse(data: Any) -> None:
        raise iii.InvocationError("GONE", "left")

    house.worker.register_function("test::refuse", refuse)
    for failing, code in (("test::refuse", "GONE"), ("test::none", "function_not_found")):
        with pytest.raises(iii.InvocationError) as caught:
            await house.worker.trigger_async({"function_id": failing}, returns=User)
        assert caught.value.code == code


async def test_12_s1_members_that_the_engine_puts_into_payloads_do_not_disturb(house: House) -> None:
    class Strict(msgspec.Struct, forbid_unknown_fields=True):
        id: int

    house.worker.register_function("test::as_it_came", lambda data: data)
    request: Any = {"function_id": "test::as_it_came", "payload": {"id": 7}}
    assert await house.worker.trigger_async(request, returns=Strict) == Strict(7)
