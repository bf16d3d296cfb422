"""A trigger and a trigger type as their author wrote them, before any connection (08 §9.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from iii.protocol.messages import NULL, RegisterTrigger, RegisterTriggerType
from iii.sdk.argument_kinds import check_kinds, check_methods
from iii.sdk.encoding import encode_outgoing
from iii.sdk.requests import TriggerInput, TriggerTypeInput, required, target_namespace, warn_of_unknown_keys
from iii.sdk.schema import schema
from iii.sdk.typed import typed

if TYPE_CHECKING:
    from iii.sdk.providers import TriggerHandler
    from iii.sdk.registrations import TriggerType

_TRIGGER_KEYS = frozenset(TriggerInput.__annotations__)
_TRIGGER_TYPE_KEYS = frozenset(TriggerTypeInput.__annotations__)


class TriggerDeclaration:
    """What `register_trigger` was given.

    Attributes:
        type: of the trigger.
    """

    def __init__(self, given: TriggerInput) -> None:
        """Raises KeyError: a key is missing. TypeError: it is no dict."""
        warn_of_unknown_keys(given, _TRIGGER_KEYS, "register_trigger()")
        self.type: str = required(given, "type", "register_trigger()")
        self._function_id: str = required(given, "function_id", "register_trigger()")
        check_kinds({"type": "str", "function_id": "str", "trigger_namespace": "str | None"}, given)
        self._given = given

    def message(self, trigger_id: str, namespace: str | None) -> bytes:
        """As a worker of a namespace registers it. Raises ValueError, TypeError: something cannot be sent."""
        given = self._given
        message = RegisterTrigger(
            trigger_id,
            self.type,
            self._function_id,
            msgspec.UNSET if given.get("config") is None else given["config"],
            NULL if given.get("metadata") is None else given["metadata"],
            target_namespace(given.get("namespace"), "", namespace, "RegisterTriggerInput.namespace"),
            given.get("trigger_namespace"),
        )
        return encode_outgoing(message, {"config": given.get("config"), "metadata": given.get("metadata")})


class TriggerTypeDeclaration:
    """What `register_trigger_type` was given.

    Attributes:
        id: of the type.
    """

    def __init__(self, given: TriggerTypeInput, provider: TriggerHandler) -> None:
        """Raises KeyError: there is no id. TypeError: a format is neither a schema nor a type that has one."""
        warn_of_unknown_keys(given, _TRIGGER_TYPE_KEYS, "register_trigger_type()")
        self.id: str = required(given, "id", "register_trigger_type()")
        check_kinds({"id": "str", "description": "str | None"}, given)
        check_methods("handler", provider, "an iii.TriggerHandler", "register_trigger", "unregister_trigger")
        message = RegisterTriggerType(
            self.id,
            given.get("description", ""),
            _format(given.get("trigger_request_format")),
            _format(given.get("call_request_format")),
        )
        self._message = encode_outgoing(message)
        self._provider = provider

    def trigger_type(self) -> TriggerType:
        """As one worker provides it."""
        from iii.sdk.registrations import TriggerType  # with what only a connection needs

        return TriggerType(self._message, self._provider)


def _format(wanted: Any) -> Any:
    """A schema as given, or made of a type."""
    if wanted is None or isinstance(wanted, dict):
        return NULL if wanted is None else wanted
    made = schema(typed(wanted))
    return NULL if made is None else made
