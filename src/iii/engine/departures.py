"""What the log says of workers that come and go: who lost its connection, what that left behind, and who took over."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from iii.engine.session.peer import Ending, Peer

if TYPE_CHECKING:
    from iii.engine.functions import Function
    from iii.engine.owner import Owner

logger = logging.getLogger(__name__)

_NAMED = 10  # functions without an owner, in one line


class Departures:
    """Hears of every change of owners; remembers only what those leave that are leaving now."""

    def __init__(self) -> None:
        self._left: dict[Owner, list[str]] = {}  # functions without an owner, the first of them
        self._counts: dict[Owner, int] = {}

    def __len__(self) -> int:
        """Owners of which something is remembered."""
        return len(self._counts)

    def owner_changed(self, previous: Function | None, current: Function | None) -> None:
        if previous is None or previous.owner.in_process:
            return
        owner = previous.owner
        if current is None:
            if owner.ended:
                self._counts[owner] = self._counts.get(owner, 0) + 1
                if self._counts[owner] <= _NAMED:
                    self._left.setdefault(owner, []).append(previous.id)
            return
        heir = current.owner
        if heir is owner or heir.in_process or _same_worker(owner, heir):
            return
        logger.info(
            "Function %s taken over by worker %s from %s", current.id, _label(heir), _label(owner),
            extra={"fields": {"namespace": current.namespace, "worker_id": heir.worker_id, "from": owner.worker_id}},
        )  # fmt: skip

    def ended(self, peer: Peer, ending: Ending, calls: int) -> None:
        """All that the worker owned is released; `calls` it was running have failed."""
        orphans, count = self._left.pop(peer, []), self._counts.pop(peer, 0)
        fields: dict[str, object] = {"worker_id": peer.worker_id}
        if ending is Ending.REFUSED or not peer.is_worker:
            return
        if ending is Ending.LEFT or is_visit(peer):
            logger.log(visit_level(peer), "Worker %s left", peer.label, extra={"fields": fields})
            return
        fields |= {"pid": peer.info.pid, "calls_failed": calls, "functions_without_owner": count}
        if orphans:
            fields["functions"] = ", ".join(orphans) + (f", … ({count - _NAMED} more)" if count > _NAMED else "")
        logger.warning(
            "Worker %s lost: its connection ended without a Close frame", peer.label, extra={"fields": fields}
        )


def is_visit(peer: Peer) -> bool:
    """One command of `iii` is one connection: not worth a line each."""
    return (peer.info.name or "").startswith("iii-cli:")


def visit_level(peer: Peer) -> int:
    return logging.DEBUG if is_visit(peer) else logging.INFO


def _same_worker(owner: Owner, heir: Owner) -> bool:
    """On a new connection, before the old one was found dead."""
    return owner.display_name is not None and owner.display_name == heir.display_name


def _label(owner: Owner) -> str:
    return owner.display_name or owner.worker_id
