"""Workers and the engine's own modules as lists and infos show them (02 §3.4, §5.4, W1, W13)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from iii.protocol.names import DEFAULT_NAMESPACE

if TYPE_CHECKING:
    from iii.engine.engine import Engine
    from iii.engine.registry import Installed
    from iii.engine.session.peer import Peer

ENGINE_RUNTIME = "engine"
CONNECTED = "connected"
MODULE_STATUS = "available"
_HEARD_S = 5.0  # as exactly as it is known: connections are looked at that often


class WorkerRow(Struct, kw_only=True):
    """One worker, the union of what clients of both generations read."""

    id: str
    name: str | None
    description: str | None
    version: Annotated[
        str | None,
        Meta(description="Version of the worker's SDK; for the engine's own modules, version of the engine."),
    ]
    namespace: str
    runtime: str | None
    os: str | None
    status: Annotated[
        str,
        Meta(
            description="`connected` until the worker announces itself; then `busy` while it handles calls, else `available`; "
            "`draining` while it is taken out of service."
        ),
    ]
    activity: Annotated[
        Literal["available", "busy"] | UnsetType, Meta(description="Absent for the engine's own modules.")
    ] = UNSET
    function_count: int
    functions: Annotated[list[str], Meta(description="Ids of the functions that the worker serves, sorted.")]
    connected_at_ms: Annotated[int, Meta(description="Unix milliseconds.")]
    active_invocations: Annotated[int, Meta(description="Number of calls that the worker handles.")]
    isolation: str | None
    ip_address: str | None
    access: Annotated[
        str | UnsetType,
        Meta(
            description="Name of the token or certificate that let the worker in, or what did; absent on listeners without `rbac`."
        ),
    ] = UNSET
    pid: int | UnsetType = UNSET
    internal: Annotated[bool, Meta(description="Whether every engine runs the module.")]
    latest_metrics: Annotated[
        dict[str, Any] | UnsetType | None, Meta(description="Metrics that the worker reported in the last two minutes.")
    ] = UNSET
    telemetry: dict[str, str | None] | None
    silent_ms: Annotated[
        int | UnsetType,
        Meta(
            description="Milliseconds since anything was heard of the worker, which is pinged every 20 s; absent below 5,000, "
            "and for the engine's own modules."
        ),
    ] = UNSET


def session_row(engine: Engine, session: Peer, functions: list[str], *, go_caller: bool) -> WorkerRow:
    """The row of a connection that serves these ids; a Go client sees every worker as `connected` (W1)."""
    info = session.info
    return WorkerRow(
        id=session.worker_id,
        name=info.name,
        description=info.description,
        version=info.version,
        namespace=session.namespace,
        runtime=info.runtime,
        os=info.os,
        status=CONNECTED if go_caller else session.status,
        activity="busy" if session.handling else "available",
        function_count=len(functions),
        functions=functions,
        connected_at_ms=session.connected_at_ms,
        active_invocations=len(session.handling),
        isolation=info.isolation,
        ip_address=session.link.ip_address,
        access=UNSET if session.guard is None or session.guard.identity is None else session.guard.rights.who,
        pid=info.pid if info.pid is not None else UNSET,
        internal=False,
        latest_metrics=session.gauges.latest(engine.clock.now(), info.runtime),
        telemetry=info.telemetry,
        silent_ms=_silent_ms(session),
    )


def module_row(engine: Engine, module: Installed, functions: list[str]) -> WorkerRow:
    """The row of a runtime worker that serves these ids."""
    return WorkerRow(
        id=module.instance,
        name=module.name,
        description=module.description,
        version=engine.options.version,
        namespace=DEFAULT_NAMESPACE,
        runtime=ENGINE_RUNTIME,
        os=None,
        status=MODULE_STATUS,
        function_count=len(functions),
        functions=functions,
        connected_at_ms=module.connected_at_ms,
        active_invocations=0,
        isolation="in-process",
        ip_address=None,
        internal=module.mandatory,
        latest_metrics=None,
        telemetry=None,
    )


def _silent_ms(session: Peer) -> int | UnsetType:
    silent_s = session.link.silent_s
    return int(silent_s * 1000) if silent_s >= _HEARD_S else UNSET
