"""The connected worker that a request of an operator names: by id, or by a name that only one worker has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct

from iii.protocol.errors import InvalidArguments, ItemNotFound
from iii.protocol.names import DEFAULT_NAMESPACE
from iii.protocol.quoted import shortened

if TYPE_CHECKING:
    from iii.engine.engine import Engine
    from iii.engine.session.peer import Peer

_NAMED = 10  # workers, in one error


class NamedWorker(Struct, kw_only=True):
    """Members of a request that is about one worker."""

    worker_id: Annotated[str | None, Meta(description="Id of the worker.")] = None
    name: Annotated[str | None, Meta(description="Name of the worker, instead of its id.")] = None
    namespace: Annotated[str | None, Meta(description="Namespace of the name; absent: any.")] = None


def named_worker(engine: Engine, request: NamedWorker) -> Peer:
    """Raises InvalidArguments, ItemNotFound."""
    if (request.worker_id is None) == (request.name is None):
        raise InvalidArguments("give either worker_id or name of the worker")
    if request.worker_id is not None:
        found = engine.roster.connections.get(request.worker_id)
        if found is None or found.ended or not found.is_worker:
            raise ItemNotFound(
                f"Worker '{shortened(request.worker_id)}' is not connected.{_hint(engine, request.worker_id)}"
            )
        return found
    named = [
        peer
        for peer in engine.roster.workers()
        if not peer.ended and peer.info.name == request.name and request.namespace in (None, peer.namespace)
    ]
    several, name = [peer for peer in named if not peer.draining] or named, request.name or ""
    if not several:
        raise ItemNotFound(f"Worker '{shortened(name)}' is not connected.{_hint(engine, name)}")
    if len(several) > 1:
        told = ", ".join(_told(peer) for peer in several[:_NAMED])
        more = f" and {len(several) - _NAMED} more" if len(several) > _NAMED else ""
        raise InvalidArguments(
            f"{len(several)} workers are called '{shortened(name)}'; give the worker_id of one: {told}{more}"
        )
    return several[0]


def _hint(engine: Engine, wanted: str) -> str:
    return (
        " It is a module of the engine." if any(wanted in (each.name, each.instance) for each in engine.modules) else ""
    )


def _told(peer: Peer) -> str:
    pid = f" (pid {peer.info.pid})" if peer.info.pid is not None else ""
    place = f" in namespace {peer.namespace}" if peer.namespace != DEFAULT_NAMESPACE else ""
    return f"{peer.worker_id}{pid}{place}"
