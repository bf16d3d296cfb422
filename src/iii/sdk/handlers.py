"""A handler as the worker calls it: payload read, metadata passed, result ready to be sent (08 §7.2)."""

import inspect
from collections.abc import Callable
from typing import Any

from msgspec import Raw

from iii.protocol.messages import NULL, InvokeFunction
from iii.sdk.annotations import NOTHING, Hints, declares_more_than_json, read_plain, reader
from iii.sdk.channels import ChannelDoor, materialized


class Handler:
    """What a user registered, looked at once.

    Attributes:
        is_async: whether calling it gives an awaitable, so that it runs on the loop; others get a thread.
        declares_result: whether the return annotation names a type that JSON has not, so that the result may be of it.
    """

    def __init__(self, function: Callable[..., Any], hints: Hints, channels: ChannelDoor) -> None:
        self.function = function
        self.is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
            getattr(function, "__call__", None)  # noqa: B004 - the method itself is looked at
        )
        self._read = reader(hints.payload)
        if self._read is read_plain:
            self._read = plain_with_channels(channels)
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
            arguments = (*arguments, _metadata(message.metadata))
        if self._metadata_by_keyword:
            return self.function(*arguments, metadata=_metadata(message.metadata))
        return self.function(*arguments)


def plain_with_channels(door: ChannelDoor) -> Callable[[bytes], Any]:
    """Plain values, with an end of a channel for every reference to one."""

    def read(raw: bytes) -> Any:
        value = read_plain(raw)
        return materialized(value, door) if b'"channel_id"' in bytes(raw) else value

    return read


def _metadata(raw: Raw) -> Any:
    return read_plain(raw)
