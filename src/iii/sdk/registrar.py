"""Registers and unregisters: stores, and tells the engine if one is there (08 §7.1, §9.2, §9.3)."""

import uuid
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from iii.protocol.messages import (
    NULL,
    HttpInvocation,
    Message,
    RegisterFunction,
    RegisterTrigger,
    RegisterTriggerType,
    UnregisterFunction,
    UnregisterTrigger,
    UnregisterTriggerType,
)
from iii.protocol.replicas import ReplicaPolicy
from iii.sdk.annotations import Hints
from iii.sdk.channels import ChannelDoor
from iii.sdk.connection import EngineConnection
from iii.sdk.encoding import encode_outgoing
from iii.sdk.handlers import Handler
from iii.sdk.providers import TriggerHandler
from iii.sdk.refs import FunctionRef, Trigger
from iii.sdk.registrations import Function, Registrations, TriggerType
from iii.sdk.replicas import check_replicas, is_marked, with_mark
from iii.sdk.requests import (
    FunctionInput,
    TriggerInput,
    TriggerTypeInput,
    required,
    target_namespace,
    warn_of_unknown_keys,
)
from iii.sdk.schema import Schema, schema
from iii.sdk.typed import typed

_FUNCTION_KEYS = frozenset(FunctionInput.__annotations__)
_TRIGGER_KEYS = frozenset(TriggerInput.__annotations__)
_TRIGGER_TYPE_KEYS = frozenset(TriggerTypeInput.__annotations__)


class Registrar:
    """The registrations of one client, and the engine's copy of them."""

    def __init__(
        self,
        connection: EngineConnection,
        namespace: str | None,
        channels: ChannelDoor,
        replicas: ReplicaPolicy | None = None,
    ) -> None:
        self.registrations = Registrations()
        self._channels = channels
        self._connection = connection
        self._namespace = namespace
        self._replicas = replicas

    @property
    def replicated(self) -> bool:
        """Whether other workers serve with this one, or may, what it has registered so far (P8)."""
        return self._replicas is not None or any(each.replicated for each in self.registrations.functions.values())

    # -- functions ------------------------------------------------------------------------------------------------

    def function(self, given: str | FunctionInput, options: Mapping[str, Any], handler: object) -> FunctionRef:
        """Register a handler or an HTTP invocation.

        Args:
            given: the id, and then what is not told comes from the signature; or the dict form.
            options: as in the dict form, None where there is none.

        Raises:
            ValueError: the id is blank or taken on this client, or no such policy. TypeError: neither a function nor an HTTP invocation,
                a function that needs more than a payload and metadata, or an option that is given in both forms.
        """
        message = _message(given, options, self._replicas)
        function_id = message.id
        if function_id in self.registrations.functions:
            raise _taken(function_id)
        if isinstance(handler, HttpInvocation):
            message.invocation = handler
            function = Function(_encode(message), None, is_marked(message.metadata))
        elif callable(handler):
            served, hints = self._handler(function_id, handler)
            if not isinstance(given, Mapping):
                _describe(message, handler, hints)
            function = Function(_encode(message), served, is_marked(message.metadata))
        else:
            raise TypeError(
                "handler_or_invocation must be callable or HttpInvocationConfig, got " + type(handler).__name__
            )
        with self._connection.lock:
            if function_id in self.registrations.functions:
                raise _taken(function_id)
            self.registrations.functions[function_id] = function
            self._connection.send_if_connected(function.message)

        def unregister() -> None:
            with self._connection.lock:
                if self.registrations.functions.get(function_id) is function:
                    del self.registrations.functions[function_id]
                    self._connection.send_if_connected(_encode(UnregisterFunction(function_id)))

        return FunctionRef(function_id, unregister)

    def _handler(self, function_id: str, handler: Callable[..., Any]) -> tuple[Handler, Hints]:
        try:
            hints = Hints(handler)
            served = Handler(handler, hints, self._channels)
        except TypeError as error:
            raise TypeError(f"the handler of '{function_id}' cannot be registered: {error}") from None
        if hints.unfilled:
            names = ", ".join(map(repr, hints.unfilled))
            raise TypeError(
                f"the handler of '{function_id}' requires {names}, but a handler is called with one argument, the whole "
                "payload, and with `metadata` if it has a second parameter of that name"
            )
        return served, hints

    # -- triggers -------------------------------------------------------------------------------------------------

    def trigger(self, wanted: TriggerInput) -> Trigger:
        """Bind a function to a trigger type; a refusal by the engine or provider is logged."""
        warn_of_unknown_keys(wanted, _TRIGGER_KEYS, "register_trigger()")
        trigger_id, trigger_type = str(uuid.uuid4()), required(wanted, "type", "register_trigger()")
        namespace = target_namespace(wanted.get("namespace"), "", self._namespace, "RegisterTriggerInput.namespace")
        message = RegisterTrigger(
            trigger_id,
            trigger_type,
            required(wanted, "function_id", "register_trigger()"),
            _or_absent(wanted.get("config"), msgspec.UNSET),
            _or_absent(wanted.get("metadata")),
            namespace,
            wanted.get("trigger_namespace"),
        )
        encoded = encode_outgoing(message, {"config": wanted.get("config"), "metadata": wanted.get("metadata")})
        with self._connection.lock:
            self.registrations.triggers[trigger_id] = encoded
            self._connection.send_if_connected(encoded)

        def unregister() -> None:
            with self._connection.lock:
                if self.registrations.triggers.pop(trigger_id, None) is not None:
                    self._connection.send_if_connected(_encode(UnregisterTrigger(trigger_id, trigger_type)))

        return Trigger(trigger_id, unregister)

    def trigger_type(self, wanted: TriggerTypeInput, provider: TriggerHandler) -> None:
        """Provide a trigger type; again with the same id replaces the provider."""
        warn_of_unknown_keys(wanted, _TRIGGER_TYPE_KEYS, "register_trigger_type()")
        message = RegisterTriggerType(
            required(wanted, "id", "register_trigger_type()"),
            wanted.get("description", ""),
            _format(wanted.get("trigger_request_format")),
            _format(wanted.get("call_request_format")),
        )
        entry = TriggerType(_encode(message), provider)
        with self._connection.lock:
            self.registrations.trigger_types[message.id] = entry
            self._connection.send_if_connected(entry.message)

    def no_trigger_type(self, type_id: str, namespace: str | None) -> None:
        """Stop providing it; an unknown one does nothing."""
        with self._connection.lock:
            if self.registrations.trigger_types.pop(type_id, None) is not None:
                self._connection.send_if_connected(_encode(UnregisterTriggerType(type_id, namespace)))


def _encode(message: Message) -> bytes:
    return encode_outgoing(message)


def _or_absent(value: Any, absent: Any = NULL) -> Any:
    return absent if value is None else value


def _taken(function_id: str) -> ValueError:
    return ValueError(f"function id '{function_id}' already registered")


def _format(wanted: Any) -> Any:
    """A schema as given, or made of a type."""
    if wanted is None or isinstance(wanted, dict):
        return _or_absent(wanted)
    return _or_absent(schema(typed(wanted)))


def _schema(hint: Any) -> Schema | None:
    """None for what nobody can make from JSON: as a result it may still have a form there."""
    try:
        return schema(typed(hint))
    except TypeError:
        return None


def _message(
    given: str | FunctionInput, options: Mapping[str, Any], replicas: ReplicaPolicy | None
) -> RegisterFunction:
    if isinstance(given, Mapping):
        warn_of_unknown_keys(given, _FUNCTION_KEYS, "register_function()")
        function_id: object = required(given, "id", "register_function()")
    else:
        function_id = given
    if not isinstance(function_id, str):
        raise TypeError(f"function_id must be str, got {type(function_id).__name__}")
    if not function_id.strip():
        raise ValueError("id is required")
    chosen: dict[str, Any] = {}
    for name, keyword in options.items():
        value = given.get(name) if isinstance(given, Mapping) else None
        if value is not None and keyword is not None:
            raise TypeError(f"{name} of '{function_id}' is given twice: as a key and as a keyword argument")
        if value is not None or keyword is not None:
            chosen[name] = keyword if value is None else value
    replicas = chosen.pop("replicas", replicas)
    check_replicas(replicas)
    if replicas is not None:
        chosen["metadata"] = with_mark(chosen.get("metadata"), replicas, function_id)
    message = RegisterFunction(function_id)
    for name, value in chosen.items():
        setattr(message, name, value)
    return message


def _describe(message: RegisterFunction, handler: Callable[..., Any], hints: Hints) -> None:
    """What is not told, by the signature."""
    if message.request_format is NULL:
        message.request_format = _or_absent(_schema(hints.payload))
    if message.response_format is NULL:
        message.response_format = _or_absent(_schema(hints.result))
    if message.description is None:
        message.description = _first_line(handler)


def _first_line(handler: Callable[..., Any]) -> str | None:
    """What the docstring says in its first line; not that of a class or type, which is about something else."""
    import inspect

    if not inspect.isroutine(handler):
        return None
    text = inspect.getdoc(handler)
    return text.strip().partition("\n")[0] or None if text else None
