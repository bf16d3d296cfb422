"""How full queues were in the last hour, and how old their jobs (13 §10)."""

from __future__ import annotations

import asyncio
from array import array
from collections import deque
from math import isnan, nan
from typing import TYPE_CHECKING

from iii.engine.builtin import builtin
from iii.modules.queue.levels import QueueLevel
from iii.modules.queue.requests import Past, PastInput
from iii.protocol.limits import MEASURED_QUEUES, QUEUE_SAMPLES
from iii.storage.items import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from iii.engine.clock import Timer
    from iii.engine.engine import Engine
    from iii.modules.queue.adapter import QueueAdapter

SAMPLE_S = 10.0
_REST = 200  # times as long as the last look took: a large store, or a slow broker, is not kept busy with it
_FIELDS = ("waiting", "running", "delayed", "dead")
_WIDTH = len(_FIELDS) + 1  # and the age of the oldest
_Sample = tuple[float, ...]
_EMPTY: _Sample = (0.0,) * _WIDTH


class LevelHistory:
    """A sample each ten seconds, of queues that have or had something; those that never had cost nothing.

    They follow the event loop's time and not the engine's clock: a test that moves that by years does not wait for them.
    """

    def __init__(
        self,
        engine: Engine,
        adapter: QueueAdapter,
        call_later: Callable[[float, Callable[[], None]], Timer] | None = None,
    ) -> None:
        """`call_later`: None: of the running event loop."""
        self._engine = engine
        self._adapter = adapter
        self._call_later = call_later
        self._at: deque[int] = deque(maxlen=QUEUE_SAMPLES)
        self._queues: dict[str, array[float]] = {}  # samples of each, the latest last; before them it was empty
        self._all: deque[_Sample] = deque(maxlen=QUEUE_SAMPLES)  # of all together: adding up 250 takes 70 ms
        self._timer: Timer | None = None

    def begin(self) -> None:
        if self._engine.spawn is not None:  # else nobody could look
            self._look_in(SAMPLE_S)

    def end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look_in(self, wait_s: float) -> None:
        call_later = self._call_later or asyncio.get_running_loop().call_later
        self._timer = call_later(wait_s, self._due)

    def _due(self) -> None:
        assert self._engine.spawn is not None  # since it has begun
        self._engine.spawn(self._look())

    async def _look(self) -> None:
        clock = self._engine.clock
        began = clock.now()
        try:
            self.note(clock.time_ms(), await self._adapter.levels())
        except StoreError:
            pass  # its log tells of it; the sample is missing
        finally:
            if self._timer is not None:
                self._look_in(max(SAMPLE_S, _REST * (clock.now() - began)))

    def note(self, now_ms: int, levels: Iterable[QueueLevel]) -> None:
        """One more sample."""
        found = _by_name(levels, now_ms)
        self._at.append(now_ms)
        self._all.append(_sum(found.values()))
        for name, sample in found.items():
            if name not in self._queues and any(sample) and len(self._queues) < MEASURED_QUEUES:
                self._queues[name] = array("d")
        for name, values in list(self._queues.items()):
            values.extend(found.get(name, _EMPTY))
            if len(values) > QUEUE_SAMPLES * _WIDTH:
                del values[:_WIDTH]
                if not any(values):
                    del self._queues[name]

    @builtin("engine::queue::history", spec="13 §10")
    async def history(self, request: PastInput) -> Past:
        """Jobs of a queue or topic by state in the last hour, and how old the oldest was"""
        now_ms = self._engine.clock.time_ms()
        now = _by_name(await self._adapter.levels(), now_ms)
        if request.queue is None:
            past, latest = list(self._all), _sum(now.values())
        else:
            past, latest = self._padded(request.queue), now.get(request.queue, _EMPTY)
        return _columns([*self._at, now_ms], [*past, latest])

    def _padded(self, name: str) -> list[_Sample]:
        """As many samples as there are times."""
        values = self._queues.get(name, array("d"))
        samples = [tuple(values[index : index + _WIDTH]) for index in range(0, len(values), _WIDTH)]
        return [*[_EMPTY] * (len(self._at) - len(samples)), *samples]


def _by_name(levels: Iterable[QueueLevel], now_ms: int) -> dict[str, _Sample]:
    """A topic has one level for each destination."""
    found: dict[str, QueueLevel] = {}
    for level in levels:
        found.setdefault(level.name, QueueLevel(name=level.name)).add(level)
    return {name: _sample(level, now_ms) for name, level in found.items()}


def _sample(level: QueueLevel, now_ms: int) -> _Sample:
    counts = (getattr(level, field) for field in _FIELDS)
    age_s = nan if not level.dated else 0.0 if level.oldest_ms is None else max(now_ms - level.oldest_ms, 0) / 1000
    return (*(nan if count is None else float(count) for count in counts), age_s)


def _sum(samples: Iterable[_Sample]) -> _Sample:
    """Of counts the sum, of ages the highest; what is not known does not count."""
    columns = [[value for value in column if not isnan(value)] for column in zip(*samples, strict=True)]
    if not columns:
        return _EMPTY
    return (*map(float, map(sum, columns[:-1])), max(columns[-1], default=nan))


def _columns(at: list[int], samples: list[_Sample]) -> Past:
    *counts, ages = zip(*samples, strict=True)
    waiting, active, delayed, dead = ([None if isnan(value) else int(value) for value in column] for column in counts)
    oldest = [None if isnan(age) else round(age, 3) for age in ages]
    return Past(at=at, waiting=waiting, active=active, delayed=delayed, dead=dead, oldest_age_s=oldest)
