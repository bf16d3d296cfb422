"""Triggers that sessions made by call, which outlive these: they go when their makers could not make them any more (20 §10)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from iii.engine.access.guard import Access, Guard
from iii.engine.access.trigger_gate import check_made
from iii.protocol.errors import InvocationForbidden
from iii.protocol.log_event import LogEvent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from iii.engine.access.admission import Admission, Certificates
    from iii.engine.access.rights import Rights
    from iii.engine.access.rules import ListenerRules
    from iii.engine.bindings import Binding
    from iii.engine.engine import Engine

TRIGGER_REVOKED = LogEvent(
    __name__, "access.trigger_revoked", logging.WARNING, "Trigger removed: what allowed its registration has changed",
    means="A session registered it with `engine::register_trigger`; what let the session in is gone, or may no longer do that: the rules have changed, or the metadata of a function.",
    do="Nothing, if that is meant; else register it again from a trusted connection, or with a token that may.",
)  # fmt: skip


def change_made(engine: Engine, admission: Admission, listener: str, certificates: Certificates | None = None) -> None:
    """Judge those of a listener by the rules that it has now. `certificates`: those that were known before."""
    rules, before = admission.rules, certificates or admission.certificates
    if rules.exposed is None:
        return
    changed = []
    for binding in _made_at(engine, listener):
        assert binding.made_by is not None
        rights = rights_now(admission, binding.made_by.rules, before, binding.made_by.rights)
        if rights is None:
            _revoke(engine, binding, "what let its maker in is gone")
        else:
            binding.made_by = Access(rules, rights)
            changed.append(binding)
    engine.turns.go(_judging(engine, changed))


def revoke_made(engine: Engine, listener: str) -> None:
    """The listener is gone, and with it everything that let anybody in."""
    for binding in _made_at(engine, listener):
        _revoke(engine, binding, "the listener of its maker is gone")


def _made_at(engine: Engine, listener: str) -> list[Binding]:
    return [
        binding
        for binding in (*engine.bindings, *engine.bindings.parked.values())
        if binding.made_by is not None and binding.made_by.rules.listener == listener
    ]


def _judging(engine: Engine, bindings: list[Binding]) -> Iterator[None]:
    for binding in bindings:
        if engine.bindings.get(binding.id) is binding:
            judge_made(engine, binding)
        yield


def judge_made(engine: Engine, binding: Binding) -> None:
    """One goes, if its maker could not make it now."""
    made_by = binding.made_by
    if made_by is None:
        return
    guard = Guard(made_by, engine.router, engine.registry, engine.clock, None)
    if guard.identity is None:
        return
    try:
        check_made(guard, binding.trigger_type, binding.function_id, binding.config)
    except InvocationForbidden as error:
        _revoke(engine, binding, error.message)


def _revoke(engine: Engine, binding: Binding, why: str) -> None:
    who = None if binding.made_by is None else binding.made_by.rights.who
    TRIGGER_REVOKED(trigger=binding.id, function=binding.function_id, who=who, reason=why)
    engine.bindings.drop(binding)


def rights_now(
    admission: Admission, old: ListenerRules, certificates: Certificates | None, rights: Rights
) -> Rights | None:
    """Of a session, by what let it in; None: that is gone."""
    if rights.identity == old.anonymous.identity:
        return admission.rules.anonymous if admission.is_open else None
    if rights.by_auth_function:
        return rights if admission.rules.auth_function == old.auth_function else None
    found = None if admission.tokens is None else admission.tokens.renewed(rights)
    if found is None and admission.certificates is not None and certificates is not None:
        found = admission.certificates.renewed(rights, certificates)
    return found
