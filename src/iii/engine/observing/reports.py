"""Calls that a host has run by itself, as it tells of them (21 §11)."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from iii.engine.observing.origin import depth_of, stamped
from iii.engine.observing.outcome import Outcome
from iii.engine.session.peer import Peer
from iii.protocol.json_text import BAD_JSON, is_json
from iii.protocol.limits import MATCHED_OBSERVERS, REPORTED_CALLS
from iii.protocol.log_event import LogEvent
from iii.protocol.message import NULL
from iii.protocol.observe_messages import InvocationsObserved, LocalInvocationStats
from iii.protocol.tracecontext import valid_traceparent

if TYPE_CHECKING:
    from iii.engine.functions import Function, FunctionRegistry
    from iii.engine.observing.activations import Activations
    from iii.engine.observing.observer import Observer
    from iii.engine.observing.store import ObserverStore
    from iii.engine.ownership import Key
    from iii.engine.turns import Turns

REPORT_REFUSED = LogEvent(
    __name__, "observer.report_refused", logging.WARNING, "Report of a call refused: it is not the worker's to make, or cannot be read",
    means="A worker reports calls of a function that it does not host, for observers of other functions, or in a broken form; said once for each connection.",
    do="Look at the client that the worker uses.",
)  # fmt: skip

INACTIVE = "INACTIVE"  # dropped: what was reported is not for an active observer of that function
_ID_CHARACTERS = 200
_LONGEST_MS = 1e12
_DEFAULT_TIME = Raw(b"0")


class _Report(Struct):
    """One item; what is not a text stays as it was sent."""

    function_id: str
    invocation_id: str = ""
    namespace: str | None = None
    matched: list[str] = []
    status: str = "success"
    input: Raw | UnsetType = UNSET  # null is something
    output: Raw | UnsetType = UNSET
    error: Raw | UnsetType = UNSET
    caller: Raw = NULL
    metadata: Raw = NULL
    started_at_ms: Raw = _DEFAULT_TIME
    duration_ms: Raw = _DEFAULT_TIME
    observe_depth: Raw = NULL
    traceparent: Raw = NULL
    baggage: Raw = NULL
    output_is_input: Raw = NULL


_items = msgspec.json.Decoder(list[Raw])
_report = msgspec.json.Decoder(_Report)
_text = msgspec.json.Decoder(str)
_number = msgspec.json.Decoder(float)


class Reports:
    """Attributes:
    local_calls: calls that workers say they have run by themselves, and those of them that failed.
    """

    def __init__(
        self, functions: FunctionRegistry, turns: Turns, store: ObserverStore, activations: Activations
    ) -> None:
        self._functions = functions
        self._turns = turns
        self._store = store
        self._activations = activations
        self._complained: set[Peer] = set()
        self.local_calls = 0
        self.local_errors = 0

    def report(self, peer: Peer, message: InvocationsObserved) -> None:
        """Activate the observers that a host says its calls were for. Nothing else follows from it."""
        try:
            items = _items.decode(message.items)
        except BAD_JSON as error:
            self._refuse(peer, f"items cannot be read: {error}")
            return
        if len(items) > REPORTED_CALLS:
            self._refuse(peer, f"{len(items)} calls in one message exceed the limit of {REPORTED_CALLS}")
        self._turns.go_paused(peer.link, self._reporting(peer, items[:REPORTED_CALLS]))

    def count(self, peer: Peer, message: LocalInvocationStats) -> None:
        """How many calls a host has run by itself, and how many it did not report."""
        self._turns.go_paused(peer.link, self._counting(peer, _rows(message.functions), _rows(message.dropped_reports)))

    def left(self, peer: Peer) -> None:
        """Its connection has ended."""
        self._complained.discard(peer)

    def _counting(self, peer: Peer, called: list[Raw], dropped: list[Raw]) -> Iterator[None]:
        for text in called:
            row = _row(text)
            if self._hosted(peer, row.get("function_id"), row.get("namespace")) is not None:
                self.local_calls += _whole(row.get("count"))
                self.local_errors += _whole(row.get("errors"))
            yield
        missed: dict[Key, dict[str, int]] = {}  # each observer is looked at once, however many rows there are
        for text in dropped:
            row = _row(text)
            function, reason = self._hosted(peer, row.get("function_id"), row.get("namespace")), row.get("reason")
            if function is not None and isinstance(reason, str):
                counts, reason = missed.setdefault(function.key, {}), reason[:_ID_CHARACTERS]
                if len(counts) < _REASONS or reason in counts:
                    counts[reason] = counts.get(reason, 0) + _whole(row.get("count"))
            yield
        for key, counts in missed.items():
            for observer in list(self._store.of(key)):
                for reason, count in counts.items():
                    if len(observer.dropped) < _REASONS or reason in observer.dropped:
                        observer.drop(reason, count)
                yield

    def _reporting(self, peer: Peer, items: list[Raw]) -> Iterator[None]:
        for item in items:
            try:
                report = _report.decode(item)
            except BAD_JSON as error:
                self._refuse(peer, str(error)[:300])
            else:
                self._take(peer, report)
                for _ in range(len(report.matched) // _MATCHED_IN_STEP):
                    yield
            yield

    def _take(self, peer: Peer, report: _Report) -> None:
        function = self._hosted(peer, report.function_id, report.namespace)
        if function is None:
            self._refuse(peer, f"the worker does not host {report.function_id[:_ID_CHARACTERS]}")
            return
        if len(report.matched) > MATCHED_OBSERVERS:
            self._refuse(peer, f"{len(report.matched)} observers of one call exceed the limit of {MATCHED_OBSERVERS}")
            return
        matched: list[Observer] = []
        for observer_id in dict.fromkeys(report.matched):
            observer = self._store.get(observer_id)
            if observer is None or observer.definition.key != function.key or observer.error is not None:
                continue
            if observer.active or _waits_for_host_only(observer, peer, self._functions):
                matched.append(observer)
            else:
                observer.drop(INACTIVE if observer.reason is None else observer.reason.code)
        if matched:
            matched.sort(key=lambda each: each.number)
            self._activations.activate(matched, _outcome(function, report, peer))

    def _hosted(self, peer: Peer, function_id: object, namespace: object) -> Function | None:
        """The function, if this connection serves it."""
        if not isinstance(function_id, str) or not (namespace is None or isinstance(namespace, str)):
            return None
        stored = function_id if peer.guard is None else peer.guard.registering.stored_function(function_id)
        ownership = self._functions.ownership
        claim = ownership.claim_of(peer, (namespace or peer.namespace, stored))
        return claim if claim is not None and ownership.serves(claim) else None

    def _refuse(self, peer: Peer, reason: str) -> None:
        if peer not in self._complained and not peer.ended:
            self._complained.add(peer)
            peer.complain(REPORT_REFUSED, reason=reason)


_REASONS = 32  # of one observer
_MATCHED_IN_STEP = 20  # a call that is for more takes as long as several


def _waits_for_host_only(observer: Observer, peer: Peer, functions: FunctionRegistry) -> bool:
    """Its host was away and has not acknowledged it yet: what the host ran meanwhile counts (R6)."""
    return (
        observer.state == "pending"
        and observer.was_active
        and peer in observer.unconfirmed
        and observer.party.peer is not None
        and functions.find(observer.target, observer.target_namespace) is not None
    )


def _outcome(function: Function, report: _Report, peer: Peer) -> Outcome:
    succeeded = report.status != "error"
    output = report.input if bytes(report.output_is_input) == b"true" else report.output
    parts: dict[str, bytes | Raw | memoryview] = {"caller": stamped(report.caller, peer.caller_base)}
    for name, part in (("input", report.input), ("output", output if succeeded else UNSET), ("error", UNSET if succeeded else report.error)):  # fmt: skip
        if part is not UNSET and is_json(bytes(part)):
            parts[name] = bytes(part)
    if bytes(report.metadata) != b"null":
        parts["metadata"] = bytes(report.metadata)
    outcome = Outcome(succeeded, parts)
    outcome.describe(
        function.id,
        function.namespace,
        report.invocation_id[:_ID_CHARACTERS],
        depth_of(report.observe_depth),
        int(_time(report.started_at_ms)),
        _time(report.duration_ms),
        valid_traceparent(_string(report.traceparent)),
        _string(report.baggage) or None,
    )
    return outcome


def _time(sent: Raw) -> float:
    try:
        number = _number.decode(sent)
    except BAD_JSON:
        return 0.0
    return number if math.isfinite(number) and 0 <= number <= _LONGEST_MS else 0.0


def _string(sent: Raw) -> str | None:
    try:
        return _text.decode(sent)
    except BAD_JSON:
        return None


def _rows(sent: Raw) -> list[Raw]:
    """Not looked into yet."""
    if memoryview(sent).nbytes > _STATS_BYTES:
        return []
    try:
        return _items.decode(sent)
    except BAD_JSON:
        return []


def _row(text: Raw) -> dict[str, Any]:
    """One that is none, or too large to be one, says nothing."""
    if memoryview(text).nbytes > _ROW_BYTES:
        return {}
    try:
        row = msgspec.json.decode(text)
    except BAD_JSON:
        return {}
    return row if isinstance(row, dict) else {}


_STATS_BYTES = 2**20
_ROW_BYTES = 4096


def _whole(number: object) -> int:
    return number if isinstance(number, int) and not isinstance(number, bool) and 0 < number < 2**53 else 0
