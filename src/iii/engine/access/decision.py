"""Whether a session may call a function: the one answer for calls, triggers and lists (20 §8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from iii.protocol.names import CREATE_CHANNEL, DEFAULT_NAMESPACE, REGISTER_WORKER

if TYPE_CHECKING:
    from iii.engine.access.rights import Rights
    from iii.engine.access.rules import ListenerRules

INFRASTRUCTURE = frozenset(
    {
        CREATE_CHANNEL,
        REGISTER_WORKER,
        *(f"engine::log::{level}" for level in ("info", "warn", "error", "debug", "trace")),
        *(f"engine::baggage::{verb}" for verb in ("get", "set", "get_all")),
    }
)
"""What every client needs to be one: allowed without exposure. It may grow, and never shrinks."""


def refusal(
    rules: ListenerRules, rights: Rights, function_id: str, namespace: str | None, metadata: bytes | None
) -> str | None:
    """Why a call is forbidden; None: it is allowed.

    Args:
        function_id, namespace: as the caller sent them.
        metadata: of the function, as JSON; None if there is no such function.
    """
    where = DEFAULT_NAMESPACE if namespace is None else namespace
    if function_id in rights.forbidden:
        return f"function '{function_id}' not allowed (remove from rbac.forbidden_functions)"
    granted = rights.namespaces.get(where)
    if (
        (granted is not None and function_id in granted)
        or (where == DEFAULT_NAMESPACE and function_id in rights.allowed)
        or function_id in INFRASTRUCTURE
        or rules.exposed is None
        or any(each.fits(function_id, where, metadata) for each in rules.exposed)
        or any(each.fits(function_id, where, metadata) for each in rights.exposed)
    ):
        return None
    return f"function '{function_id}' not allowed (add to {rights.granted_by})"
