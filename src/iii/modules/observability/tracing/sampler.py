"""Which traces are recorded, and which spans of workers are exported (17 §4)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from iii.modules.observability.wildcards import wildcard
from iii.protocol.log_event import LogEvent

if TYPE_CHECKING:
    from iii.engine.clock import Clock
    from iii.modules.observability.config import ObservabilityConfig, SamplingConfig
    from iii.modules.observability.records import Span

SAMPLING_LIMITED = LogEvent(
    __name__, "tracing.sampling_limited", logging.WARNING, "Traces not recorded: more begin than the rate limit allows",
    means="`sampling.rate_limit` has a number of traces a second; those beyond are not recorded.",
    do="Raise `max_traces_per_second`, or record fewer by `sampling.rules` and `sampling.default`.",
)  # fmt: skip

_IDS = 2**64
_KNOWN = 4_096  # names whose share, and traces whose decision, are remembered
_NAME_CHARACTERS = 512  # of a name that is remembered

Matches = Callable[[str], object]


class _Rule:
    """Any name, or any service, if there is no pattern for it."""

    __slots__ = ("operation", "rate", "service")

    def __init__(self, operation: str | None, service: str | None, rate: float) -> None:
        self.operation: Matches | None = None if operation is None else wildcard(operation)
        self.service: Matches | None = None if service is None else wildcard(service)
        self.rate = rate

    def applies(self, name: str, service: str) -> bool:
        return (self.operation is None or bool(self.operation(name))) and (
            self.service is None or bool(service and self.service(service))
        )


class _Tokens:
    """A bucket that holds what one second gives."""

    __slots__ = ("_filled_at", "_left", "_now", "_per_s", "_said")

    def __init__(self, per_s: int, now: Callable[[], float]) -> None:
        self._per_s = per_s
        self._now = now
        self._left = float(per_s)
        self._filled_at = now()
        self._said = False

    def take(self) -> bool:
        """False: it is empty, which is said once."""
        now = self._now()
        self._left = min(self._per_s, self._left + (now - self._filled_at) * self._per_s)
        self._filled_at = now
        if self._left >= 1:
            self._left -= 1
            return True
        if not self._said:
            self._said = True
            SAMPLING_LIMITED(max_traces_per_second=self._per_s)
        return False


class TraceSampler:
    """Decides by the id of a trace: whoever decides about it with the same share comes to the same.

    Attributes:
        everything: nothing is left out but what hangs on a parent that is not recorded.
        parent_based: a span with a parent is recorded if that is.
        default_ratio: share of the traces that no rule is for.
    """

    def __init__(self, config: ObservabilityConfig, clock: Clock) -> None:
        sampling: SamplingConfig | None = config.sampling
        rules = () if sampling is None else sampling.rules
        limit = None if sampling is None else sampling.rate_limit
        default = None if sampling is None else sampling.default
        self.default_ratio = config.sampling_ratio if default is None else default
        parent_based = None if sampling is None else sampling.parent_based
        self.parent_based = parent_based is not False or bool(rules) or limit is not None
        self._service = config.service_name
        self._rules = [_Rule(rule.operation, rule.service, rule.rate) for rule in rules]
        self._tokens = None if limit is None else _Tokens(limit.max_traces_per_second, clock.now)
        self.everything = not rules and limit is None and self.default_ratio >= 1 and self.parent_based
        self._rates: dict[tuple[str, str], float] = {}
        self._decided: dict[str, bool] = {}  # traces that took a token, or did not get one

    def begins(self, name: str, trace_id: str) -> bool:
        """Whether to record a trace that begins with this span, or a span if it is not `parent_based`."""
        return _within(trace_id, self._rate(name, self._service)) and self._has_token(trace_id)

    def forwards(self, span: Span) -> bool:
        """Whether a finished span of a worker leaves for the collector, by its own name and service."""
        return _within(span.trace_id, self._rate(span.name, span.service_name)) and self._has_token(span.trace_id)

    def _rate(self, name: str, service: str) -> float:
        if not self._rules:
            return self.default_ratio
        key = (name, service)
        rate = self._rates.get(key)
        if rate is None:
            rate = next((rule.rate for rule in self._rules if rule.applies(name, service)), self.default_ratio)
            if len(name) + len(service) <= _NAME_CHARACTERS:
                if len(self._rates) >= _KNOWN:
                    self._rates.clear()
                self._rates[key] = rate
        return rate

    def _has_token(self, trace_id: str) -> bool:
        """One for the spans of a trace together, wherever they come from."""
        if self._tokens is None:
            return True
        decided = self._decided.get(trace_id)
        if decided is None:
            if len(self._decided) >= _KNOWN:
                del self._decided[next(iter(self._decided))]
            decided = self._decided[trace_id] = self._tokens.take()
        return decided


def _within(trace_id: str, rate: float) -> bool:
    """As OpenTelemetry's ratio sampler looks at an id; one that is not hexadecimal is forwarded to nobody anyway."""
    if rate >= 1:
        return True
    try:
        return int(trace_id[16:32], 16) < rate * _IDS
    except ValueError:
        return False
