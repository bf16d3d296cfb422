"""What the log says of access: who asked for what, from where, and why not."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from iii.protocol.log_event import LogEvent

if TYPE_CHECKING:
    from iii.engine.session.peer import Peer

GRANTED = LogEvent(
    __name__, "access.granted", logging.INFO, "Access granted to a connection",
    means="A connection to a listener with access control was let in; `who` is the name of the token or certificate, or what let it in.",
)  # fmt: skip
DENIED = LogEvent(
    __name__, "access.denied", logging.WARNING, "Access denied",
    means="A connection, a call or a registration was refused by the access rules of its listener; `operation` says which, `reason` why.",
    do="Nothing, if that is meant; else expose what `id` names, or correct the token, the certificate or the auth function.",
)  # fmt: skip
EVICTED = LogEvent(
    __name__, "access.evicted", logging.WARNING, "Registration of a session removed: a trusted worker has registered the same id",
    means="What a listener with access control let in had the id first; ids belong to trusted workers.",
    do="Give sessions of that listener a prefix (`function_registration_prefix`), or other ids.",
)  # fmt: skip
FORBIDDEN_INFRASTRUCTURE = LogEvent(
    __name__, "access.infrastructure_forbidden", logging.WARNING, "Rights forbid a function that clients need",
    means="`forbidden_functions` names a function that is allowed without exposure; clients may fail without it.",
    do="Remove it from `forbidden_functions`, unless that is meant.",
)  # fmt: skip


def asked_by(caller: Peer | None) -> dict[str, str | None]:
    """For the log: who asked for an operation, and from where."""
    if caller is None:
        return {"who": "the engine", "ip_address": None}
    if caller.guard is not None:
        return caller.guard.origin
    return {"who": caller.label, "ip_address": caller.link.ip_address}
