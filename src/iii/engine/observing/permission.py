"""What a session may observe, and whom its observers may call (21 §15)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from iii.engine.access.forwarded import few_functions_in
from iii.engine.observing.filters.matching import paths_of
from iii.protocol.errors import InvocationForbidden
from iii.protocol.names import DEFAULT_NAMESPACE, ENGINE_PREFIX
from iii.protocol.quoted import shortened
from iii.protocol.secrets import is_secret

if TYPE_CHECKING:
    from collections.abc import Iterator

    from iii.engine.functions import FunctionRegistry
    from iii.engine.observing.definition import Definition
    from iii.engine.observing.filters.compiled import CompiledFilter
    from iii.engine.ownership import Key
    from iii.engine.session.peer import Peer
    from iii.protocol.observe_messages import ObserveTarget


def target_of(peer: Peer, target: ObserveTarget) -> Key:
    """The function that a target means: of a session with a prefix its own first."""
    guard = peer.guard
    function_id = target.function_id if guard is None else guard.registering.stored_function(target.function_id)
    return target.namespace or DEFAULT_NAMESPACE, function_id


def check_permission(functions: FunctionRegistry, peer: Peer, source: Key, target: Key, args: bytes) -> None:
    """Raises InvocationForbidden. To observe shows inputs, outputs and callers, so both functions must be allowed."""
    why = refusal(functions, peer, source, target, args)
    if why is not None:
        raise InvocationForbidden(message=why)


def check_privacy(peer: Peer, definition: Definition, compiled: CompiledFilter) -> None:
    """Raises InvocationForbidden. What others say beside their calls, and their secrets, is nothing for a session, nor to ask for."""
    if peer.identity is None:
        return
    if "metadata" in definition.capture or "metadata" in compiled.roots:
        raise InvocationForbidden(
            message="metadata of calls is not for observers of this session: leave it out of capture and filters"
        )
    for path in paths_of(compiled.source):
        if any(map(is_secret, path.segments)):
            raise InvocationForbidden(
                message=f"observers of this session cannot filter on secrets: {shortened('.'.join((path.root, *path.segments)))}"
            )
    for name in _members_in(msgspec.json.decode(compiled.text)):  # of lists and objects that are compared as a whole
        if is_secret(name):
            raise InvocationForbidden(message=f"observers of this session cannot filter on secrets: {shortened(name)}")


def _members_in(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
        value = [*value.values()]
    if isinstance(value, list):
        for each in value:
            yield from _members_in(each)


def refusal(functions: FunctionRegistry, peer: Peer, source: Key, target: Key, args: bytes) -> str | None:
    """Why a session may not observe so; None: it may, as may whoever is trusted."""
    guard = peer.guard
    if guard is None or guard.identity is None:
        return None
    why = guard.refusal(source[1], source[0])
    if why is not None:
        return why
    if target[1].startswith(ENGINE_PREFIX):  # it would act with the rights of the engine, as the payload says
        return f"function '{target[1]}' is not a target for observers of this session"
    # a module calls what args name, such as middleware, as it calls the target
    try:
        named = few_functions_in(args)
    except InvocationForbidden as error:
        return error.message
    for namespace, function_id in (target, *((target[0], each) for each in named)):
        if functions.ownership.claim_of(peer, (namespace, function_id)) is None:
            why = guard.refusal(function_id, namespace)
            if why is not None:
                return why
    return None
