"""A handler as the worker calls it: payload read, metadata passed, result ready to be sent (08 §7.2)."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from opcode import opmap
from types import CodeType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw

from iii.protocol.errors import InvalidRequest
from iii.protocol.messages import NULL, InvokeFunction
from iii.sdk.annotations import NOTHING, Hints, decode_plain, read_plain
from iii.sdk.channels import is_end, materialized, reference_of
from iii.sdk.typed import declares_more_than_json, payload_reader

if TYPE_CHECKING:
    from iii.sdk.channel_opener import ChannelOpener


class Handler:
    """What a user registered, looked at once.

    Attributes:
        is_async: whether calling it gives an awaitable, so that it runs on the loop; others get a thread.
        waitless: the code of it, if it is async and has no `await`; while that is its code, it needs no task to wait in.
        declares_result: whether the return annotation names a type that JSON has not, so that the result may be of it.
    """

    def __init__(self, function: Callable[..., Any], hints: Hints, channels: ChannelOpener) -> None:
        self.function = function
        self.is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
            getattr(function, "__call__", None)  # noqa: B004 - the method itself is looked at
        )
        self.waitless = _code_without_await(function)
        self._read = _reader(hints.payload, channels)
        self._takes_payload = hints.takes_payload
        self._default = hints.payload_default
        self._metadata_by_keyword = hints.metadata_by_keyword
        self._metadata_by_position = hints.metadata_by_position
        self._takes_only_payload = (
            hints.takes_payload
            and hints.payload_default is NOTHING
            and not (hints.metadata_by_keyword or hints.metadata_by_position)
        )
        self.declares_result = declares_more_than_json(hints.result)
        self._read_metadata = payload_reader(hints.metadata) or read_plain
        self._metadata_default = hints.metadata_default

    def call(self, message: InvokeFunction) -> Any:
        """Call it; the result, or what has to be awaited for it. Raises what it raises, and InvalidRequest."""
        if self._takes_only_payload:  # first: nearly all handlers
            return self.function(self._read(message.data))
        if not self._takes_payload:
            arguments: tuple[Any, ...] = ()
        elif self._default is not NOTHING and message.data == NULL:
            arguments = (self._default,)
        else:
            arguments = (self._read(message.data),)
        if self._metadata_by_position:
            arguments = (*arguments, self._metadata(message.metadata))
        if self._metadata_by_keyword:
            return self.function(*arguments, metadata=self._metadata(message.metadata))
        return self.function(*arguments)

    def _metadata(self, raw: Raw) -> Any:
        """A call without it gives the handler's default, or None."""
        if raw == NULL:
            return self._metadata_default
        try:
            return self._read_metadata(raw)
        except InvalidRequest as error:
            raise InvalidRequest(f"metadata: {error.message}") from None
        except msgspec.DecodeError as error:
            raise InvalidRequest(f"metadata: {error}") from None


_SEND = opmap["SEND"]  # in whatever awaits: `await`, `async for`, `async with`


def _code_without_await(function: Callable[..., Any]) -> CodeType | None:
    """Of a coroutine function that awaits nothing; None for what merely shows the code of another one, as proxies and mocks do."""
    plain: Any = function.__func__ if type(function) is MethodType else function
    if type(plain) is not FunctionType or not plain.__code__.co_flags & inspect.CO_COROUTINE:
        return None
    return None if _SEND in plain.__code__.co_code[::2] else plain.__code__


def _reader(hint: Any, channels: ChannelOpener) -> Callable[[bytes], Any]:
    """Raises TypeError: values of this type cannot be made from JSON."""
    plain = plain_with_channels(channels)
    if not is_end(hint):
        return payload_reader(hint) or plain

    def read_end(raw: bytes) -> Any:
        end = plain(raw)
        if not isinstance(end, hint):
            raise InvalidRequest(f"Expected the reference of a {hint.__name__} - at `$`")
        return end

    return read_end


_SHORTEST_REFERENCE = len('{"channel_id":"","access_key":"","direction":"read"}')


def plain_with_channels(opener: ChannelOpener) -> Callable[[bytes], Any]:
    """Plain values, with an end of a channel for every reference to one."""

    def read(raw: bytes) -> Any:
        try:
            value = decode_plain(raw)
        except msgspec.DecodeError:
            try:
                value = read_plain(raw)
            except msgspec.DecodeError as error:  # valid JSON all the same, such as 1e400
                raise InvalidRequest(str(error)) from None
        if len(raw) < _SHORTEST_REFERENCE:
            return value
        references = bytes(raw).count(b'"channel_id"')
        if not references:
            return value
        if isinstance(value, dict):
            ends = {key: each for key, each in value.items() if reference_of(each) is not None}
            if len(ends) == references:  # as in requests over HTTP, whose bodies may have millions of values
                return value | materialized(ends, opener)
        return materialized(value, opener)

    return read
