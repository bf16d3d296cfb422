"""Schedules of clients that have no triggers: observers of `cron::on-tick`, one job for each expression (26 §4)."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta, Struct

from iii.engine.bindings import Binding
from iii.engine.observing.source import EventSource
from iii.engine.schema import json_schema, late_schema
from iii.modules.cron.job import CronEvent, CronJob, CronTriggerConfig
from iii.protocol.cron_expression import Expression, InvalidExpression
from iii.protocol.errors import ErrorCode
from iii.protocol.quoted import shortened

if TYPE_CHECKING:
    from iii.engine.engine import Engine
    from iii.engine.observing.observer import Observer
    from iii.modules.cron.locks import Decided, Tick
    from iii.protocol.cron_expression import DayOfWeek

ON_TICK = "cron::on-tick"
INVALID_CRON_EXPRESSION = ErrorCode(
    "INVALID_CRON_EXPRESSION",
    means="An observer of `cron::on-tick` has an expression that is not a cron expression.",
    do="Correct what the text names.",
)


class OnTickArgs(Struct, forbid_unknown_fields=True, kw_only=True):
    """A schedule."""

    expression: Annotated[str, Meta(description="Cron expression, in UTC.")]


class OnTickEvent(CronEvent, kw_only=True):
    """What observers get."""

    expression: str


class ObservedTicks:
    """The host of `cron::on-tick`. Every engine ticks for its own observers."""

    def __init__(self, engine: Engine, day_of_week: DayOfWeek, look_again_s: float) -> None:
        """`look_again_s`: as of `CronJob`."""
        self.source = EventSource(
            ON_TICK,
            "A schedule is due: each observer names one.",
            request_format=late_schema(OnTickEvent),
            args_format=json_schema(OnTickArgs),
            host=self,
        )
        self._engine = engine
        self._day_of_week = day_of_week
        self._look_again_s = look_again_s
        self._jobs: dict[str, _ObservedJob] = {}  # by expression
        self._observers: dict[str, dict[str, None]] = {}  # by expression
        self._expressions: dict[str, str] = {}  # by observer
        self._stopped = False

    def take(self, observer: Observer) -> None:
        """Raises InvocationError: the expression is none."""
        text = msgspec.convert(observer.decoded_args, OnTickArgs).expression
        try:
            expression = Expression(text, UTC, self._day_of_week)
        except InvalidExpression as error:
            raise INVALID_CRON_EXPRESSION(f"'{shortened(text)}': {error}") from None
        self.let_go(observer)
        self._expressions[observer.id] = text
        ids = self._observers.setdefault(text, {})
        ids[observer.id] = None
        if text not in self._jobs and not self._stopped:
            job = self._jobs[text] = _ObservedJob(self._engine, self.source, text, expression, ids, self._look_again_s)
            job.start()

    def let_go(self, observer: Observer) -> None:
        text = self._expressions.pop(observer.id, None)
        if text is None:
            return
        ids = self._observers[text]
        del ids[observer.id]
        if not ids:
            del self._observers[text]
            self._jobs.pop(text).stop()

    def changed(self, observer: Observer) -> None:
        """One that does not deliver misses its ticks."""

    def stop(self) -> None:
        """No further tick."""
        self._stopped = True
        for job in self._jobs.values():
            job.stop()


class _ObservedJob(CronJob):
    """One expression, for all that observe it."""

    def __init__(
        self,
        engine: Engine,
        source: EventSource,
        text: str,
        expression: Expression,
        observers: Collection[str],
        look_again_s: float,
    ) -> None:
        binding, config = Binding(text, "cron", ON_TICK), CronTriggerConfig(expression=text)
        super().__init__(engine, binding, config, expression, _Unlocked(), look_again_s)
        self._source = source
        self._text = text
        self._observers = observers

    def _run(self, payload: bytes) -> None:
        if self._source.observed:
            event = payload[:-1] + b',"expression":%b}' % msgspec.json.encode(self._text)
            self._source.fire(event, only=self._observers)
        self._end_tick()


class _Unlocked:
    """Nobody shares these ticks."""

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    def acquire(self, tick: Tick, decided: Decided) -> None:
        decided(True)

    def release(self, job_id: str) -> None: ...
