"""The core as one object: registries, router, sessions and modules, driven by messages and a clock."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Coroutine
from typing import TYPE_CHECKING, Any

import msgspec

from iii.engine.bindings import Bindings
from iii.engine.channels import Channels
from iii.engine.connection_limits import ConnectionLimits
from iii.engine.departures import Departures, Ending, visit_level
from iii.engine.dialect import Discovery
from iii.engine.functions import FunctionRegistry, HttpFunctions
from iii.engine.router import Router
from iii.engine.session import Session
from iii.engine.trigger_types import TriggerTypeRegistry
from iii.engine.turns import Turns
from iii.protocol.errors import ConnectionClosing
from iii.protocol.limits import CHANNEL_TTL_S, NAMESPACE_GRACE_MS

if TYPE_CHECKING:
    from iii.engine.clock import Clock
    from iii.engine.invocation import Invocation
    from iii.engine.link import Link
    from iii.engine.module import Module
    from iii.protocol.telemetry import TelemetryKind

logger = logging.getLogger(__name__)


class EngineOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the core can be told.

    Attributes:
        version: of the engine, as shown in lists.
        grace_ms: longest wait for a connection's announcement; 0 applies registrations at once (01 §6.2).
        discovery_dialect: shape of lists for callers that have not said who they are (W3).
        channel_ttl_s: how long a channel lasts with an end that nobody has taken (07 §2.6).
    """

    version: str = "0.0.0"
    grace_ms: int = NAMESPACE_GRACE_MS
    discovery_dialect: Discovery = "legacy"
    channel_ttl_s: float = CHANNEL_TTL_S


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
        self.grace_s = self.options.grace_ms / 1000
        self.spawn = spawn
        self.functions = FunctionRegistry()
        self.departures = Departures()
        self.functions.on_change.append(self.departures.owner_changed)
        self.trigger_types = TriggerTypeRegistry()
        self.turns = Turns(clock)
        self.bindings = Bindings(self.trigger_types, self.turns)
        self.router = Router(self.functions)
        self.router.hold = self._hold
        self.channels = Channels(clock, self.options.channel_ttl_s)
        self.sessions: dict[str, Session] = {}  # every connection on `/`, silent ones too
        self.names: dict[tuple[str, str], Session] = {}  # (namespace, name) → who claimed it
        self.modules: list[Module] = []
        self.http_functions: HttpFunctions | None = None
        self.on_worker_event: list[Callable[[str, Session], None]] = []
        self.on_telemetry: list[Callable[[TelemetryKind, bytes], None]] = []
        self._expected: dict[str, list[Session]] = {}  # function id → connections whose buffer registers it

    def add_module(self, module: Module) -> None:
        """Register what a module serves; live from now on."""
        self.modules.append(module)
        for function in module.functions():
            self.functions.add_builtin(function)
        for trigger_type in module.trigger_types():
            self.trigger_types.register(trigger_type)

    def remove_module(self, module: Module) -> None:
        """Forget a module and everything it serves."""
        self.modules.remove(module)
        self.functions.ownership.release_all(module)
        self.trigger_types.ownership.release_all(module)

    def connect(self, link: Link, limits: ConnectionLimits | None = None) -> Session:
        """A socket was accepted on `/`: greet it (01 §3.1)."""
        session = Session(self, link, limits or ConnectionLimits())
        self.sessions[session.worker_id] = session
        session.greet()
        return session

    def telemetry(self, kind: TelemetryKind, payload: bytes) -> None:
        """A telemetry frame arrived, on whatever socket."""
        for listener in self.on_telemetry:
            listener(kind, payload)

    def workers(self) -> list[Session]:
        """Connections that said something of the protocol (N1)."""
        return [session for session in self.sessions.values() if session.is_worker]

    # -- told by sessions -----------------------------------------------------------------------------------------

    def worker_connected(self, session: Session) -> None:
        self._worker_event("worker_connected", session)

    def worker_announced(self, session: Session) -> None:
        info = session.info
        logger.log(
            visit_level(session), "Worker %s announced itself", session.label,
            extra={
                "fields": {
                    "worker_id": session.worker_id, "runtime": info.runtime, "version": info.version,
                    "namespace": session.namespace, "pid": info.pid,
                }
            },
        )  # fmt: skip
        self._worker_event("worker_metadata_updated", session)

    def session_ended(self, session: Session, ending: Ending, calls: int) -> None:
        del self.sessions[session.worker_id]
        self.departures.ended(session, ending, calls)
        if session.is_worker:
            self._worker_event("worker_disconnected", session)

    def _worker_event(self, event: str, session: Session) -> None:
        for listener in self.on_worker_event:
            listener(event, session)

    # -- calls that wait for registrations (N2) -------------------------------------------------------------------

    def expect_function(self, function_id: str, session: Session) -> None:
        waiting = self._expected.setdefault(function_id, [])
        if session not in waiting:
            waiting.append(session)

    def expected_functions_arrived(self, function_ids: Collection[str], session: Session) -> None:
        for function_id in function_ids:
            waiting = self._expected.get(function_id, [])
            if session in waiting:
                waiting.remove(session)
            if not waiting:
                self._expected.pop(function_id, None)

    def _hold(self, invocation: Invocation) -> bool:
        waiting = self._expected.get(invocation.function_id)
        if not waiting:
            return False

        caller = invocation.caller
        size = len(memoryview(invocation.data))
        if caller is not None and caller.waiting_bytes + size > caller.limits.waiting_bytes:
            why = f"calls that wait for registrations exceed the limit of {caller.limits.waiting_bytes} bytes"
            invocation.refuse(ConnectionClosing(why))
            return True

        def go_on() -> None:
            if caller is not None:
                caller.waiting_bytes -= size
            withdrawn = invocation.call_id is not None and invocation.waiter is None
            if not withdrawn:
                self.router.invoke(invocation)

        if caller is not None:
            caller.waiting_bytes += size
        held = waiting[0].when_registrations_applied(go_on)
        if not held and caller is not None:
            caller.waiting_bytes -= size
        return held
