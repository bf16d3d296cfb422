"""The rules of alerts, as the config has them (16 §6)."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Annotated, Literal

from msgspec import Meta, Struct

from iii.modules.observability.http_url import HTTP_URL
from iii.modules.observability.metrics.figures import COUNTERS
from iii.protocol.quoted import shortened
from iii.protocol.suggestion import did_you_mean

Operator = Literal["greaterthan", "greaterthanorequal", "lessthan", "lessthanorequal", "equal", "notequal"]
_SIGNS: dict[str, Operator] = {
    ">": "greaterthan",
    ">=": "greaterthanorequal",
    "<": "lessthan",
    "<=": "lessthanorequal",
    "==": "equal",
    "!=": "notequal",
}
_ENGINE, _WORKERS = "iii.", "iii.worker."  # how names of the engine's metrics begin; gauges that workers send
_URL = rf"{HTTP_URL}|^\$\{{[^}}]+\}}$"  # what a placeholder fills to is judged when it is filled
_EQUAL = 2.220446049250313e-16  # values that differ by less are equal

SHOWN: dict[Operator, str] = {
    "greaterthan": "GreaterThan",
    "greaterthanorequal": "GreaterThanOrEqual",
    "lessthan": "LessThan",
    "lessthanorequal": "LessThanOrEqual",
    "equal": "Equal",
    "notequal": "NotEqual",
}
_HOLDS: dict[Operator, Callable[[float, float], bool]] = {
    "greaterthan": operator.gt,
    "greaterthanorequal": operator.ge,
    "lessthan": operator.lt,
    "lessthanorequal": operator.le,
    "equal": lambda value, threshold: abs(value - threshold) < _EQUAL,
    "notequal": lambda value, threshold: abs(value - threshold) >= _EQUAL,
}


class AlertAction(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an alert does."""

    type: Annotated[
        Literal["log", "webhook", "function"],
        Meta(description="`log`: a line in the log; `webhook`: a POST to `url`; `function`: a call of `path`."),
    ]
    url: Annotated[
        Annotated[str, Meta(pattern=_URL)] | None,
        Meta(
            extra={"form": "a URL such as https://hooks.example/alerts"},
            description="Of a webhook: http or https.",
        ),
    ] = None
    path: Annotated[str | None, Meta(description="Of a function action: the function's id.")] = None
    allow_private_hosts: Annotated[
        bool, Meta(description="Whether the webhook may be on a private network or on this host.")
    ] = False

    def __post_init__(self) -> None:
        missing = {"webhook": ("url", self.url), "function": ("path", self.path)}.get(self.type)
        if missing is not None and not missing[1]:
            raise ValueError(f"an action of type {self.type} needs {missing[0]}")


class AlertRule(Struct, frozen=True, kw_only=True):
    """When a metric raises an alert."""

    name: Annotated[str, Meta(description="Of the alert; no two rules have the same.")]
    metric: Annotated[
        str,
        Meta(
            description="A metric of workers, or `iii.invocations.total`, `.success`, `.error`, `.deferred`, "
            "`iii.workers.spawns`, `.deaths`, `.active`."
        ),
    ]
    threshold: Annotated[float, Meta(description="What the value is compared with.")]
    operator: Annotated[
        Operator | Literal[">", ">=", "<", "<=", "==", "!="],
        Meta(description="The alert fires while the value is so, compared with the threshold."),
    ] = "greaterthan"
    window_seconds: Annotated[
        int, Meta(ge=1, description="Seconds of metrics that count: sum of counters, mean of gauges.")
    ] = 60
    windowed: Annotated[
        bool,
        Meta(
            description="Whether of the engine's own counters only the growth within the window counts; false: all since the "
            "start."
        ),
    ] = False
    cooldown_seconds: Annotated[int, Meta(ge=1, description="Seconds from one action to the next.")] = 60
    enabled: Annotated[bool, Meta(description="Whether the rule is looked at.")] = True
    action: Annotated[AlertAction, Meta(description="What is done.")] = AlertAction(type="log")

    def __post_init__(self) -> None:
        name = self.metric
        if name.startswith(_ENGINE) and not name.startswith(_WORKERS) and name not in COUNTERS:
            known = did_you_mean(name, COUNTERS, otherwise=f"; known: {', '.join(COUNTERS)}, and metrics of workers")
            raise ValueError(f"the engine has no metric '{shortened(name, 100)}' for alerts{known}")

    @property
    def compares(self) -> Operator:
        """The operator by its name."""
        return _SIGNS.get(self.operator, self.operator)  # type: ignore[arg-type]  # the Literal has no other

    def fires(self, value: float) -> bool:
        return _HOLDS[self.compares](value, self.threshold)
