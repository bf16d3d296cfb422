"""Alerts: rules that are looked at every ten seconds, and what they do (16 §6)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta, Struct

from iii.engine.builtin import LATER, Later, builtin
from iii.engine.invocation import Invocation
from iii.modules.observability.metrics.alert_rule import SHOWN, AlertRule
from iii.modules.observability.metrics.alert_texts import ask_for_rules, needs_texts, with_texts
from iii.modules.observability.metrics.alert_values import AlertValue
from iii.protocol.log_event import LogEvent
from iii.protocol.names import is_builtin_id
from iii.protocol.quoted import shortened

if TYPE_CHECKING:
    from iii.engine.clock import Timer
    from iii.engine.engine import Engine
    from iii.modules.observability.metrics.store import MetricStore
    from iii.modules.observability.metrics.webhooks import Webhooks
    from iii.protocol.errors import InvocationError

ALERT_TRIGGERED = LogEvent(
    __name__, "alert.triggered", logging.WARNING, "Alert triggered",
    means="A metric is beyond the threshold of a rule in `alerts` of `iii-observability`.",
    do="What the rule was made for.",
)  # fmt: skip
FUNCTION_REFUSED = LogEvent(
    __name__, "alert.function_refused", logging.WARNING,
    "alert function target rejected; built-in/internal function ids cannot be invoked as alert actions",
    means="The `path` of an alert's action is a function of the engine.",
    do="Name a function of a worker, which may call the engine's.",
)  # fmt: skip
FUNCTION_FAILED = LogEvent(
    __name__, "alert.function_failed", logging.WARNING, "Alert not delivered: its function failed",
    means="The function of an alert's action is not registered, or failed; it is not called again for this alert.",
    do="Register the function, in namespace `default`, or correct `path` of the action; else look at the worker that has it.",
)  # fmt: skip

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


class TriggeredAlert(Struct):
    name: str
    metric: str
    value: float
    threshold: float
    operator: str
    firing: bool
    timestamp: int


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
        self._webhooks = webhooks
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
        states = [each.state for each in self._watched if each.state is not None]
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
        self._act(rule, alert)
        return alert

    def _act(self, rule: AlertRule, alert: TriggeredAlert) -> None:
        action = rule.action
        if action.type == "log":
            ALERT_TRIGGERED(
                alert_name=alert.name, metric=alert.metric, value=alert.value, threshold=alert.threshold, operator=alert.operator,
            )  # fmt: skip
            return
        body: dict[str, Any] = {
            "alert": alert.name,
            "metric": alert.metric,
            "value": alert.value,
            "threshold": alert.threshold,
            "operator": alert.operator,
            "timestamp": alert.timestamp,
        }
        if action.type == "webhook":
            self._webhooks.send(alert.name, action.url or "", _encode(body), action.allow_private_hosts)
        elif is_builtin_id(action.path or ""):
            FUNCTION_REFUSED(alert=alert.name, function=action.path)
        else:
            self._tell(alert.name, action.path or "", _encode({**body, "firing": True}))

    def _tell(self, alert: str, function_id: str, body: bytes) -> None:
        """Call the function of an action, however long it takes; a failure is logged, as there is no other caller to hear of it."""

        def ended(result: bytes | None, error: InvocationError | None) -> None:
            if error is not None:
                FUNCTION_FAILED(alert=alert, function=function_id, code=error.code, reason=shortened(error.message))

        self._engine.router.call(function_id, None, body, ended)


def _row(rule: AlertRule) -> dict[str, Any]:
    return {**msgspec.to_builtins(rule), "operator": rule.compares}
