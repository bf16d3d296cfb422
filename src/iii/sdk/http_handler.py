"""A handler of one route as a function of the engine's: takes the request apart, makes the response of the result."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from types import UnionType
from typing import Any, Union, get_args, get_origin

from iii.protocol.errors import InvalidRequest
from iii.sdk.annotations import NOTHING, declares_more_than_json, resolved_hints
from iii.sdk.channels import ChannelError, ChannelWriter
from iii.sdk.encoding import encode_declared
from iii.sdk.http_messages import HttpRequest, HttpResponse, StreamResponse
from iii.sdk.http_parameters import Parameter, Source, parameters_of, values
from iii.sdk.schema import DIALECT, Schema, components

_GROUPS = (Source.PATH, Source.QUERY, Source.HEADER)
_BYTES = {"content-type": "application/octet-stream"}


class HttpHandler:
    """What a user's function is registered as.

    Attributes:
        serve: takes the payload, async if the user's function is.
        request_format, response_format: JSON Schemas of what is typed; None if nothing is.
    """

    def __init__(self, function: Callable[..., Any], path: str) -> None:
        """Raises TypeError: it cannot be told where a parameter comes from."""
        self._function = function
        self._parameters = parameters_of(function, path)
        sources = {each.source for each in self._parameters}
        self._streams = Source.RESPONSE in sources
        self._reads_body = Source.RAW_BODY in sources
        is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
            getattr(function, "__call__", None)  # noqa: B004 - the method itself is looked at
        )
        if not is_async and (self._streams or self._reads_body):
            raise TypeError(
                "a handler that takes the raw body or a StreamResponse waits for the client: make it async def"
            )
        self.serve: Callable[..., Any] = self._async() if is_async else self._sync()
        self.serve.__doc__ = function.__doc__
        self.request_format = _request_format(self._parameters)
        result = resolved_hints(function).get("return", NOTHING)
        self.response_format = _response_format(result)
        self._declares = declares_more_than_json(result)

    def _async(self) -> Callable[[Any], Awaitable[Any]]:
        async def serve(payload: Any) -> Any:
            request = _request(payload)
            response = StreamResponse(payload["response"])
            others: dict[Source, Any] = {Source.REQUEST: request, Source.RESPONSE: response}
            try:
                if self._reads_body:
                    others[Source.RAW_BODY] = await request.read()
                positional, named = values(self._parameters, request, others)
            except InvalidRequest as error:
                return _bad_request(error)
            if self._streams:
                return await _streamed(self._function(*positional, **named), response)
            result = await self._function(*positional, **named)
            return await _sent(result, response) if _is_bytes(result) else _result(result, self._declares)

        return serve

    def _sync(self) -> Callable[[Any], Any]:
        def serve(payload: Any) -> Any:
            request = _request(payload)
            try:
                positional, named = values(self._parameters, request, {Source.REQUEST: request})
            except InvalidRequest as error:
                return _bad_request(error)
            result = self._function(*positional, **named)
            response = StreamResponse(payload["response"])
            if inspect.isawaitable(result):  # a lambda around an async function
                return _awaited(result, response, self._declares)
            return _sent(result, response) if _is_bytes(result) else _result(result, self._declares)

        return serve


def _request(payload: Any) -> HttpRequest:
    """Raises InvalidRequest: somebody called the function with something else."""
    try:
        if isinstance(payload["response"], ChannelWriter):
            return HttpRequest.from_payload(payload)
    except (KeyError, TypeError, AttributeError):
        pass
    raise InvalidRequest("this function serves HTTP requests, and its payload is none")


async def _awaited(result: Awaitable[Any], response: StreamResponse, declared: bool) -> Any:
    found = await result
    return await _sent(found, response) if _is_bytes(found) else _result(found, declared)


def _bad_request(error: InvalidRequest) -> dict[str, Any]:
    """Worded as the engine's own errors (03 A8)."""
    return {"status_code": 400, "body": {"error": {"code": error.code, "message": error.message}}}


def _result(result: Any, declared: bool) -> dict[str, Any]:
    """What the engine makes a response of (03 A7); nothing at all is 204."""
    answer: dict[str, Any] = {"status_code": 204 if result is None else 200}
    body = result
    if isinstance(result, HttpResponse):
        answer, body = {"status_code": result.status_code, "headers": dict(result.headers)}, result.body
    return answer if body is None else {**answer, "body": encode_declared(body) if declared else body}


def _is_bytes(result: Any) -> bool:
    return isinstance(result.body if isinstance(result, HttpResponse) else result, bytes)


async def _sent(result: Any, stream: StreamResponse) -> None:
    """Bytes go through the response's channel: a result is JSON."""
    response = result if isinstance(result, HttpResponse) else HttpResponse(body=result)
    content: bytes = response.body
    headers: dict[str, str | list[str]] = {name.lower(): value for name, value in response.headers.items()}

    async def send() -> None:
        await stream.start(response.status_code, {**_BYTES, **headers, "content-length": str(len(content))})
        await stream.write(content)

    await _streamed(send(), stream)


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
    typed = [each for each in parameters if each.source in (*_GROUPS, Source.BODY)]
    schemas, definitions = components([each.hint for each in typed])
    properties: dict[str, Any] = {}
    required: list[str] = []
    for each, described in zip(typed, schemas, strict=True):
        if each.source is Source.BODY:
            members, needed = properties, required
        else:
            group = properties.setdefault(each.source.value[0], {"type": "object", "properties": {}, "required": []})
            members, needed = group["properties"], group["required"]
        key = "body" if each.source is Source.BODY else each.key
        members[key] = described
        if each.default is NOTHING:
            needed.append(key)
    return _object(properties, required, definitions)


def _response_format(hint: Any) -> Schema | None:
    """Of what is a JSON body; not of the other things that may be returned instead."""
    members = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    bodies = [each for each in members if each not in (NOTHING, None, type(None), bytes, HttpResponse)]
    if not bodies:
        return None
    (described,), definitions = components([Union[tuple(bodies)]])  # noqa: UP007 - of as many as there are
    return _object({"body": described}, ["body"], definitions) if described else None


def _object(properties: Mapping[str, Any], required: list[str], definitions: Schema) -> Schema | None:
    if not properties:
        return None
    schema: Schema = {"type": "object", "properties": properties, "required": required, "$schema": DIALECT}
    return {**schema, "$defs": definitions} if definitions else schema
