"""Where each parameter of an HTTP handler comes from, and its value out of one request (08 §12).

By annotation: `HttpRequest` and `StreamResponse` are themselves; a name in the route's path is that part of it; a
scalar is of the query unless it says `Header`; `bytes` is the body as it was sent; any other type is the JSON body.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, get_args, get_origin

import msgspec

from iii.protocol.errors import InvalidRequest
from iii.sdk.annotations import NOTHING, converted, is_readable, resolved_hints
from iii.sdk.http_messages import HttpRequest, StreamResponse

_PATH_NAMES = re.compile(r"/(?:[:*]([^/]+)|\{\*?([^/{}]+)\})")
_GOT = re.compile(r", got `\w+`$")
_SHOWN = 80  # characters of a value in an error


@dataclass(frozen=True, slots=True)
class Header:
    """``Annotated[str, Header()]``: from the header of the parameter's name with hyphens, or of the name given."""

    name: str | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """``Annotated[str, Query("from")]``: from the query, where the name there is no name in Python."""

    name: str | None = None


class Source(Enum):
    """Where a value comes from; of those with a text, the member of the request and what a client calls it."""

    PATH = ("path_params", "path parameter")
    QUERY = ("query_params", "query parameter")
    HEADER = ("headers", "header")
    BODY = ("body", "body")
    RAW_BODY = ("request_body", "body")
    REQUEST = ("", "request")
    RESPONSE = ("response", "response")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a handler.

    Attributes:
        key: what the value is called in the request.
        default: `NOTHING` if the request must have it.
    """

    name: str
    source: Source
    key: str
    hint: Any
    default: Any
    positional: bool

    def value(self, request: HttpRequest) -> Any:
        """Out of a request. Raises InvalidRequest."""
        if self.source is Source.BODY:
            return self._body(request.body)
        group, called = self.source.value
        path = f"at `$.{group}.{self.key}`"
        text: str | None = getattr(request, group).get(self.key)
        if text is None:
            if self.default is not NOTHING:
                return self.default
            raise InvalidRequest(f"missing {called} '{self.key}' - {path}")
        try:
            return msgspec.convert(text, self.hint, strict=False)
        except msgspec.ValidationError as error:
            value = "" if self.source is Source.HEADER else f", got {text[:_SHOWN]!r}"  # a header may be a secret
            raise InvalidRequest(f"{called} '{self.key}': {_GOT.sub('', str(error))}{value} - {path}") from None

    def _body(self, sent: Any) -> Any:
        if sent is None and self.default is not NOTHING:
            return self.default
        try:
            return converted(sent, self.hint)
        except InvalidRequest as error:
            if sent is None:
                raise InvalidRequest("a JSON body with content-type application/json is needed - at `$.body`") from None
            text, at, path = error.message.rpartition(" - at `$")
            raise InvalidRequest(f"{text} - at `$.body{path}" if at else f"{path} - at `$.body`") from None


def parameters_of(handler: Callable[..., Any], path: str) -> list[Parameter]:
    """Of a handler for a route.

    Raises:
        TypeError: it cannot be told where one comes from, or two want the body.
    """
    hints = resolved_hints(handler, include_extras=True)
    names = {first or second for first, second in _PATH_NAMES.findall(f"/{path.removeprefix('/')}")}
    found = [_parameter(each, hints.get(each.name, NOTHING), names) for each in _signature(handler)]
    bodies = [each.name for each in found if each.source in (Source.BODY, Source.RAW_BODY)]
    if len(bodies) > 1:
        raise TypeError(
            f"parameters {', '.join(map(repr, bodies))} would each be the whole body: make one type of them, "
            "or mark those from elsewhere with iii.Query() or iii.Header()"
        )
    return found


def _signature(handler: Callable[..., Any]) -> list[inspect.Parameter]:
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [each for each in inspect.signature(handler).parameters.values() if each.kind not in variadic]


def _parameter(parameter: inspect.Parameter, hint: Any, path_names: set[str]) -> Parameter:
    name, key = parameter.name, parameter.name
    if hint is NOTHING:
        if parameter.annotation is not NOTHING:
            raise TypeError(
                f"the annotation {parameter.annotation!r} of parameter '{name}' names something unknown there"
            )
        if name not in path_names:
            raise TypeError(
                f"parameter '{name}' is not in the path and has no annotation: annotate it with iii.HttpRequest for the "
                "whole request, a class for the JSON body, or str, int, … for a query parameter"
            )
        hint = str
    mark = _mark(hint)
    if hint is HttpRequest:
        source = Source.REQUEST
    elif hint is StreamResponse:
        source = Source.RESPONSE
    elif isinstance(mark, Header):
        source, key = Source.HEADER, (mark.name or name.replace("_", "-")).lower()
    elif isinstance(mark, Query):
        source, key = Source.QUERY, mark.name or name
    elif name in path_names:
        source = Source.PATH
    elif _bare(hint) is bytes:
        source = Source.RAW_BODY
    else:
        source = Source.QUERY if is_scalar(hint) else Source.BODY
    if source in (Source.PATH, Source.QUERY, Source.HEADER) and not is_scalar(hint):
        raise TypeError(f"parameter '{name}' is a {source.value[1]}, whose text makes no {hint!r}")
    if source is Source.BODY and hint is not Any and not is_readable(hint):
        raise TypeError(f"parameter '{name}' cannot be made from JSON: {hint!r} is no type that says how")
    return Parameter(name, source, key, hint, parameter.default, parameter.kind is parameter.POSITIONAL_ONLY)


def _mark(hint: Any) -> Header | Query | None:
    if get_origin(hint) is not Annotated:
        return None
    for each in get_args(hint)[1:]:
        if isinstance(each, type) and issubclass(each, Header | Query):
            return each()  # the class itself: Annotated[str, Header]
        if isinstance(each, Header | Query):
            return each
    return None


def _bare(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


_SCALARS = (
    msgspec.inspect.StrType, msgspec.inspect.IntType, msgspec.inspect.FloatType, msgspec.inspect.BoolType,
    msgspec.inspect.DateTimeType, msgspec.inspect.DateType, msgspec.inspect.TimeType, msgspec.inspect.TimeDeltaType,
    msgspec.inspect.UUIDType, msgspec.inspect.DecimalType, msgspec.inspect.EnumType, msgspec.inspect.LiteralType,
    msgspec.inspect.NoneType,
)  # fmt: skip


def is_scalar(hint: Any) -> bool:
    """Whether one text can be such a value: strings, numbers, booleans, dates, UUIDs, enums and choices of them."""
    try:
        described = msgspec.inspect.type_info(hint)
    except TypeError:
        return False
    return _is_scalar(described)


def _is_scalar(described: msgspec.inspect.Type) -> bool:
    if isinstance(described, msgspec.inspect.Metadata):
        return _is_scalar(described.type)
    if isinstance(described, msgspec.inspect.UnionType):
        return all(map(_is_scalar, described.types))
    return isinstance(described, _SCALARS)


def values(
    parameters: list[Parameter], request: HttpRequest, others: Mapping[Source, Any]
) -> tuple[list[Any], dict[str, Any]]:
    """What to call the handler with, positional and by name. Raises InvalidRequest."""
    positional: list[Any] = []
    named: dict[str, Any] = {}
    for each in parameters:
        value = others[each.source] if each.source in others else each.value(request)
        if each.positional:
            positional.append(value)
        else:
            named[each.name] = value
    return positional, named
