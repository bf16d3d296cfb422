"""A function comes with other metadata: triggers of sessions that these had allowed are judged again (20 §10)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from iii.engine.access.changed_rules import judge_trigger
from iii.engine.access.made_triggers import judge_made

if TYPE_CHECKING:
    from collections.abc import Iterator

    from iii.engine.bindings import Binding
    from iii.engine.engine import Engine
    from iii.engine.functions import Function


class ChangedTargets:
    """Of one engine. What is not registered has no metadata, but may come again as it was: its triggers wait for it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        engine.functions.changes.subscribe(self._changed)

    def _changed(self, previous: Function | None, current: Function | None) -> None:
        if current is None or (previous is not None and previous.metadata == current.metadata):
            return
        leading = self._engine.bindings.leading_to.of(current.key)
        if leading:
            self._engine.turns.go(self._judging(leading))

    def _judging(self, bindings: list[Binding]) -> Iterator[None]:
        engine = self._engine
        for binding in bindings:
            if engine.bindings.get(binding.id) is not binding:
                continue
            if binding.made_by is not None:
                judge_made(engine, binding)
            for share in binding.shares:
                peer = engine.roster.connections.get(share.owner.worker_id)
                if peer is not None and peer is share.owner and peer.guard is not None:
                    judge_trigger(engine.registry, peer, peer.guard, share.id, binding)
            yield
