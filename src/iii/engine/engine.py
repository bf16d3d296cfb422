"""The core as one object: registries, router, sessions and modules, driven by messages and a clock."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

import msgspec

from iii.engine.access.changed_targets import ChangedTargets
from iii.engine.access.guard import Guard
from iii.engine.channels import Channels
from iii.engine.connection_limits import ConnectionLimits
from iii.engine.deadlines import Deadlines
from iii.engine.dialect import Discovery
from iii.engine.listeners import Listeners
from iii.engine.observing.legacy import LegacyTriggers
from iii.engine.observing.observers import Observers
from iii.engine.readiness import Readiness
from iii.engine.registry import Registry
from iii.engine.roster import Roster
from iii.engine.router import Router
from iii.engine.session.session import Session
from iii.engine.tally import Tallies
from iii.engine.turns import Turns
from iii.protocol.limits import CHANNEL_TTL_S, NAMESPACE_GRACE_MS
from iii.protocol.names import FEATURES
from iii.protocol.telemetry import TelemetryKind

if TYPE_CHECKING:
    from iii.engine.access.guard import Access
    from iii.engine.clock import Clock
    from iii.engine.link import Link
    from iii.engine.log_lines import LogLine
    from iii.engine.registry import Installed


class EngineOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the core can be told.

    Attributes:
        version: of the engine, as shown in lists.
        grace_ms: longest wait for a connection's announcement; 0 applies registrations at once (01 §6.2).
        discovery_dialect: shape of lists for callers that have not said who they are (W3).
        channel_ttl_s: how long a channel lasts with an end that nobody has taken (07 §2.6).
        features: optional parts of the protocol that clients are offered.
        local_dispatch: whether workers may run calls of their own functions by themselves (21 §11).
    """

    version: str = "0.0.0"
    grace_ms: int = NAMESPACE_GRACE_MS
    discovery_dialect: Discovery = "legacy"
    channel_ttl_s: float = CHANNEL_TTL_S
    features: tuple[str, ...] = FEATURES
    local_dispatch: bool = True


class Engine:
    """One engine. Two of them fit into one process.

    `spawn` runs the coroutines of builtins that must wait; without it only builtins that answer at once work.
    """

    def __init__(
        self,
        clock: Clock,
        options: EngineOptions | None = None,
        spawn: Callable[[Coroutine[Any, Any, None]], object] | None = None,
    ) -> None:
        self.clock = clock
        self.options = options or EngineOptions()
        self.spawn = spawn
        self.turns = Turns(clock)
        self.registry = Registry(self.turns)
        self.functions = self.registry.functions
        self.trigger_types = self.registry.trigger_types
        self.bindings = self.registry.bindings
        self.router = Router(self.functions, self.registry.expected, Deadlines(clock), Tallies(clock))
        self.roster = Roster(clock, self.functions)
        self.observers = Observers(clock, self.router, self.turns, self.options.local_dispatch)
        ChangedTargets(self)
        self.legacy_triggers = LegacyTriggers(self.registry, self.observers, self.turns)
        self.channels = Channels(clock, self.options.channel_ttl_s)
        self.telemetry: Listeners[[TelemetryKind, bytes]] = Listeners()  # called with each telemetry frame
        self.log_lines: Listeners[[LogLine]] = Listeners()  # called with each line of the log, on the thread that logs
        self.modules: list[Installed] = []
        self.readiness = Readiness(self.modules)

    def add_module(self, module: Installed) -> None:
        """Register what a module serves; live from now on."""
        self.modules.append(module)
        self.registry.install(module, [self.observers.host(source, module) for source in module.sources()])

    def remove_module(self, module: Installed) -> None:
        """Forget a module and everything it serves."""
        self.modules.remove(module)
        self.functions.entrusted.hold(module, ())
        for _ in self.registry.withdrawing(module):
            pass

    def connect(self, link: Link, limits: ConnectionLimits | None = None, access: Access | None = None) -> Session:
        """A socket was accepted on `/`: greet it (01 §3.1). Without `access` it is trusted."""
        guard = None
        if access is not None:
            guard = Guard(access, self.router, self.registry, self.clock, link.ip_address)
        session = Session(
            link,
            self.clock,
            self.turns,
            self.router,
            self.registry,
            self.roster,
            self.telemetry,
            self.options.grace_ms / 1000,
            limits or ConnectionLimits(),
            self.observers,
            guard,
        )
        self.roster.join(session)
        session.greet(self.options.features)
        return session
