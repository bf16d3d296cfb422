"""What the log says of workers that come and go: who lost its connection, what that left behind, and who took over."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from iii.engine.session.peer import Ending, Peer
from iii.protocol.log_event import LogEvent

if TYPE_CHECKING:
    from iii.engine.functions import Function
    from iii.engine.owner import Owner

FUNCTION_TAKEN_OVER = LogEvent(
    __name__, "function.taken_over", logging.INFO, "Function taken over by another worker",
    means="Calls of the function go to `worker` now: its owner left, or a newer registration of an old client won.",
)  # fmt: skip
WORKER_LEFT = LogEvent(
    __name__, "worker.left", logging.INFO, "Worker left",
    means="A worker closed its connection in order. At level DEBUG: a command of `iii` did.",
)  # fmt: skip
WORKER_LOST = LogEvent(
    __name__, "worker.lost", logging.WARNING, "Worker lost: its connection ended without a Close frame",
    means="A worker was killed, crashed or was cut off; the calls that it was running have failed.",
    do="Look at its process and its log; functions without owner are back when it is.",
)  # fmt: skip

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
        if previous.shared and current.shared:  # it served before
            return
        heir = current.owner
        if heir is owner or heir.in_process or _same_worker(owner, heir):
            return
        FUNCTION_TAKEN_OVER(
            function=current.id, namespace=current.namespace, worker=_label(heir), worker_id=heir.worker_id,
            previous_worker=_label(owner), previous_worker_id=owner.worker_id,
        )  # fmt: skip

    def ended(self, peer: Peer, ending: Ending, calls: int) -> None:
        """All that the worker owned is released; `calls` it was running have failed."""
        orphans, count = self._left.pop(peer, []), self._counts.pop(peer, 0)
        if ending is Ending.REFUSED or not peer.is_worker:
            return
        if ending is Ending.LEFT or is_visit(peer):
            WORKER_LEFT(None, visit_level(peer), worker=peer.label, worker_id=peer.worker_id)
            return
        WORKER_LOST(
            worker=peer.label, worker_id=peer.worker_id, pid=peer.info.pid, calls_failed=calls, functions_without_owner=count,
            functions=", ".join(orphans) + (f", … ({count - _NAMED} more)" if count > _NAMED else ""),
        )  # fmt: skip


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
