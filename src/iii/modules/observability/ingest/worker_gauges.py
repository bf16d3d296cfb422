"""Gauges that workers report about themselves, for the list of workers (06 §2.10, 02 §4.5)."""

from collections.abc import Sequence

from iii.engine.engine import Engine
from iii.engine.gauges import FIELDS
from iii.modules.observability.records import Metric, NumberPoint
from iii.modules.observability.signals import Signals, Source

WORKER_ID = "worker.id"


class WorkerGauges:
    """Each goes to the worker that its attribute `worker.id` names, whatever connection brought it."""

    def __init__(self, engine: Engine, signals: Signals) -> None:
        self._engine = engine
        signals.metrics.subscribe(self._arrived)

    def _arrived(self, metrics: Sequence[Metric], source: Source) -> None:
        for metric in metrics:
            if metric.name in FIELDS:
                for point in metric.data_points:
                    if isinstance(point, NumberPoint):
                        self._record(metric.name, point)

    def _record(self, name: str, point: NumberPoint) -> None:
        worker_id = next((value for key, value in point.attributes if key == WORKER_ID), None)
        session = None if worker_id is None else self._engine.roster.connections.get(worker_id)
        if session is not None:
            time_ms = point.timestamp_unix_nano // 1_000_000
            session.gauges.record(name, point.value, time_ms, self._engine.clock.now())
