"""Functions that answer by who calls them: what the engine calls for a session must be none of these (20 §4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from iii.protocol.names import (
    CANCEL_INVOCATION,
    CREATE_CHANNEL,
    DISCONNECT_WORKER,
    DRAIN_WORKER,
    ENQUEUE_PROVIDER,
    FIRE_TRIGGER,
    FUNCTION_INFO,
    LIST_FUNCTIONS,
    LIST_OBSERVERS,
    LIST_REGISTERED_TRIGGERS,
    LIST_TRIGGERS,
    LIST_WORKERS,
    OBSERVER,
    REGISTER_WORKER,
)

if TYPE_CHECKING:
    from iii.engine.access.guard import Guard
    from iii.engine.invocation import Invocation

# A call that a trigger or a job makes has no caller, and would show and do everything. A test holds the list against
# the functions of the engine that take their caller.
BY_CALLER = frozenset(
    {
        CANCEL_INVOCATION, CREATE_CHANNEL, DISCONNECT_WORKER, DRAIN_WORKER, ENQUEUE_PROVIDER, FIRE_TRIGGER, FUNCTION_INFO, LIST_FUNCTIONS,
        LIST_OBSERVERS, LIST_REGISTERED_TRIGGERS, LIST_TRIGGERS, LIST_WORKERS, OBSERVER, REGISTER_WORKER,
        "engine::access::sessions", "engine::alerts::delete", "engine::alerts::set", "engine::channels::list", "engine::register_trigger", "engine::registered-triggers::info",
        "engine::trigger-types::list", "engine::triggers::info", "engine::unregister_trigger", "engine::workers::info",
    }
)  # fmt: skip

_CONSOLE = "engine::console::"  # each asks for what it answers with the rights of its caller (23 §7)


def session_of(invocation: Invocation) -> Guard | None:
    """Whose rights judge a call that a session makes; None: whoever makes it is trusted."""
    guard = None if invocation.caller is None else invocation.caller.guard
    return guard if guard is not None and guard.identity is not None else None


def proxy_refusal(function_id: str) -> str | None:
    """Why a trigger or a job of a session may not call a function that the session may call itself; None: it may."""
    if function_id in BY_CALLER or function_id.startswith(_CONSOLE):
        return f"function '{function_id}' answers by who calls it: a trigger or job of a session cannot call it; call it from a worker"
    return None
