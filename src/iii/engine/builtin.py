"""Builtins: typed methods of a module that are functions of the engine (02 §2)."""

from __future__ import annotations

import inspect
import logging
import types
import typing
from collections.abc import Callable, Coroutine, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, TypeVar

import msgspec
from msgspec import Raw

from iii.engine.builtin_request import RequestDecoder
from iii.engine.functions import Function
from iii.engine.invocation import Invocation
from iii.engine.schema import LateSchema, json_schema
from iii.protocol.errors import InvocationError, SerializationFailed
from iii.protocol.log_event import LogEvent
from iii.protocol.tracecontext import ids_of

BUILTIN_FAILED = LogEvent(
    __name__, "engine.builtin_failed", logging.ERROR, "Builtin function failed",
    means="A function of the engine raised; a caller has an error that says to look here.",
    do="Report it with its stack trace.",
)  # fmt: skip

F = TypeVar("F", bound=Callable[..., Any])


class Later:
    """What a builtin returns that answers through its invocation when it can."""


LATER = Later()


class Declaration(msgspec.Struct, frozen=True):
    """What the decorator notes on a method."""

    function_id: str
    spec: str
    waits_for_registrations: bool
    request: type | None
    aliases: Mapping[str, str]


def builtin(
    function_id: str,
    *,
    spec: str,
    waits_for_registrations: bool = False,
    request: type | None = None,
    aliases: Mapping[str, str] = MappingProxyType({}),
) -> Callable[[F], F]:
    """Declare a method as a function of the engine.

    The method takes the decoded request (a Struct, annotated) and, if it has a second parameter, the invocation. It
    returns a Struct, None for no result, LATER (alone: any JSON, without a schema), or `Raw` JSON (beside a Struct: the
    same, encoded already); an
    `async def` may wait. It raises InvocationError to refuse. Description, request and response schema come from the
    docstring's first line and the annotations.

    Args:
        function_id: as callers name it.
        spec: where its behaviour is decided.
        waits_for_registrations: a caller that has not announced itself gets its answer once its registrations
            apply (N2).
        request: what to document for a method that takes `Raw` and decodes it by its own rules.
        aliases: other names of members, for requests that do not fit without them.
    """

    def declare(method: F) -> F:
        method.__builtin__ = Declaration(function_id, spec, waits_for_registrations, request, aliases)  # type: ignore[attr-defined]
        return method

    return declare


class _Form(msgspec.Struct, frozen=True):
    """What the declaration and the annotations of a method say: looked at when it is first called or shown."""

    documented_request: Any
    response: Any
    decode: Callable[[bytes | Raw | memoryview], Any]


@cache  # the builtins of a second engine in the process are those of the first
def _form_of(function: types.FunctionType) -> _Form:
    declaration: Declaration = function.__builtin__  # type: ignore[attr-defined] # by the decorator
    hints = typing.get_type_hints(function)
    request = hints[function.__code__.co_varnames[1]]
    documented = declaration.request or request
    return _Form(
        documented,
        declared_result(hints["return"]),
        RequestDecoder(declaration.function_id, request, documented, declaration.aliases).decode,
    )


@cache
def _request_schema(function: types.FunctionType) -> bytes:
    return json_schema(_form_of(function).documented_request)


@cache
def _response_schema(function: types.FunctionType) -> bytes:
    """`null` for one that answers with whatever it has."""
    response = _form_of(function).response
    return b"null" if response is Later else json_schema(response)


class Builtin:
    """A bound method as the core calls it: decodes, runs, encodes, answers."""

    def __init__(
        self,
        method: types.MethodType,
        declaration: Declaration,
        spawn: Callable[[Coroutine[Any, Any, None]], object] | None,
    ) -> None:
        function = self._function = method.__func__
        self.function_id = declaration.function_id
        self.description = (inspect.getdoc(function) or "").partition("\n")[0]
        self.request_schema = LateSchema(_request_schema, function)
        self.response_schema = LateSchema(_response_schema, function)
        self._method = method
        self._takes_invocation = function.__code__.co_argcount > len(("self", "request"))
        self._waits = declaration.waits_for_registrations
        self._decode: Callable[[bytes | Raw | memoryview], Any] = self._first_decode
        self._spawn = spawn if inspect.iscoroutinefunction(function) else None

    def deliver(self, invocation: Invocation, function: Function) -> None:
        """Answer one invocation; whatever happens inside is answered too."""
        if not (self._waits and self._held(invocation)):
            self._run(invocation)

    def _first_decode(self, data: bytes | Raw | memoryview) -> Any:
        self._decode = decode = _form_of(self._function).decode
        return decode(data)

    def _held(self, invocation: Invocation) -> bool:
        caller = invocation.caller
        return (
            caller is not None
            and caller.expects_announcement
            and caller.when_registrations_applied(lambda: self._run(invocation))
        )

    def _run(self, invocation: Invocation) -> None:
        request = invocation.request
        if request is None:
            try:
                request = self._decode(invocation.data)
            except InvocationError as error:
                invocation.refuse(error)
                return
        if self._spawn is not None:
            self._spawn(self._wait(invocation, (request, invocation) if self._takes_invocation else (request,)))
            return
        method = self._method
        try:
            result = method(request, invocation) if self._takes_invocation else method(request)
            if result is not LATER:
                self._answer(invocation, result)
        except InvocationError as error:
            invocation.refuse(error)
        except Exception as error:
            self._broken(invocation, error)

    async def _wait(self, invocation: Invocation, arguments: tuple[Any, ...]) -> None:
        try:
            result = await self._method(*arguments)
            if result is not LATER:
                self._answer(invocation, result)
        except InvocationError as error:
            invocation.refuse(error)
        except Exception as error:
            self._broken(invocation, error)

    def _answer(self, invocation: Invocation, result: Any) -> None:
        if result is None:
            invocation.complete(None)
            return
        try:
            encoded = msgspec.json.encode(result)
        except (TypeError, ValueError, RecursionError) as error:
            invocation.refuse(SerializationFailed(self.function_id, str(error)))
            return
        invocation.complete(encoded)

    def _broken(self, invocation: Invocation, error: Exception) -> None:
        BUILTIN_FAILED(error, function=self.function_id, **ids_of(invocation.traceparent))
        invocation.refuse(InvocationError(message=f"internal error in {self.function_id}; the engine's log has it"))


def declared_result(annotation: Any) -> Any:
    """What callers get: without LATER, and without `Raw` beside the Struct that it encodes."""
    if typing.get_origin(annotation) not in (typing.Union, types.UnionType):
        return annotation
    kept = tuple(option for option in typing.get_args(annotation) if option not in (Later, Raw))
    return kept[0] if len(kept) == 1 else typing.Union[kept]  # noqa: UP007
