"""What the log says of workers that come and go: who lost its connection, what that left behind, and who took over."""

from __future__ import annotations

import logging
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from iii.engine.functions import Function
    from iii.engine.owner import Owner
    from iii.engine.session import Session

logger = logging.getLogger(__name__)

_NAMED = 10  # functions without an owner, in one line


class Ending(Enum):
    """How a connection ended."""

    LEFT = "left"  # it said so, or was told to go
    LOST = "lost"  # without a Close frame: killed, crashed, cut off
    REFUSED = "refused"  # it never was a worker; the refusal has a line of its own


class Departures:
    """Hears of every change of owners; remembers only what those leave that are leaving now."""

    def __init__(self) -> None:
        self._left: dict[Owner, list[str]] = {}  # functions without an owner, the first of them
        self._counts: dict[Owner, int] = {}

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

    def ended(self, session: Session, ending: Ending, calls: int) -> None:
        """All that the worker owned is released; `calls` it was running have failed."""
        orphans, count = self._left.pop(session, []), self._counts.pop(session, 0)
        fields: dict[str, object] = {"worker_id": session.worker_id}
        if ending is Ending.REFUSED or not session.is_worker:
            return
        if ending is Ending.LEFT or is_visit(session):
            logger.log(visit_level(session), "Worker %s left", session.label, extra={"fields": fields})
            return
        fields |= {"pid": session.info.pid, "calls_failed": calls, "functions_without_owner": count}
        if orphans:
            fields["functions"] = ", ".join(orphans) + (f", … ({count - _NAMED} more)" if count > _NAMED else "")
        logger.warning(
            "Worker %s lost: its connection ended without a Close frame", session.label, extra={"fields": fields}
        )


def is_visit(session: Session) -> bool:
    """One command of `iii` is one connection: not worth a line each."""
    return (session.info.name or "").startswith("iii-cli:")


def visit_level(session: Session) -> int:
    return logging.DEBUG if is_visit(session) else logging.INFO


def _same_worker(owner: Owner, heir: Owner) -> bool:
    """On a new connection, before the old one was found dead."""
    return owner.display_name is not None and owner.display_name == heir.display_name


def _label(owner: Owner) -> str:
    return owner.display_name or owner.worker_id
