"""What alerts do, and whether it reached anybody (16 §6)."""

from __future__ import annotations

import logging
from collections.abc import Collection
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from msgspec import Struct

from iii.protocol.log_event import LogEvent
from iii.protocol.names import is_builtin_id
from iii.protocol.quoted import shortened

if TYPE_CHECKING:
    from iii.engine.engine import Engine
    from iii.modules.observability.metrics.alert_rule import AlertRule
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

_BUILTIN = "functions of the engine cannot be actions"

_encode = msgspec.json.Encoder().encode


class TriggeredAlert(Struct):
    name: str
    metric: str
    value: float
    threshold: float
    operator: str
    firing: bool
    timestamp: int


class Undelivered(NamedTuple):
    """An alert that its webhook or function did not take."""

    reason: str
    at_ms: int


class AlertActions:
    """Of the rules of one engine."""

    def __init__(self, engine: Engine, webhooks: Webhooks) -> None:
        self._engine = engine
        self._webhooks = webhooks
        self._ended: dict[
            AlertRule, tuple[int, Undelivered | None]
        ] = {}  # of its newest alert: when, and what came of it

    def undelivered(self, rule: AlertRule) -> Undelivered | None:
        """The newest alert of a rule, if its action has failed."""
        return self._ended.get(rule, (0, None))[1]

    def keep(self, rules: Collection[AlertRule]) -> None:
        """Forget what came of others: a rule that was changed has another action, perhaps."""
        self._ended = {rule: ended for rule, ended in self._ended.items() if rule in rules}

    def act(self, rule: AlertRule, alert: TriggeredAlert) -> None:
        """Log, send or call, however long it takes."""
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
        ended = partial(self._has_ended, rule, alert.timestamp)
        if action.type == "webhook":
            self._webhooks.send(alert.name, action.url or "", _encode(body), action.allow_private_hosts, ended)
        elif is_builtin_id(action.path or ""):
            FUNCTION_REFUSED(alert=alert.name, function=action.path)
            ended(_BUILTIN)
        else:
            self._call(rule, alert, _encode({**body, "firing": True}))

    def _call(self, rule: AlertRule, alert: TriggeredAlert, body: bytes) -> None:
        """The function of an action; a failure is logged, as there is no other caller to hear of it."""
        function_id = rule.action.path or ""

        def answered(result: bytes | None, error: InvocationError | None) -> None:
            reason = ""
            if error is not None:
                reason = shortened(error.message)
                FUNCTION_FAILED(alert=alert.name, function=function_id, code=error.code, reason=reason)
            self._has_ended(rule, alert.timestamp, reason)

        self._engine.router.call(function_id, None, body, answered)

    def _has_ended(self, rule: AlertRule, triggered_ms: int, reason: str) -> None:
        """An empty `reason`: it was delivered."""
        if triggered_ms >= self._ended.get(rule, (0, None))[0]:  # else a later one has ended before it
            failure = Undelivered(reason, self._engine.clock.time_ms()) if reason else None
            self._ended[rule] = triggered_ms, failure
