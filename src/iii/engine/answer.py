"""The answer that an invocation gets from a reply: of a store, a queue, another call."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import msgspec

from iii.protocol.errors import InvocationError

if TYPE_CHECKING:
    from iii.engine.invocation import Invocation
    from iii.protocol.reply import Reply

T = TypeVar("T")

Result: TypeAlias = "msgspec.Struct | msgspec.Raw | bytes | None"
"""A declared result, JSON as it is, or no result."""

_encode = msgspec.json.Encoder().encode


def _as_it_is(value: Any) -> Any:
    return value


def answer(
    invocation: Invocation,
    refusal: Callable[[str], InvocationError],
    text: str,
    shape: Callable[[T], Result] = _as_it_is,
) -> Reply[T, Exception]:
    """A reply that answers an invocation.

    Args:
        refusal: makes the error that the caller gets for one which is no InvocationError, from `text` and its own text.
        shape: from the value to the result. It may act on the value, and may raise InvocationError.
    """

    def reply(value: T | None, error: Exception | None) -> None:
        if error is None:
            try:
                result = shape(value)  # type: ignore[arg-type]
            except InvocationError as refused:
                invocation.refuse(refused)
                return
            if result is None or type(result) is bytes:
                invocation.complete(result)
            else:
                invocation.complete(bytes(result) if type(result) is msgspec.Raw else _encode(result))
        elif isinstance(error, InvocationError):
            invocation.refuse(error)
        else:
            invocation.refuse(refusal(f"{text}: {error}"))

    return reply
