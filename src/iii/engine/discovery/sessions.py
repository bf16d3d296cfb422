"""`engine::access::sessions` (20 §11)."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta, Struct

from iii.engine.access.pattern import Patterns
from iii.engine.builtin import builtin
from iii.engine.discovery.visibility import View
from iii.engine.invocation import Invocation
from iii.protocol.quoted import shortened

if TYPE_CHECKING:
    from collections.abc import Iterable

    from iii.engine.access.filters import FunctionFilter
    from iii.engine.access.guard import Guard
    from iii.engine.engine import Engine
    from iii.engine.session.peer import Peer

_TEXTS = 200  # of each list of a row; auth functions may return any number
_CHARACTERS = 200


class SessionListRequest(Struct, kw_only=True):
    """A page of them; `worker_id` is for one alone."""

    worker_id: str | None = None
    offset: Annotated[int, Meta(ge=0, le=2**31)] = 0
    limit: Annotated[int, Meta(ge=1, le=100)] = 100


class AllowedRow(Struct, kw_only=True):
    """Functions of a namespace, by id or by metadata."""

    match: Annotated[list[str] | None, Meta(description="Patterns of ids; null: `metadata` decides.")]
    metadata: dict[str, Any] | None
    namespace: Annotated[str | None, Meta(description="Namespace that is meant; null: all.")]


class RightsRow(Struct, kw_only=True):
    """What a session may do; of each list the first 200 entries."""

    listener: str
    who: Annotated[str, Meta(description="Name of the token or certificate, or how it was let in.")]
    entrance: Annotated[str, Meta(description="`token`, `certificate`, `auth` (an auth function) or `anonymous`.")]
    roles: list[str]
    allowed: Annotated[list[AllowedRow], Meta(description="Functions that it may call by its own rights.")]
    exposed: Annotated[list[AllowedRow], Meta(description="Functions that its listener lets all sessions call.")]
    forbidden: Annotated[list[str], Meta(description="Ids that it may call nowhere.")]
    namespaces: Annotated[list[str], Meta(description="Namespaces that it may declare; empty: all.")]
    registers: Annotated[list[str] | None, Meta(description="Ids that it may register; null: all.")]
    trigger_types: Annotated[list[str] | None, Meta(description="Types of its triggers; null: all.")]
    registers_trigger_types: bool
    calls_urls: Annotated[bool, Meta(description="Whether its functions may be URLs.")]
    prefix: str | None


class SessionRow(Struct, kw_only=True):
    """One connection."""

    worker_id: str
    name: str | None
    namespace: str
    runtime: str | None
    ip_address: str | None
    connected_at_ms: int
    rights: Annotated[RightsRow | None, Meta(description="null: its listener has no `rbac`, it may do everything.")]


class SessionList(Struct):
    sessions: list[SessionRow]
    total: int


class SessionDiscovery:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @builtin("engine::access::sessions", spec="20 §11")
    def list_sessions(self, request: SessionListRequest, invocation: Invocation) -> SessionList:
        """List connections of workers with what each may do, in the order in which they came."""
        view = View(self._engine, invocation)
        oversees = view.oversees
        shown = [
            peer
            for peer in self._engine.roster.workers()
            if not peer.ended
            and (oversees or view.is_caller(peer.worker_id))
            and request.worker_id in (None, peer.worker_id)
        ]
        page = islice(shown, request.offset, request.offset + request.limit)
        return SessionList([_row(peer) for peer in page], len(shown))


def _row(peer: Peer) -> SessionRow:
    guard = peer.guard
    return SessionRow(
        worker_id=peer.worker_id,
        name=peer.info.name,
        namespace=peer.namespace,
        runtime=peer.info.runtime,
        ip_address=peer.link.ip_address,
        connected_at_ms=peer.connected_at_ms,
        rights=None if guard is None or guard.identity is None else _rights(guard, guard.identity),
    )


def _rights(guard: Guard, identity: str) -> RightsRow:
    rights, rules = guard.rights, guard.rules
    of_namespaces = [
        AllowedRow(match=_texts(ids.texts), metadata=None, namespace=name)
        for name, ids in islice(rights.namespaces.items(), _TEXTS)
        if ids.texts
    ]
    by_id = [AllowedRow(match=_texts(rights.allowed.texts), metadata=None, namespace="default")]
    return RightsRow(
        listener=rules.listener,
        who=rights.who,
        entrance=identity.split("\0")[1] if "\0" in identity else identity,
        roles=list(rights.roles),
        allowed=[*_filters(rights.exposed), *(by_id if rights.allowed.texts else ()), *of_namespaces],
        exposed=_filters(rules.exposed or ()),
        forbidden=_texts(rights.forbidden.texts),
        namespaces=_texts(rights.namespaces),
        registers=None if rights.registers is None else _texts(rights.registers.texts),
        trigger_types=None if rights.trigger_types is None else _texts(sorted(rights.trigger_types)),
        registers_trigger_types=rights.provides,
        calls_urls=rights.calls_urls,
        prefix=rights.prefix,
    )


def _filters(filters: Iterable[FunctionFilter]) -> list[AllowedRow]:
    return [
        AllowedRow(
            match=None if each.pattern is None else _texts(each.pattern.texts),
            metadata={key: _shown(value) for key, value in each.metadata} if each.metadata else None,
            namespace=each.namespace,
        )
        for each in islice(filters, _TEXTS)
    ]


def _shown(value: object) -> object:
    return f'match("{value.texts[0]}")' if isinstance(value, Patterns) else value


def _texts(texts: Iterable[str]) -> list[str]:
    return [shortened(text, _CHARACTERS) for text in islice(texts, _TEXTS)]
