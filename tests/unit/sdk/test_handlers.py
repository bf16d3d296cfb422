"""What a handler is called with (08 §9.6, §14.4)."""

import asyncio
import functools
import json
from typing import Any
from unittest.mock import AsyncMock

import pytest
from msgspec import Raw

import iii
from iii.protocol.errors import InvalidRequest
from iii.protocol.messages import InvokeFunction
from iii.sdk.annotations import Hints
from iii.sdk.channel_opener import ChannelOpener
from iii.sdk.handlers import Handler

DOOR = ChannelOpener("ws://127.0.0.1:1", {})
REF = {"channel_id": "c", "access_key": "k", "direction": "read"}


def call(function: Any, payload: Any, metadata: Any = None) -> Any:
    message = InvokeFunction("f", Raw(json.dumps(payload).encode()))
    if metadata is not None:
        message.metadata = Raw(json.dumps(metadata).encode())
    return Handler(function, Hints(function), DOOR).call(message)


def test_08_s14_4_a_payload_may_be_an_end_of_a_channel() -> None:
    def read(source: iii.ChannelReader) -> object:
        return source

    assert isinstance(call(read, REF), iii.ChannelReader)
    for other in ({**REF, "direction": "write"}, {"a": 1}, None):
        with pytest.raises(InvalidRequest, match="Expected the reference of a ChannelReader"):
            call(read, other)


def test_metadata_is_read_as_its_hint_says() -> None:
    def take(payload: int, metadata: dict[str, int] | None = None) -> object:
        return payload, metadata

    assert call(take, 1, {"a": 2}) == (1, {"a": 2})
    assert call(take, 1) == (1, None)
    with pytest.raises(InvalidRequest, match="metadata: "):
        call(take, 1, {"a": "x"})


def test_a_number_that_python_cannot_hold_is_an_error_of_the_caller() -> None:
    """Valid JSON, which any other client may send."""

    def take(payload: Any, metadata: Any = None) -> None: ...

    handler = Handler(take, Hints(take), DOOR)
    with pytest.raises(InvalidRequest, match=r"^invalid_request: Number out of range"):
        handler.call(InvokeFunction("f", Raw(b'{"a":1e400}')))
    with pytest.raises(InvalidRequest, match="metadata: Number out of range"):
        handler.call(InvokeFunction("f", Raw(b"1"), metadata=Raw(b'{"a":1e400}')))


class Doing:
    async def method(self, payload: Any) -> Any:
        return payload

    async def __call__(self, payload: Any) -> Any:
        return payload


async def plain(payload: Any) -> Any:
    return [each + 1 for each in payload]


async def raising(payload: Any) -> Any:
    raise ValueError


async def waiting(payload: Any) -> Any:
    if payload:
        await asyncio.sleep(0)


async def iterating(payload: Any) -> Any:
    async for each in payload:
        return each


async def entering(payload: Any) -> Any:
    async with payload:
        return 1


def not_async(payload: Any) -> Any:
    return payload


class Proxy:
    """Shows what it wraps, as decorators of libraries do."""

    __class__ = property(lambda self: type(plain))

    def __getattr__(self, name: str) -> Any:
        return getattr(plain, name)

    def __call__(self, payload: Any) -> Any:
        return waiting(payload)


@pytest.mark.parametrize("function", [plain, raising, Doing().method])
def test_a_handler_without_await_needs_no_task(function: Any) -> None:
    assert Handler(function, Hints(function), DOOR).waitless is function.__code__


@pytest.mark.parametrize(
    "function",
    [
        waiting,
        iterating,
        entering,
        not_async,
        Doing(),
        functools.partial(plain),
        lambda payload: plain(payload),
        AsyncMock(),
        Proxy(),
    ],
)
def test_all_others_may_wait(function: Any) -> None:
    assert Handler(function, Hints(function), DOOR).waitless is None


def test_a_handler_whose_code_is_replaced_by_one_with_await_needs_a_task_from_then_on() -> None:
    """Tools that load code again while a program runs, or measure it, do that."""

    async def edited(payload: Any) -> Any:
        return payload

    handler = Handler(edited, Hints(edited), DOOR)
    assert handler.waitless is edited.__code__
    edited.__code__ = waiting.__code__
    assert handler.waitless is not edited.__code__
