"""A function as its author wrote it, before any connection: everything wrong with it is raised here (08 §7.1, §9.2)."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from iii.protocol.messages import NULL, HttpInvocation, RegisterFunction
from iii.protocol.replicas import ReplicaPolicy
from iii.sdk.annotations import Hints, Signature
from iii.sdk.argument_kinds import check_kinds
from iii.sdk.channels import is_end
from iii.sdk.encoding import encode_outgoing
from iii.sdk.place import place_of_the_user
from iii.sdk.replicas import check_replicas, is_marked, with_mark
from iii.sdk.requests import FunctionInput, required, warn_of_unknown_keys
from iii.sdk.schema import OWN_FORMATS, Schema, schema
from iii.sdk.typed import payload_reader, typed

if TYPE_CHECKING:
    from iii.sdk.channel_opener import ChannelOpener
    from iii.sdk.registrations import Function

_FUNCTION_KEYS = frozenset(FunctionInput.__annotations__)


class FunctionDeclaration:
    """What `register_function` was given.

    Attributes:
        id: of the function.
        place: where it is declared, as FILE:LINE.
    """

    def __init__(self, given: str | FunctionInput, options: Mapping[str, Any], handler: object) -> None:
        """Args:
            given: the id, and then what is not told comes from the signature; or the dict form.
            options: as in the dict form, None where there is none.

        Raises:
            ValueError: the id is blank, or there is no such policy. TypeError: neither a function nor an HTTP invocation,
                a function that needs more than a payload and metadata, or an option that is given in both forms.
        """
        self._message, self._replicas = _message(given, options, handler)
        self.place = place_of_the_user()
        self.id = self._message.id
        self._handler: tuple[Callable[..., Any], Hints] | None = None
        if isinstance(handler, HttpInvocation):
            self._message.invocation = _checked_url(self.id, handler)
        elif callable(handler):
            self._handler = handler, _checked(self.id, handler)
        else:
            raise TypeError(
                "handler_or_invocation must be callable or HttpInvocationConfig, got " + type(handler).__name__
            )
        self._described = isinstance(given, Mapping)

    @property
    def replicated(self) -> bool:
        """Whether it is, wherever it is registered."""
        return self._replicas is not None or is_marked(self._message.metadata)

    def function(self, replicas: ReplicaPolicy | None, channels: ChannelOpener) -> Function:
        """As one worker registers it.

        Args:
            replicas: the worker's policy, for a function without one.
            channels: where the ends of channels in its payloads are opened.
        """
        from iii.sdk.handlers import Handler  # with the next one what only a connection needs
        from iii.sdk.registrations import Function

        message = self._message
        if self._handler is not None and not self._described:
            _describe(message, *self._handler)
            self._described = True  # once, however often it is registered
        policy = self._replicas or replicas
        if policy is not None:
            metadata = None if message.metadata is NULL else message.metadata
            message = msgspec.structs.replace(message, metadata=with_mark(metadata, policy, self.id))
        handler = None if self._handler is None else Handler(*self._handler, channels)
        return Function(encode_outgoing(message), handler, self.place, is_marked(message.metadata))


def _checked_url(function_id: str, called: HttpInvocation) -> HttpInvocation:
    """Raises TypeError: a member is of a wrong type, which the engine could not read."""
    try:
        return msgspec.convert(msgspec.to_builtins(called), HttpInvocation)
    except (msgspec.ValidationError, TypeError) as error:
        raise TypeError(f"the HttpInvocationConfig of '{function_id}' cannot be sent: {error}") from None


def _checked(function_id: str, handler: Callable[..., Any]) -> Hints:
    signature = Signature(handler)
    if of_class := _class_of_method(handler, signature):
        raise TypeError(
            f"the handler of '{function_id}' is a method of class {of_class} without an object: its `self` would be the "
            f"payload. Write it outside of the class, or register the method of an object: "
            f"register_function('{function_id}', {of_class}().{handler.__name__})"
        )
    try:
        hints = Hints(handler, signature)
        _check_readable(hints)
    except TypeError as error:
        raise TypeError(f"the handler of '{function_id}' cannot be registered: {error}") from None
    if hints.unfilled:
        names = ", ".join(map(repr, hints.unfilled))
        raise TypeError(
            f"the handler of '{function_id}' requires {names}, but a handler is called with one argument, the whole "
            "payload, and with `metadata` if it has a second parameter of that name"
        )
    return hints


def _check_readable(hints: Hints) -> None:
    """Raises TypeError: values that the handler takes cannot be made from JSON."""
    if not is_end(hints.payload):
        payload_reader(hints.payload)
    payload_reader(hints.metadata)


def _class_of_method(handler: Callable[..., Any], signature: Signature) -> str | None:
    """The name of the class in whose body the function was written, if its first parameter is `self`."""
    if not inspect.isfunction(handler) or [each.name for each in signature.parameters[:1]] != ["self"]:
        return None
    around = handler.__qualname__.rpartition(".")[0].rpartition(".")[2]
    return around if around not in ("", "<locals>") else None


def _message(
    given: str | FunctionInput, options: Mapping[str, Any], handler: object
) -> tuple[RegisterFunction, ReplicaPolicy | None]:
    if isinstance(given, Mapping):
        warn_of_unknown_keys(given, _FUNCTION_KEYS, "register_function()")
        function_id: object = required(given, "id", "register_function()")
    else:
        function_id = given
    if not isinstance(function_id, str):
        raise TypeError(f"function_id must be str, got {type(function_id).__name__}")
    if not function_id.strip():
        name = getattr(handler, "__qualname__", type(handler).__name__)
        raise ValueError(f"id is required: that of the function '{name}' is {function_id!r}")
    chosen: dict[str, Any] = {}
    for name, keyword in options.items():
        value = given.get(name) if isinstance(given, Mapping) else None
        if value is not None and keyword is not None:
            raise TypeError(f"{name} of '{function_id}' is given twice: as a key and as a keyword argument")
        if value is not None or keyword is not None:
            chosen[name] = keyword if value is None else value
    replicas: ReplicaPolicy | None = chosen.pop("replicas", None)
    check_replicas(replicas)
    check_kinds({"description": "str", "request_format": "schema", "response_format": "schema"}, chosen)
    if replicas is not None:
        with_mark(chosen.get("metadata"), replicas, function_id)
    message = RegisterFunction(function_id)
    for name, value in chosen.items():
        setattr(message, name, value)
    if chosen:
        encode_outgoing(message, chosen)  # whatever has no JSON form is the author's mistake
    return message, replicas


def _describe(message: RegisterFunction, handler: Callable[..., Any], hints: Hints) -> None:
    """What is not told, by the signature."""
    own = handler.__dict__.get(OWN_FORMATS) if inspect.isfunction(handler) else None  # proxies have any attribute
    if message.request_format is NULL:
        message.request_format = _or_null(_schema(hints.payload) if own is None else own.request_format)
    if message.response_format is NULL:
        message.response_format = _or_null(_schema(hints.result) if own is None else own.response_format)
    if message.description is None:
        message.description = _first_line(handler)


def _or_null(value: Any) -> Any:
    return NULL if value is None else value


def _schema(hint: Any) -> Schema | None:
    """None for what nobody can make from JSON: as a result it may still have a form there."""
    try:
        return schema(typed(hint))
    except TypeError:
        return None


def _first_line(handler: Callable[..., Any]) -> str | None:
    """What the docstring says in its first line; not that of a class or type, which is about something else."""
    if not inspect.isroutine(handler):
        return None
    text = inspect.getdoc(handler)
    return text.strip().partition("\n")[0] or None if text else None


def id_taken(function_id: str, place: str) -> ValueError:
    """Two functions of one client have this id; the first is declared there."""
    return ValueError(f"function id '{function_id:.200}' already registered: at {place}")
