"""What a session with access rules sees of functions, workers and triggers (20 §6)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from iii.engine.access.by_caller import session_of
from iii.engine.access.roles import EVERYTHING
from iii.engine.session.peer import Peer

if TYPE_CHECKING:
    from iii.engine.bindings import Binding
    from iii.engine.engine import Engine
    from iii.engine.functions import Function
    from iii.engine.invocation import Invocation
    from iii.engine.registry import Installed
    from iii.engine.trigger_types import TriggerType


class View:
    """What one caller sees: everything, unless its listener has access rules."""

    __slots__ = ("_caller_id", "_engine", "_guard")

    def __init__(self, engine: Engine, invocation: Invocation) -> None:
        caller = invocation.caller
        self._engine = engine
        self._guard = session_of(invocation)
        self._caller_id = "" if caller is None else caller.worker_id

    @property
    def is_whole(self) -> bool:
        return self._guard is None

    @property
    def oversees(self) -> bool:
        """Whether it is shown what others do: it is trusted, or has a role that sees everything."""
        return self._guard is None or EVERYTHING in self._guard.rights.seen

    def is_caller(self, worker_id: str | None) -> bool:
        return worker_id == self._caller_id

    def function(self, function: Function) -> bool:
        return self._guard is None or self._guard.sees(function)

    def trigger(self, binding: Binding) -> bool:
        """Its own too, whatever they call."""
        guard = self._guard
        if guard is None or any(share.owner.worker_id == self._caller_id for share in binding.shares):
            return True
        return guard.sees_type(binding.trigger_type) and guard.sees_target(binding)

    def trigger_type(self, trigger_type: TriggerType) -> bool:
        return self._guard is None or self._guard.sees_type(trigger_type.id)

    def owner(self, owner: Peer | Installed) -> bool:
        """Itself, and whatever serves a function that it sees."""
        if self._guard is None or (isinstance(owner, Peer) and owner.worker_id == self._caller_id):
            return True
        ownership = self._engine.functions.ownership
        return any(ownership.serves(claim) and self._guard.sees(claim) for claim in ownership.claims_of(owner))


def seen_by_owner(binding: Binding) -> Callable[[Function], bool] | None:
    """What the one who gets an event sees; None: everything."""
    owner = binding.owner
    guard = owner.guard if isinstance(owner, Peer) else None
    return None if guard is None or guard.identity is None else guard.sees
