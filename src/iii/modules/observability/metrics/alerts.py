"""Alerts: rules that are looked at every ten seconds, and what they do (16 §6)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from iii.engine.builtin import LATER, Later, builtin
from iii.engine.invocation import Invocation
from iii.modules.observability.metrics.alert_actions import AlertActions, TriggeredAlert
from iii.modules.observability.metrics.alert_rule import SHOWN, AlertRule
from iii.modules.observability.metrics.alert_texts import ask_for_rules, needs_texts, with_texts
from iii.modules.observability.metrics.alert_values import AlertValue

if TYPE_CHECKING:
    from iii.engine.clock import Timer
    from iii.engine.engine import Engine
    from iii.modules.observability.metrics.store import MetricStore
    from iii.modules.observability.metrics.webhooks import Webhooks

EVERY_S = 10.0

_encode = msgspec.json.Encoder().encode


class AlertState(Struct):
    """A rule as it was last looked at."""

    name: str
    firing: bool
    last_evaluated: Annotated[int, Meta(description="Unix milliseconds.")]
    last_triggered: Annotated[int | None, Meta(description="Unix milliseconds.")]
    current_value: float
    threshold: float
    operator: str
    action_error: Annotated[
        str | UnsetType,
        Meta(description="Why its webhook or function did not take the newest alert; absent: it did, or has yet to."),
    ] = UNSET
    action_failed: Annotated[int | UnsetType, Meta(description="When, in Unix milliseconds.")] = UNSET


class NoRequest(Struct):
    """No input."""


class AlertsList(Struct):
    alerts: list[AlertState]
    rules: list[dict[str, Any]]
    firing_count: int
    timestamp: Annotated[int, Meta(description="Unix milliseconds.")]


class AlertsEvaluated(Struct):
    evaluated: bool
    triggered_alerts: list[TriggeredAlert]
    timestamp: Annotated[int, Meta(description="Unix milliseconds.")]


class _Watched:
    """A rule, its value and its state.

    Attributes:
        triggered_at: when it last did, by the clock that nobody sets.
    """

    def __init__(self, rule: AlertRule, value: AlertValue, earlier: _Watched | None) -> None:
        self.rule = rule
        self.value = value
        self.state: AlertState | None = None if earlier is None else earlier.state
        self.triggered_at: float | None = None if earlier is None else earlier.triggered_at


class Alerts:
    """The rules of one engine."""

    def __init__(self, engine: Engine, store: MetricStore, webhooks: Webhooks) -> None:
        self._engine = engine
        self._store = store
        self._actions = AlertActions(engine, webhooks)
        self._watched: list[_Watched] = []
        self._timer: Timer | None = None

    def apply(self, rules: Sequence[AlertRule]) -> None:
        """Rules from now on; those of known names keep their state, unless they are not enabled."""
        earlier = {each.rule.name: each for each in self._watched}
        self._watched = [
            _Watched(
                rule, AlertValue(rule, self._engine, self._store), earlier.get(rule.name) if rule.enabled else None
            )
            for rule in rules
        ]
        self._actions.keep(rules)
        if rules and self._timer is None:
            self._timer = self._engine.clock.call_at(self._engine.clock.now(), self._look)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
        self._watched = []

    @builtin("engine::alerts::list", spec="16 §6")
    def alerts(self, request: NoRequest, invocation: Invocation) -> AlertsList | Later:
        """List the rules of alerts, and how they stand; placeholders in their actions are not filled."""
        states = [self._told(each.rule, each.state) for each in self._watched if each.state is not None]
        rules = [_row(each.rule) for each in self._watched]
        firing = sum(state.firing for state in states)
        listed = AlertsList(states, rules, firing, self._engine.clock.time_ms())
        if not any(map(needs_texts, rules)):
            return listed

        def told(written: list[Any] | None) -> None:
            if written is not None:
                listed.rules = [with_texts(row, written) for row in rules]
            invocation.complete(_encode(listed))

        ask_for_rules(self._engine, told)
        return LATER

    @builtin("engine::alerts::evaluate", spec="16 §6")
    def evaluate(self, request: NoRequest) -> AlertsEvaluated:
        """Look at all rules now, and do what is to be done."""
        return AlertsEvaluated(True, self._evaluate(), self._engine.clock.time_ms())

    def _told(self, rule: AlertRule, state: AlertState) -> AlertState:
        failure = self._actions.undelivered(rule)
        if failure is None:
            return state
        return msgspec.structs.replace(state, action_error=failure.reason, action_failed=failure.at_ms)

    def _look(self) -> None:
        self._timer = None
        if self._watched:
            self._timer = self._engine.clock.call_at(self._engine.clock.now() + EVERY_S, self._look)
            self._evaluate()

    def _evaluate(self) -> list[TriggeredAlert]:
        triggered = (self._judge(each) for each in self._watched if each.rule.enabled)
        return [alert for alert in triggered if alert is not None]

    def _judge(self, watched: _Watched) -> TriggeredAlert | None:
        rule, value = watched.rule, watched.value.now()
        if value is None:
            return None
        clock, last = self._engine.clock, watched.triggered_at
        now = clock.time_ms()
        firing = rule.fires(value)
        triggers = firing and (last is None or clock.now() - last >= rule.cooldown_seconds)
        if triggers:
            watched.triggered_at = clock.now()
        shown = SHOWN[rule.compares]
        last_ms = watched.state.last_triggered if watched.state is not None else None
        watched.state = AlertState(rule.name, firing, now, now if triggers else last_ms, value, rule.threshold, shown)
        if not triggers:
            return None
        alert = TriggeredAlert(rule.name, rule.metric, value, rule.threshold, shown, True, now)
        self._actions.act(rule, alert)
        return alert


def _row(rule: AlertRule) -> dict[str, Any]:
    return {**msgspec.to_builtins(rule), "operator": rule.compares}
