"""The rules of a listener change while it runs: sessions that are still let in stay connected, with what they may do now (20 §10)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import msgspec
from msgspec import Raw

from iii.engine.access.codes import AUTH_ERROR
from iii.engine.access.guard import Access
from iii.engine.access.made_triggers import change_made, rights_now
from iii.engine.access.registering import ENTRUSTED, function_refusal, type_refusal
from iii.engine.access.trigger_gate import check_target
from iii.protocol.close_codes import CloseCode
from iii.protocol.errors import InvocationForbidden
from iii.protocol.log_event import LogEvent
from iii.protocol.messages import RegisterTrigger, UnregisterFunction, UnregisterTrigger, UnregisterTriggerType

if TYPE_CHECKING:
    from collections.abc import Iterator

    from iii.engine.access.admission import Admission
    from iii.engine.access.guard import Guard
    from iii.engine.access.rights import Rights
    from iii.engine.access.rules import ListenerRules
    from iii.engine.bindings import Binding
    from iii.engine.engine import Engine
    from iii.engine.registry import Registry
    from iii.engine.session.peer import Peer

REVOKED = LogEvent(
    __name__, "access.revoked", logging.WARNING, "Access revoked from a connection: the rules of its listener have changed",
    means="What let the connection in is gone from the configuration, such as its token; it was closed with 4401.",
    do="Nothing, if that is meant; else give the client a token that is in the configuration.",
)  # fmt: skip
RIGHTS_CHANGED = LogEvent(
    __name__, "access.rights_changed", logging.INFO, "Connection closed to come again: its prefix or namespace has changed with the rules of its listener",
    means="What the session had registered has other ids now; its client reconnects by itself.",
)  # fmt: skip


def change_rules(engine: Engine, admission: Admission, other: Admission) -> None:
    """Let in by the rules of the other one from now on, and judge the sessions of the listener again."""
    old, rules, certificates = admission.rules, other.rules, admission.certificates
    admission.rules, admission.tokens, admission.certificates = rules, other.tokens, other.certificates
    for peer in list(engine.roster.connections.values()):
        guard = peer.guard
        if guard is not None and guard.rules is old and not peer.ended:
            _judge_again(engine, peer, guard, rules, rights_now(admission, old, certificates, guard.rights))
    change_made(engine, admission, old.listener, certificates)


def _judge_again(engine: Engine, peer: Peer, guard: Guard, rules: ListenerRules, rights: Rights | None) -> None:
    if rights is None:
        REVOKED(listener=rules.listener, worker=peer.label, worker_id=peer.worker_id, **guard.origin)
        refusal = AUTH_ERROR("access was revoked: the rules of this listener have changed")
        peer.link.send(msgspec.json.encode({"type": "error", "error": Raw(refusal.encode())}), True)
        _end(peer, CloseCode.AUTH_ERROR, "AUTH_ERROR")
    elif rights.prefix != guard.rights.prefix or not rights.may_declare(peer.namespace):
        RIGHTS_CHANGED(listener=rules.listener, worker=peer.label, worker_id=peer.worker_id, **guard.origin)
        _end(peer, CloseCode.SERVICE_RESTART, "access rules changed")
    else:
        guard.renew(Access(rules, rights))
        engine.turns.go(_while_there(peer, _withdrawing(engine.registry, peer, guard)))
        engine.turns.go(engine.observers.rights_changed(peer))


def _while_there(peer: Peer, work: Iterator[None]) -> Iterator[None]:
    """In turns. The session may leave between two steps, and before the first: then it has no rules any more."""
    while not peer.ended:
        try:
            next(work)
        except StopIteration:
            return
        yield


def _withdrawing(registry: Registry, peer: Peer, guard: Guard) -> Iterator[None]:
    """What it may no longer have goes; hooks are not asked again."""
    registering = guard.registering
    for function in registry.functions.ownership.claims_of(peer):
        given = registering.functions.given(function.id)
        why = function_refusal(guard, given, peer.namespace, function.invocation)
        if why is None and registering.is_entrusted(function.id):
            why = ENTRUSTED
        if why is not None:
            registering.drop(peer, UnregisterFunction(given), why)
        yield
    for claim in registry.trigger_types.ownership.claims_of(peer):
        why = type_refusal(guard, claim.namespace)
        if why is not None:
            given = registering.types.given(claim.id)
            registering.drop(peer, UnregisterTriggerType(given, claim.namespace), why)
        yield
    for trigger_id, binding in list(registry.binding_owners.of(peer).items()):
        judge_trigger(registry, peer, guard, trigger_id, binding)
        yield


def judge_trigger(registry: Registry, peer: Peer, guard: Guard, trigger_id: str, binding: Binding) -> None:
    """One that a session has goes, if it could not register it now."""
    registering = guard.registering
    try:
        registering.needs(trigger_id, check_target(guard, registry, peer, _as_sent(binding, trigger_id)))
    except InvocationForbidden as error:
        given = registering.triggers.given(trigger_id)
        registering.drop(peer, UnregisterTrigger(given), error.message)
        peer.refuse_trigger(binding, given, error.encode())


def _as_sent(binding: Binding, trigger_id: str) -> RegisterTrigger:
    config, namespace = Raw(binding.config), binding.namespace
    return RegisterTrigger(trigger_id, binding.trigger_type, binding.function_id, config, namespace=namespace)


def _end(peer: Peer, code: CloseCode, reason: str) -> None:
    peer.link.close(code, reason)
    peer.close()
