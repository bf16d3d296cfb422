"""What there is to follow, by name (23 §6)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from iii.console.live.data import ActionsTopic, QueuesTopic, QueueTopic, StateTopic, StreamTopic
from iii.console.live.discovery import AlertsTopic, FunctionsTopic, HealthTopic, TriggersTopic, WorkersTopic
from iii.console.live.figures import MetricsTopic, RatesTopic
from iii.console.live.telemetry import LogsTopic, TracesTopic, TraceTopic

if TYPE_CHECKING:
    from iii.console.audit import Audit
    from iii.console.live.topic import Topic


def topics_of(audit: Audit) -> Mapping[str, Callable[[bytes], Topic]]:
    """Each is made from its parameters."""
    return {
        "workers": WorkersTopic,
        "functions": FunctionsTopic,
        "triggers": TriggersTopic,
        "alerts": AlertsTopic,
        "health": HealthTopic,
        "metrics": MetricsTopic,
        "rates": RatesTopic,
        "queues": QueuesTopic,
        "queue": QueueTopic,
        "state": StateTopic,
        "stream": StreamTopic,
        "logs": LogsTopic,
        "traces": TracesTopic,
        "trace": TraceTopic,
        "actions": lambda params: ActionsTopic(audit),
    }
