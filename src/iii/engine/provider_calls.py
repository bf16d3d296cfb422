"""What the provider of a trigger type is asked; whatever it raises stops nobody else (T9)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from iii.protocol.errors import ConnectionClosing, TriggerRegistrationFailed, UnregisterFailed
from iii.protocol.log_event import LogEvent

if TYPE_CHECKING:
    from iii.engine.bindings import Binding
    from iii.engine.owner import Owner

PROVIDER_FAILED = LogEvent(
    __name__, "trigger.provider_failed", logging.ERROR, "Provider of a trigger failed inside the engine",
    means="The module that provides the type raised when it was to take the trigger (`bind`) or to release it (`unbind`).",
    do="Report it with its stack trace.",
)  # fmt: skip
NOT_RELEASED = LogEvent(
    __name__, "trigger.not_released", logging.WARNING, "Provider did not release a trigger",
    means="The trigger is gone, but what it was bound to may still exist, such as a subscription of a broker.",
    do="Look at what `reason` names.",
)  # fmt: skip


def ask_to_bind(provider: Owner, binding: Binding) -> None:
    """Ask a provider to serve a binding.

    Raises:
        TriggerRegistrationFailed: it refused, or broke; whatever it raises reaches no connection's reader (T9).
        ConnectionClosing: a worker that is leaving.
    """
    try:
        provider.bind(binding)
    except TriggerRegistrationFailed:
        raise
    except Exception as error:
        if isinstance(error, ConnectionClosing) and not provider.in_process:
            raise
        PROVIDER_FAILED(error, step="bind", trigger=binding.id, function=binding.function_id)
        raise TriggerRegistrationFailed(str(error) or type(error).__name__) from error


def ask_to_unbind(provider: Owner, binding: Binding) -> None:
    """Ask a provider to let a binding go.

    Raises:
        UnregisterFailed: it could not, or broke (T9).
    """
    try:
        provider.unbind(binding)
    except UnregisterFailed:
        raise
    except Exception as error:
        PROVIDER_FAILED(error, step="unbind", trigger=binding.id, function=binding.function_id)
        raise UnregisterFailed(str(error) or type(error).__name__) from error


def tell_to_unbind(provider: Owner, binding: Binding) -> None:
    try:
        ask_to_unbind(provider, binding)
    except UnregisterFailed as error:
        NOT_RELEASED(trigger=binding.id, reason=str(error))
