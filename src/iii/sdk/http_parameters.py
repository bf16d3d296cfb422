"""Where each parameter of an HTTP handler comes from, and its value out of one request (08 §12).

By annotation: `HttpRequest` and `StreamResponse` are themselves; a name in the route's path is that part of it; a
scalar is of the query unless it says `Header` or `Body`; `bytes` is the body as it was sent; any other type is the JSON
body.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from enum import Enum
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec

from iii.protocol.errors import InvalidRequest
from iii.protocol.json_text import nests_deeper_than
from iii.protocol.late_pattern import late_pattern
from iii.protocol.limits import NESTING_LEVELS
from iii.protocol.media_types import is_json
from iii.protocol.suggestion import nearest
from iii.sdk.annotations import NOTHING, Signature, named_parameters
from iii.sdk.http_messages import HttpRequest, StreamResponse
from iii.sdk.typed import Typed, typed

_PATH_NAMES = late_pattern(r"/(?:[:*]([^/]+)|\{\*?([^/{}]+)\})")
_GOT = late_pattern(r", got `\w+`$")
_AT = late_pattern(r" - at `\$[^`]*`")
_AT_BYTE = late_pattern(r"(?:JSON is malformed: )?(.*) \(byte (\d+)\)")
_ONE_TEXT = "a query parameter is a single text: use str, and split ?name=a,b at the commas"
_SHOWN = 80  # characters of a value in an error


class Header(msgspec.Struct, frozen=True):
    """``Annotated[str, Header()]``: from the header of the parameter's name with hyphens, or of the name given."""

    name: str | None = None


class Query(msgspec.Struct, frozen=True):
    """``Annotated[str, Query("from")]``: from the query, where the name there is no name in Python."""

    name: str | None = None


class Body(msgspec.Struct, frozen=True):
    """``Annotated[list[str], Body()]``: from the JSON body, where the type alone leaves a doubt."""


class ParameterSource(Enum):
    """Where a value comes from; of those with a text, the member of the request and what a client calls it."""

    PATH = ("path_params", "path parameter")
    QUERY = ("query_params", "query parameter")
    HEADER = ("headers", "header")
    BODY = ("body", "body")
    RAW_BODY = ("request_body", "body")
    REQUEST = ("", "request")
    RESPONSE = ("response", "response")


class Parameter(msgspec.Struct, frozen=True):
    """One parameter of a handler.

    Attributes:
        key: what the value is called in the request.
        kind: how to make its value; None for one that is given as it is.
        default: `NOTHING` if the request must have it.
    """

    name: str
    source: ParameterSource
    key: str
    kind: Typed | None
    default: Any
    positional: bool

    def value(self, request: HttpRequest) -> Any:
        """Out of a request. Raises InvalidRequest."""
        if self.source is ParameterSource.BODY:
            return self._body(request)
        group, called = self.source.value
        path = f"at `$.{group}.{self.key}`"
        text: str | None = getattr(request, group).get(self.key)
        if text is None:
            if self.default is not NOTHING:
                return self.default
            raise InvalidRequest(f"missing {called} '{self.key}' - {path}")
        if self.kind is None:
            return text
        try:
            return self.kind.from_text(text)
        except InvalidRequest as error:
            said = _GOT.sub("", _AT.sub("", error.message))
            # a header may be a secret; and what is said of an enum has the value already
            shown = "" if self.source is ParameterSource.HEADER or repr(text) in said else f", got {text[:_SHOWN]!r}"
            raise InvalidRequest(f"{called} '{self.key}': {said}{shown} - {path}") from None

    def _body(self, request: HttpRequest) -> Any:
        sent = request.body
        if sent is None and self.default is not NOTHING:
            return self.default
        if self.kind is None:
            return sent
        try:
            return self.kind.from_plain(sent)
        except InvalidRequest as error:
            if sent is None and not has_content(request):
                raise InvalidRequest("expected a JSON body, and the request has no body - at `$.body`") from None
            rooted = error.message.replace(" - at `$", " - at `$.body")
            raise InvalidRequest(rooted if " - at `$" in rooted else f"{rooted} - at `$.body`") from None


def parameters_of(signature: Signature, path: str) -> list[Parameter]:
    """Of a handler for a route.

    Raises:
        TypeError: it cannot be told where one comes from, its hint cannot be kept, two want the body, or none takes a
            part of the path.
    """
    names = {first or second for first, second in _PATH_NAMES.findall(f"/{path.removeprefix('/')}")}
    found = [_parameter(each, signature.hint(each), names) for each in named_parameters(signature)]
    bodies = [each.name for each in found if each.source in (ParameterSource.BODY, ParameterSource.RAW_BODY)]
    if len(bodies) > 1:
        raise TypeError(
            f"parameters {', '.join(map(repr, bodies))} would each be the whole body: combine them into one type, "
            "or mark the others with iii.Query() or iii.Header()"
        )
    if not any(each.source is ParameterSource.REQUEST for each in found):
        _refuse_untaken(path, names - {"*"}, found)
    return found


def _refuse_untaken(path: str, names: set[str], found: list[Parameter]) -> None:
    """Raises TypeError: a name is misspelt, and would be looked for in the query of each request.

    A handler without parameters for the query does without that part of the path on purpose.
    """
    others = [each.name for each in found if each.source is ParameterSource.QUERY]
    for name in sorted(names - {each.key for each in found if each.source is ParameterSource.PATH}) if others else ():
        near = others[0] if len(others) == 1 else nearest(name, others, 0.4)
        hint = f" (did you mean '{near}'?)" if near else ""
        raise TypeError(
            f"route '{path}' has the path parameter '{name}', and the handler has no parameter of that name{hint}: "
            f"{f'name a parameter {name!r}' if name.isidentifier() else 'rename it in the path'}, or take iii.HttpRequest for the whole request"
        )


def _parameter(parameter: inspect.Parameter, hint: Any, path_names: set[str]) -> Parameter:
    name, key = parameter.name, parameter.name
    if hint is NOTHING:
        if name not in path_names:
            raise TypeError(
                f"parameter '{name}' is not in the path and has no annotation: annotate it with iii.HttpRequest for the "
                "whole request, a class for the JSON body, or str, int, … for a query parameter"
            )
        hint = str
    given = {
        HttpRequest: ParameterSource.REQUEST,
        StreamResponse: ParameterSource.RESPONSE,
        bytes: ParameterSource.RAW_BODY,
    }
    mark, kind = _mark(hint), None
    source = (
        None
        if mark is not None or name in path_names
        else next((given[each] for each in given if each is _bare(hint)), None)
    )
    if source is None:
        try:
            kind = typed(hint)
        except TypeError as error:
            raise TypeError(f"parameter '{name}': {error}") from None
        scalar = kind is not None and kind.is_scalar
        if isinstance(mark, Header):
            source, key = ParameterSource.HEADER, (mark.name or name.replace("_", "-")).lower()
        elif isinstance(mark, Query):
            source, key = ParameterSource.QUERY, mark.name or name
        elif name in path_names:
            source = ParameterSource.PATH
        elif isinstance(mark, Body):
            source = ParameterSource.BODY
        else:
            source = ParameterSource.QUERY if scalar else ParameterSource.BODY
            if source is ParameterSource.BODY and parameter.default is not NOTHING and _is_list(hint):
                raise TypeError(
                    f"parameter '{name}' is a list with a default, which is an optional JSON body and not a query parameter. "
                    f"For the body write Annotated[…, iii.Body()]; {_ONE_TEXT}"
                )
        if source is not ParameterSource.BODY and kind is not None and not scalar:
            remedy = f"; {_ONE_TEXT}" if _is_list(hint) else ""
            raise TypeError(
                f"parameter '{name}' is a {source.value[1]}: its text cannot be converted to {hint!r}{remedy}"
            )
    return Parameter(name, source, key, kind, parameter.default, parameter.kind is parameter.POSITIONAL_ONLY)


def _mark(hint: Any) -> Header | Query | Body | None:
    if get_origin(hint) is not Annotated:
        return None
    for each in get_args(hint)[1:]:
        if isinstance(each, type) and issubclass(each, Header | Query | Body):
            return each()  # the class itself: Annotated[str, Header]
        if isinstance(each, Header | Query | Body):
            return each
    return None


def _is_list(hint: Any) -> bool:
    bare = _bare(hint)
    if get_origin(bare) in (Union, UnionType):
        return any(map(_is_list, get_args(bare)))
    kind = get_origin(bare) or bare
    return isinstance(kind, type) and issubclass(kind, (list, tuple, set, frozenset))


def _bare(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


def values(
    parameters: list[Parameter], request: HttpRequest, others: Mapping[ParameterSource, Any]
) -> tuple[list[Any], dict[str, Any]]:
    """What to call the handler with, positional and by name. Raises InvalidRequest: all that is wrong."""
    positional: list[Any] = []
    named: dict[str, Any] = {}
    problems: list[str] = []
    for each in parameters:
        try:
            value = others[each.source] if each.source in others else each.value(request)
        except InvalidRequest as error:
            problems.append(error.message)
            continue
        if each.positional:
            positional.append(value)
        else:
            named[each.name] = value
    if problems:
        raise InvalidRequest("; ".join(problems))
    return positional, named


# -- a body that is not there -------------------------------------------------------------------------------------


def has_content(request: HttpRequest) -> bool:
    """Whether the client sent bytes as a body, as far as the head says."""
    headers = request.headers
    return "transfer-encoding" in headers or headers.get("content-length", "0").strip("0") != ""


async def refuse_unreadable_body(request: HttpRequest) -> None:
    """Of a request whose `body` is None: return if it has none, or a JSON null. Raises InvalidRequest, saying what is wrong."""
    if not has_content(request):
        return
    content_type = request.headers.get("content-type")
    if not is_json(content_type):
        told = "the request has no content-type" if content_type is None else f"got {content_type[:_SHOWN]!r}"
        raise InvalidRequest(f"expected a body with content-type application/json, {told} - at `$.body`")
    content = await request.read()
    if problem := _json_problem(content):
        raise InvalidRequest(f"{problem} - at `$.body`")


def _json_problem(content: bytes) -> str | None:
    if not content:
        return None
    try:
        content.decode()
        if nests_deeper_than(content, NESTING_LEVELS):
            return f"the body is nested deeper than {NESTING_LEVELS} levels"
        msgspec.json.decode(content)
    except UnicodeDecodeError as error:
        return f"the body is not valid JSON: not UTF-8 at byte {error.start}"
    except msgspec.DecodeError as error:
        found = _AT_BYTE.fullmatch(str(error))
        reason, at = found.groups() if found else ("unexpected end", str(len(content)))
        return f"the body is not valid JSON: {reason} at byte {at}"
    return None
