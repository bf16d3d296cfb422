"""One observer: what it was told to do, and how it is (21 §5)."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import msgspec

from iii.engine.observing.definition import in_flight
from iii.protocol.message import NULL

if TYPE_CHECKING:
    from iii.engine.clock import Timer
    from iii.engine.observing.activations import RunningCall
    from iii.engine.observing.definition import Definition
    from iii.engine.observing.filters.compiled import CompiledFilter
    from iii.engine.observing.outcome import Outcome
    from iii.engine.observing.party import Party
    from iii.engine.owner import Owner
    from iii.protocol.errors import ErrorBody
    from iii.protocol.observe_messages import ObserverState


class Observer:
    """A record of the registry; others read it.

    Attributes:
        number: observers are served in the order in which they were created.
        party: whose it is.
        answered: whether its worker has the answer to its `observe`, so that changes of the state can be told.
        announced: by host, the revision of the last announcement.
        unconfirmed: hosts that have not acknowledged that.
        error: why it was refused; final.
        was_active: whether it ever was.
        disposed: whether it is gone.
        fires: activations and calls through it that were started.
        dropped: what it missed, by the reason.
        errors: activations that failed.
        state, reason: as last told.
        running: activations that have no answer yet, and since when.
        matches, roots: of the filter, at hand.
        on_success, on_error: outcomes that it wants.
        id_text, opening, capture, handed_on: parts of what its target gets; the last one is its metadata.
        at_once: activations that run at once.
        limit: of `fires`.
        veiled: whether secrets in what it gets are hidden: it is a session's.
        waiting: outcomes of calls that are to activate it when others have ended.
    """

    __slots__ = (
        "_args", "announced", "answered", "at_once", "capture", "definition", "disposed", "dropped", "error", "errors", "expires_at_ms",
        "expiry", "filter", "fires", "handed_on", "id", "id_text", "limit", "matches", "number", "on_error", "on_success", "opening", "party",
        "reason", "roots", "running", "stalled", "state", "unconfirmed", "veiled", "waiting", "waiting_bytes", "warnings", "was_active",
    )  # fmt: skip

    def __init__(
        self, observer_id: str, number: int, party: Party, definition: Definition, compiled: CompiledFilter
    ) -> None:
        self.id = observer_id
        self.number = number
        self.party = party
        self.veiled = False
        self.answered = False
        self.announced: dict[Owner, int] = {}
        self.unconfirmed: set[Owner] = set()
        self.error: ErrorBody | None = None
        self.was_active = False
        self.disposed = False
        self.fires = 0
        self.errors = 0
        self.dropped: dict[str, int] = {}
        self.state: ObserverState = "pending"
        self.reason: ErrorBody | None = None
        self.expires_at_ms: int | None = None
        self.expiry: Timer | None = None
        self.running: dict[RunningCall, float] = {}
        self.waiting: deque[Outcome] = deque()
        self.waiting_bytes = 0
        self.stalled: Timer | None = None
        self.warnings: list[str] = []
        self.defined(definition, compiled)

    def defined(self, definition: Definition, compiled: CompiledFilter) -> None:
        """It is told to do this from now on."""
        self.definition = definition
        self.filter = compiled
        self.matches, self.roots = compiled.matches, compiled.roots
        self.on_success, self.on_error = definition.on != "error", definition.on != "success"
        self.id_text = msgspec.json.encode(self.id)
        self.opening = b'{"observer_id":%b,"activation_id":"' % self.id_text
        self.capture = tuple((part, b',"%b":' % part.encode()) for part in definition.capture)
        self.at_once, self.limit = in_flight(definition.policy), definition.policy.max_fires
        self.handed_on = NULL if definition.metadata == b"null" else definition.metadata
        self._args: dict[str, Any] | None = None

    @property
    def active(self) -> bool:
        """Whether it gets activations."""
        return self.state == "active" and not self.disposed

    @property
    def receptive(self) -> bool:
        """Whether it gets calls that were made while it was active; its host may have left since."""
        if self.disposed or self.party.peer is None:
            return False
        return self.state == "active" or (self.state == "pending" and self.was_active)

    @property
    def args(self) -> bytes:
        """A JSON object, as it was sent."""
        return self.definition.args

    @property
    def decoded_args(self) -> dict[str, Any]:
        if self._args is None:
            self._args = msgspec.json.decode(self.definition.args, type=dict[str, Any])
        return self._args

    @property
    def metadata(self) -> bytes:
        """JSON, null for none."""
        return self.definition.metadata

    @property
    def target(self) -> str:
        return self.definition.target[1]

    @property
    def target_namespace(self) -> str:
        return self.definition.target[0]

    @property
    def owner_identity(self) -> str | None:
        """Of whoever observes; None: it is trusted."""
        return self.party.identity

    @property
    def max_in_flight(self) -> int | None:
        """As it was told; None: the default of its source."""
        return self.definition.policy.max_in_flight

    @property
    def spent(self) -> bool:
        """Whether what was started, and what waits to be, is all that it may have."""
        limit = self.limit
        return limit is not None and self.fires + len(self.waiting) >= limit

    @property
    def acknowledged(self) -> bool:
        """Whether a host that must has acknowledged it; further copies of that host are not waited for again."""
        return not self.unconfirmed or (self.was_active and len(self.unconfirmed) < len(self.announced))

    def drop(self, code: str, count: int = 1) -> None:
        """It misses calls, for this reason."""
        self.dropped[code] = self.dropped.get(code, 0) + count
