"""What a caller says that a result is: `returns=` of calls and reads (12 §1)."""

from collections.abc import Callable
from functools import lru_cache
from types import FunctionType, NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from msgspec import Raw

from iii.protocol.errors import InvalidRequest, InvalidResult
from iii.sdk.typed import payload_reader

READABLE = "readable by Python"  # what a result is not that has a number beyond its own
_NOTHING = (Any, object)  # hints that say nothing about a value


class _OrNone:
    """What cannot be a member of a union."""

    __slots__ = ("hint",)
    __hash__ = None  # type: ignore[assignment]  # it is not worth remembering: it would never be found again

    def __init__(self, hint: Any) -> None:
        self.hint = hint


class ResultType:
    """Makes results of one type, by the rules for payloads."""

    __slots__ = ("_name", "_read")

    def __init__(self, name: str, read: Callable[[bytes], Any]) -> None:
        self._name = name
        self._read = read

    def read(self, raw: bytes, function_id: str, invocation_id: str | None) -> Any:
        """The result of that call. Raises InvalidResult."""
        try:
            return self._read(raw)
        except InvalidRequest as error:
            raise InvalidResult(function_id, self._name, error.message, invocation_id) from None


_AS_IT_CAME = ResultType("Raw", lambda raw: raw)  # that there is none shows, too: it is `NULL` itself


def result_type(hint: Any) -> ResultType | None:
    """What `returns` means; None: plain values. The same hint is looked at once.

    Raises:
        TypeError: no value of that type can be made from JSON.
    """
    if hint in _NOTHING:
        return None
    if hint is Raw:
        return _AS_IT_CAME
    try:
        hash(hint)
    except TypeError:  # such as Annotated with a list in it, or a bound that says more by a dict
        return _looked_at(hint)
    return _remembered(hint)


def or_none(hint: Any) -> Any:
    """Of a read that gives None where there is nothing."""
    if hint in _NOTHING:
        return Any
    result_type(hint)  # what is no type cannot be joined
    try:
        hash(hint)
    except TypeError:  # which Python cannot join either
        return _OrNone(_type(hint))
    return _type(hint) | None


def list_of(hint: Any) -> Any:
    """Of a read that gives several."""
    return Any if hint in _NOTHING else list[_type(hint)]  # type: ignore[misc]  # a type that is known when it is called


def _looked_at(hint: Any) -> ResultType | None:
    if isinstance(hint, _OrNone):
        return _or_none_read(hint.hint)
    try:
        read = payload_reader(_type(hint))
    except TypeError as error:
        raise TypeError(str(error) if isinstance(hint, str) else f"returns: {error}") from None
    return None if read is None else ResultType(_shown(hint), read)


def _or_none_read(hint: Any) -> ResultType | None:
    read = payload_reader(hint)
    if read is None:
        return None
    return ResultType(f"{_shown(hint)} | None", lambda raw: None if bytes(raw).strip() == b"null" else read(raw))


_remembered = lru_cache(maxsize=512)(_looked_at)


def _type(hint: Any) -> Any:
    if isinstance(hint, str):
        raise TypeError(f"returns must be a type, got the text {hint!r:.200}: names in quotes are not resolved")
    if isinstance(hint, FunctionType):
        raise TypeError(f"returns must be a type, got the function {hint.__qualname__}")
    return NoneType if hint is None else hint


def _shown(hint: Any) -> str:
    """As people write it: without modules."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint in (None, NoneType):
        return "None"
    if origin in (Union, UnionType):
        return " | ".join(map(_shown, arguments))
    if origin is Annotated:
        return _shown(arguments[0])
    if isinstance(origin, type):
        return f"{origin.__qualname__}[{', '.join(map(_shown, arguments))}]"
    return hint.__qualname__ if isinstance(hint, type) else str(hint).removeprefix("typing.")
