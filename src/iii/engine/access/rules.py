"""The access rules of one listener (20 §1)."""

from __future__ import annotations

from msgspec import Struct

from iii.engine.access.filters import FunctionFilter
from iii.engine.access.rights import Rights
from iii.protocol.limits import AUTH_S, HOOK_S


class Hooks(Struct, frozen=True, kw_only=True):
    """Functions that are asked before a registration applies; None: nobody is."""

    function: str | None = None
    trigger: str | None = None
    trigger_type: str | None = None

    @property
    def any(self) -> bool:
        return self.function is not None or self.trigger is not None or self.trigger_type is not None


NO_HOOKS = Hooks()


class ListenerRules(Struct, frozen=True, kw_only=True):
    """What holds for every session of a listener.

    Attributes:
        listener: its name.
        exposed: functions that all its sessions may call; None: any, for there is no `rbac`.
        auth_function: called once a connection; None: not asked.
        middleware: gets the calls of its sessions instead of their targets.
        auth_s, hook_s: longest waits for those functions.
    """

    listener: str
    exposed: tuple[FunctionFilter, ...] | None = None
    auth_function: str | None = None
    middleware: str | None = None
    hooks: Hooks = NO_HOOKS
    auth_s: float = AUTH_S
    hook_s: float = HOOK_S

    @property
    def anonymous(self) -> Rights:
        """Of a session that nobody had to let in."""
        return Rights(who=f"listener {self.listener}", identity=f"{self.listener}\0anonymous")
