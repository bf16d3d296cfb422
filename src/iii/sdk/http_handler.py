"""A handler of one route as a function of the engine's: takes the request apart, makes the response of the result."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from functools import cached_property
from types import UnionType
from typing import Any, Union, get_args, get_origin

import msgspec

from iii.protocol.errors import InvalidRequest
from iii.sdk.annotations import NOTHING, Signature
from iii.sdk.channels import ChannelError, ChannelWriter
from iii.sdk.encoding import encode_declared
from iii.sdk.http_messages import HttpRequest, HttpResponse, StreamResponse
from iii.sdk.http_parameters import (
    Parameter,
    ParameterSource,
    has_content,
    parameters_of,
    refuse_unreadable_body,
    values,
)
from iii.sdk.schema import DIALECT, OWN_FORMATS, Schema, components
from iii.sdk.typed import declares_more_than_json, typed

_GROUPS = (ParameterSource.PATH, ParameterSource.QUERY, ParameterSource.HEADER)
_TEXT = {"content-type": "text/plain; charset=utf-8"}
_WITHOUT_BODY = (204, 304)
_UPLOAD: Schema = {"type": "string", "format": "binary", "contentMediaType": "application/octet-stream"}
_STREAMED: Schema = {
    "type": "object",
    "properties": {"body": _UPLOAD, "status_code": {"type": "integer"}},
    "required": [],
    "$schema": DIALECT,
}


class HttpHandler:
    """What a user's function is registered as.

    Attributes:
        serve: takes the payload, async if the user's function is.
    """

    def __init__(self, function: Callable[..., Any], path: str) -> None:
        """Raises TypeError: it cannot be told where a parameter comes from."""
        self._function = function
        signature = Signature(function)
        self._parameters = parameters_of(signature, path)
        sources = {each.source for each in self._parameters}
        self._streams = ParameterSource.RESPONSE in sources
        self._reads_body = ParameterSource.RAW_BODY in sources
        self._takes_json = ParameterSource.BODY in sources
        is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
            getattr(function, "__call__", None)  # noqa: B004 - the method itself is looked at
        )
        if not is_async and (self._streams or self._reads_body):
            raise TypeError("a handler with a raw body or a StreamResponse must be async: declare it with async def")
        self.serve: Callable[..., Any] = self._async() if is_async else self._sync()
        self.serve.__doc__, self.serve.__annotations__ = function.__doc__, {}  # there is nothing in ours to look up
        self._result = signature.result()
        setattr(self.serve, OWN_FORMATS, self)

    @property
    def request_format(self) -> Schema | None:
        """A JSON Schema of what is typed; None if nothing is. Made when the function is registered, as those of others."""
        return _request_format(self._parameters)

    @property
    def response_format(self) -> Schema | None:
        """As above."""
        return _STREAMED if self._streams else _response_format(self._result)

    @cached_property
    def _declares(self) -> bool:
        return declares_more_than_json(self._result)

    def _async(self) -> Callable[[Any], Awaitable[Any]]:
        async def serve(payload: Any) -> Any:
            request = _request(payload)
            response = StreamResponse(payload["response"])
            others: dict[ParameterSource, Any] = {ParameterSource.REQUEST: request, ParameterSource.RESPONSE: response}
            try:
                if self._reads_body:
                    others[ParameterSource.RAW_BODY] = await request.read()
                if self._takes_json and request.body is None:
                    await refuse_unreadable_body(request)
                positional, named = values(self._parameters, request, others)
            except InvalidRequest as error:
                return _bad_request(error)
            if self._streams:
                return await _streamed(self._function(*positional, **named), response)
            return await _answered(await self._function(*positional, **named), response, self._declares)

        return serve

    def _sync(self) -> Callable[[Any], Any]:
        def serve(payload: Any) -> Any:
            request = _request(payload)
            response = StreamResponse(payload["response"])
            if self._takes_json and request.body is None and has_content(request):
                return self._looked_at(request, response)
            try:
                positional, named = values(self._parameters, request, {ParameterSource.REQUEST: request})
            except InvalidRequest as error:
                return _bad_request(error)
            result = self._function(*positional, **named)
            if inspect.isawaitable(result):  # a lambda around an async function
                return _awaited(result, response, self._declares)
            return _sent(result, response) if _is_bytes(result) else _result(result, self._declares)

        return serve

    async def _looked_at(self, request: HttpRequest, response: StreamResponse) -> Any:
        """A request with a body that is null, or nothing that could be read: only the loop can look which."""
        from iii.sdk.awaited import in_thread  # with asyncio, which a route that is only declared does without

        try:
            await refuse_unreadable_body(request)
            positional, named = values(self._parameters, request, {ParameterSource.REQUEST: request})
        except InvalidRequest as error:
            return _bad_request(error)
        result = await in_thread(self._function, *positional, **named)
        return await _answered(result, response, self._declares)


def _request(payload: Any) -> HttpRequest:
    """Raises InvalidRequest: somebody called the function with something else."""
    try:
        if isinstance(payload["response"], ChannelWriter):
            return HttpRequest.from_payload(payload)
    except (KeyError, TypeError, AttributeError):
        pass
    raise InvalidRequest("this function serves HTTP requests: the payload is not an HTTP request")


async def _awaited(result: Awaitable[Any], response: StreamResponse, declared: bool) -> Any:
    return await _answered(await result, response, declared)


async def _answered(result: Any, response: StreamResponse, declared: bool) -> Any:
    return await _sent(result, response) if _is_bytes(result) else _result(result, declared)


def _bad_request(error: InvalidRequest) -> dict[str, Any]:
    """Worded as the engine's own errors (03 §A8)."""
    return {"status_code": 400, "body": {"error": {"code": error.code, "message": error.message}}}


def _result(result: Any, declared: bool) -> dict[str, Any]:
    """What the engine makes a response of (03 §A7); nothing at all is 204."""
    if not isinstance(result, HttpResponse):
        return {"status_code": 204} if result is None else {"status_code": 200, "body": _body(result, declared)}
    headers = dict(result.headers)
    if result.body is not None:
        return {"status_code": result.status_code, "headers": headers, "body": _body(result.body, declared)}
    if result.status_code not in _WITHOUT_BODY and not any(name.lower() == "content-type" for name in headers):
        headers |= _TEXT  # beside a type of its own an empty text is an empty body
    return {"status_code": result.status_code, "headers": headers, "body": ""}


def _body(body: Any, declared: bool) -> Any:
    return encode_declared(body) if declared else body


def _is_bytes(result: Any) -> bool:
    return isinstance(result.body if isinstance(result, HttpResponse) else result, bytes)


async def _sent(result: Any, stream: StreamResponse) -> None:
    """Bytes go through the response's channel: a result is JSON."""
    response = result if isinstance(result, HttpResponse) else HttpResponse(body=result)
    await _streamed(stream.send_whole(response, response.body), stream)


async def _streamed(work: Awaitable[Any], response: StreamResponse) -> None:
    """Run what streams to its end, and end the response as it ended."""
    try:
        await work
        await response.close()
    except ChannelError:
        if not response.client_left:
            response.abort()
            raise
    except BaseException:
        response.abort()
        raise


# -- schemas ------------------------------------------------------------------------------------------------------


def _request_format(parameters: list[Parameter]) -> Schema | None:
    described = [each for each in parameters if each.source in (*_GROUPS, ParameterSource.BODY)]
    schemas, definitions = components([each.kind for each in described])
    properties: dict[str, Any] = {}
    required: list[str] = []
    for each, schema in zip(described, schemas, strict=True):
        if each.source is ParameterSource.BODY:
            members, needed = properties, required
        else:
            group = properties.setdefault(each.source.value[0], {"type": "object", "properties": {}, "required": []})
            members, needed = group["properties"], group["required"]
        key = "body" if each.source is ParameterSource.BODY else each.key
        members[key] = _with_default(schema, each.default)
        if each.default is NOTHING:
            needed.append(key)
    if any(each.source is ParameterSource.RAW_BODY for each in parameters):
        properties[ParameterSource.RAW_BODY.value[0]] = _UPLOAD
    return _object(properties, required, definitions)


def _with_default(schema: Schema, default: Any) -> Schema:
    if default is NOTHING or default is None:
        return schema
    try:
        return {**schema, "default": msgspec.json.decode(encode_declared(default))}
    except TypeError:  # it has no form in JSON
        return schema


def _response_format(hint: Any) -> Schema | None:
    """Body and status of what the annotation names: None is 204, bytes are another body, an HttpResponse can be anything."""
    members = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    if NOTHING in members or Any in members:
        return None
    bodies = [each for each in members if each not in (None, type(None), bytes, HttpResponse)]
    properties: dict[str, Any] = {}
    definitions: Schema = {}
    if bodies:
        try:
            (described,), definitions = components([typed(Union[tuple(bodies)])])  # noqa: UP007 - of as many as there are
        except TypeError:  # nobody can make it from JSON; it may still have a form there
            described = {}
        properties["body"] = described
    elif bytes in members:
        properties["body"] = _UPLOAD
    statuses = [200] * (len(properties)) + [204] * (None in members or type(None) in members)
    if HttpResponse in members:
        properties["status_code"] = {"type": "integer"}
    elif statuses != [200]:
        properties["status_code"] = {"enum": statuses}
    elif not properties["body"]:
        return None
    return _object(properties, ["body"] if "status_code" not in properties else [], definitions)


def _object(properties: Mapping[str, Any], required: list[str], definitions: Schema) -> Schema | None:
    if not properties:
        return None
    schema: Schema = {"type": "object", "properties": properties, "required": required, "$schema": DIALECT}
    return {**schema, "$defs": definitions} if definitions else schema
