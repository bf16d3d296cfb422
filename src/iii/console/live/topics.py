"""What there is to follow, by name (23 §6)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from iii.console.live.discovery import AlertsTopic, FunctionsTopic, HealthTopic, TriggersTopic, WorkersTopic
from iii.console.live.telemetry import LogsTopic, TracesTopic, TraceTopic

if TYPE_CHECKING:
    from iii.console.live.topic import Topic

TOPICS: Mapping[str, Callable[[bytes], Topic]] = {
    "workers": WorkersTopic,
    "functions": FunctionsTopic,
    "triggers": TriggersTopic,
    "alerts": AlertsTopic,
    "health": HealthTopic,
    "logs": LogsTopic,
    "traces": TracesTopic,
    "trace": TraceTopic,
}
