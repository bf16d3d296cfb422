"""What a builtin is asked: its payload decoded, within bounds, by any of its members' names (02 §2.3, I1)."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from iii.engine.input_problem import input_problem
from iii.protocol.errors import DeserializationFailed, PayloadTooLarge
from iii.protocol.json_text import BAD_JSON
from iii.protocol.limits import BUILTIN_REQUEST_BYTES, BUILTIN_VALUE_BYTES, KIB

_TWICE_BYTES = 64 * KIB  # to look through 8 MiB a second time takes 20 ms


class RequestDecoder:
    """Decodes the requests of one builtin on the loop, at most 8 MiB of them and each once.

    Args:
        request: a Struct, or Raw for a method that decodes by its own rules.
        documented: what callers are told to send.
        aliases: other names of members, for requests that do not fit without them.
    """

    __slots__ = ("_aliases", "_decode", "_documented", "_function_id", "_limit", "_values")

    def __init__(self, function_id: str, request: Any, documented: Any, aliases: Mapping[str, str]) -> None:
        self._function_id = function_id
        self._documented = documented
        self._decode = msgspec.json.Decoder(request).decode
        self._aliases = _Aliases(request, aliases) if aliases else None
        fields = () if request is Raw else msgspec.structs.fields(request)
        self._values = [field.name for field in fields if _may_be_raw(field.type)]
        self._limit = BUILTIN_VALUE_BYTES if self._values else BUILTIN_REQUEST_BYTES

    def decode(self, data: bytes | Raw | memoryview) -> Any:
        """Raises PayloadTooLarge or DeserializationFailed."""
        if type(data) is Raw:
            data = bytes(data)  # of a small message, where that is quicker than to look at it
        size = len(data)
        if size > self._limit:
            raise PayloadTooLarge(size, self._limit)
        if data == b"null":
            data = b"{}"  # a client that has nothing to say sends null (I1)
        decode = self._decode if self._aliases is None or size <= _TWICE_BYTES else self._aliases.decode
        try:
            request = decode(data)
        except BAD_JSON as error:
            request = self._decode_again(data, size, error)
        if size > BUILTIN_REQUEST_BYTES:
            self._check_names(request, size)
        return request

    def _decode_again(self, data: bytes | memoryview, size: int, error: Exception) -> Any:
        """By the other names, if that may help. Raises DeserializationFailed."""
        if isinstance(error, msgspec.ValidationError) and self._aliases is not None and size <= _TWICE_BYTES:
            try:
                return self._aliases.decode(data)
            except BAD_JSON as another:
                error = another
        raise DeserializationFailed(self._function_id, input_problem(error, data, self._documented)) from None

    def _check_names(self, request: Any, size: int) -> None:
        values = (value for name in self._values if type(value := getattr(request, name)) is Raw)
        others = size - sum(memoryview(value).nbytes for value in values)
        if others > BUILTIN_REQUEST_BYTES:
            text = (
                f"members other than the value have {others} bytes, which exceeds the limit of {BUILTIN_REQUEST_BYTES}"
            )
            raise DeserializationFailed(self._function_id, text)


def _may_be_raw(kind: Any) -> bool:
    """Whether a member stays as it was sent, and no objects are made of it."""
    return kind is Raw or any(map(_may_be_raw, typing.get_args(kind)))


class _Aliases:
    """Decodes requests whose members have one name or another; the proper one wins."""

    def __init__(self, request: Any, aliases: Mapping[str, str]) -> None:
        fields = {field.encode_name: field for field in msgspec.structs.fields(request)}
        types = {name: field.type for name, field in fields.items()}
        types |= {alias: fields[name].type for alias, name in aliases.items() if name in fields}
        sent = msgspec.defstruct("Sent", [(name, kind | UnsetType, UNSET) for name, kind in types.items()])
        self._decode = msgspec.json.Decoder(sent).decode
        self._request = request
        self._fields = fields
        self._names = {name: alias for alias, name in aliases.items()}

    def decode(self, data: bytes | Raw | memoryview) -> Any:
        """Raises DecodeError."""
        sent, members = self._decode(data), {}
        for name, field in self._fields.items():
            value = getattr(sent, name)
            if value is UNSET and name in self._names:
                value = getattr(sent, self._names[name])
            if value is not UNSET:
                members[field.name] = value
            elif field.required:
                raise msgspec.ValidationError(f"Object missing required field `{name}`")
        return self._request(**members)
