"""Frames as clients send them, and a listener for what becomes of them."""

import json
from collections.abc import Iterable
from typing import Any

from iii.modules.observability.config import ObservabilityConfig
from iii.modules.observability.module import Observability
from iii.modules.observability.records import LogRecord, Metric, Span
from iii.testing import MemoryEngine

Json = dict[str, Any]
TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"


def attributes(**values: Any) -> list[Json]:
    return [{"key": key.replace("__", "."), "value": value} for key, value in values.items()]


def resource(**values: str) -> Json:
    return {"attributes": attributes(**{key: {"stringValue": value} for key, value in values.items()})}


def span(**members: Any) -> Json:
    return {
        "traceId": TRACE,
        "spanId": SPAN,
        "name": "work",
        "startTimeUnixNano": "1795438346156329177",
        "endTimeUnixNano": "1795438346157259675",
        **members,
    }


def spans(*items: Any, about: Any = None, scope: Any = None) -> Json:
    return {"resourceSpans": [{"resource": about, "scopeSpans": [{"scope": scope, "spans": list(items)}]}]}


def logs(*items: Any, about: Any = None, scope: Any = None) -> Json:
    return {"resourceLogs": [{"resource": about, "scopeLogs": [{"scope": scope, "logRecords": list(items)}]}]}


def metrics(*items: Any, about: Any = None, scope: Any = None) -> Json:
    return {"resourceMetrics": [{"resource": about, "scopeMetrics": [{"scope": scope, "metrics": list(items)}]}]}


class Ear:
    """What one engine tells of telemetry."""

    def __init__(self, engine: MemoryEngine, config: ObservabilityConfig | None = None) -> None:
        self.engine = engine
        self.module = Observability(engine.core, config)
        engine.core.add_module(self.module)
        self.spans: list[Span] = []
        self.logs: list[LogRecord] = []
        self.metrics: list[Metric] = []
        self.slices: list[int] = []
        signals = self.module.signals
        signals.spans.subscribe(lambda items, source: self._heard(self.spans, items))
        signals.logs.subscribe(lambda items, source: self._heard(self.logs, items))
        signals.metrics.subscribe(lambda items, source: self._heard(self.metrics, items))
        self.worker = engine.connect(name="sender")

    def _heard(self, into: list[Any], items: Iterable[Any]) -> None:
        before = len(into)
        into.extend(items)
        self.slices.append(len(into) - before)

    def say(self, kind: str, document: Any) -> None:
        """A frame; bytes go as they are, `NaN` as Python's encoder writes it."""
        payload = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.worker.session.receive_binary(kind.encode() + payload)

    @property
    def dropped(self) -> Any:
        return self.worker.result_of("engine::health::check")["components"]["ingest"]["details"]
