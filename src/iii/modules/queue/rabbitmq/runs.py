"""What has been delivered to this engine: it runs, or waits here for its function or its time (04 §5, §6)."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

from iii.engine.engine import Engine
from iii.engine.functions import Function
from iii.modules.queue.codes import DISPATCH_TIMEOUT
from iii.modules.queue.consume.attempt import Attempt, BeginSpan
from iii.modules.queue.consume.consumer import STOP_OVERDUE, STOP_S
from iii.modules.queue.jobs.job import Failure
from iii.modules.queue.jobs.target import Target
from iii.modules.queue.rabbitmq.broker import Delivery
from iii.protocol.log_event import LogEvent
from iii.protocol.task_set import TaskSet

SETTLE_FAILED = LogEvent(
    __name__, "rabbitmq.settle_failed", logging.ERROR, "Message not acknowledged: the engine itself failed; it is redelivered",
    means="The engine raised when it told the broker the outcome of a message.",
    do="Report it with its stack trace.",
)  # fmt: skip
TASK_FAILED = LogEvent(
    __name__, "rabbitmq.task_failed", logging.ERROR, "Background task of the rabbitmq adapter failed",
    means="The engine raised while it published, subscribed or unsubscribed.",
    do="Report it with its stack trace.",
)  # fmt: skip

AGAIN_S = 1.0  # after the broker refused something

Ended = Callable[[Failure | None], Coroutine[Any, Any, None]]


class Runs:
    """A delivery whose channel is lost is let go of: the broker gives it to somebody again."""

    def __init__(self, engine: Engine) -> None:
        self.delivered: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.retries: Counter[str] = Counter()
        self.dead_letters: Counter[str] = Counter()
        self.stopping = False
        self._engine = engine
        self._running: dict[Attempt, str] = {}
        self._held: dict[Delivery, tuple[Callable[[], bool], Callable[[], None]]] = {}
        self._tasks = TaskSet(TASK_FAILED)
        self._settled = asyncio.Event()

    def open(self) -> None:
        self._engine.functions.changes.subscribe(self._functions_changed)

    async def quiet(self) -> None:
        """Nothing more begins; what runs has 5 s, the rest is delivered again."""
        self.stopping = True
        self._engine.functions.changes.unsubscribe(self._functions_changed)
        self.give_back_held(set(self._held))
        try:
            async with asyncio.timeout(STOP_S):
                while self._running or self._tasks:
                    self._settled.clear()
                    await self._settled.wait()
        except TimeoutError:
            STOP_OVERDUE(jobs=len(self._running), limit_s=STOP_S)
        for attempt in list(self._running):
            attempt.withdraw()
        self._running.clear()

    async def close(self) -> None:
        self._tasks.cancel()
        await self._tasks.wait()

    def in_flight(self, name: str) -> int:
        return sum(each == name for each in self._running.values())

    def run(
        self,
        name: str,
        target: Target,
        trace: tuple[str | None, str | None],
        delivery: Delivery,
        data: bytes,
        limit_ms: int,
        ended: Ended,
        begin_span: BeginSpan,
        begin_again: Callable[[], None] | None = None,
    ) -> None:
        """One attempt; `ended` settles it, or it may `begin_again`: its target left while its condition was asked (P12)."""
        clock = self._engine.clock

        def over() -> bool:
            timer.cancel()
            return self._running.pop(attempt, None) is not None

        def done(failure: Failure | None) -> None:
            if not over():
                return
            if failure is not None:
                self.failed[name] += 1
            self.settle(delivery, ended(failure))

        def overdue() -> None:
            attempt.fail(Failure(DISPATCH_TIMEOUT.code, f"no result within {limit_ms} ms"))

        def lost() -> None:
            attempt.withdraw()
            over()
            self._settled.set()

        def taken_back() -> bool:
            if begin_again is None or self._engine.functions.find(target.function_id, target.namespace) is not None:
                return False
            lost()
            begin_again()
            return True

        attempt = Attempt(self._engine, target, *trace, done)
        if target.condition is not None:
            attempt.taken_back = taken_back
        timer = clock.call_at(clock.now() + limit_ms / 1000, overdue)
        self._running[attempt] = name
        delivery.on_lost = lost
        self.delivered[name] += 1
        attempt.record(begin_span)
        attempt.run(data)

    def hold(self, delivery: Delivery, present: Callable[[], bool], resume: Callable[[], None]) -> None:
        """Until a function is there."""
        self._held[delivery] = (present, resume)
        delivery.on_lost = lambda: self._held.pop(delivery, None)  # type: ignore[assignment]

    def give_back_held(self, deliveries: set[Delivery]) -> None:
        """Nobody here wants them any more."""
        for delivery in deliveries:
            if self._held.pop(delivery, None) is not None:
                self.settle(delivery, delivery.give_back())

    def later(self, delivery: Delivery, seconds: float, resume: Callable[[], None]) -> None:
        """In a while, unless it is lost or the engine stops until then."""

        def due() -> None:
            if not self.stopping and not delivery.over:
                resume()

        clock = self._engine.clock
        timer = clock.call_at(clock.now() + seconds, due)
        delivery.on_lost = timer.cancel

    def settle(self, delivery: Delivery, work: Coroutine[Any, Any, None]) -> None:
        """Whatever goes wrong, a delivery never keeps its place for good."""

        async def settled() -> None:
            try:
                await work
            except Exception as error:
                SETTLE_FAILED(error)
                await asyncio.sleep(AGAIN_S)
                await delivery.give_back()

        self.start(settled())

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """What a stop waits for."""
        task = self._tasks.spawn(work)
        task.add_done_callback(lambda _: self._settled.set())
        return task

    def _functions_changed(self, previous: Function | None, current: Function | None) -> None:
        if current is None:
            return
        for delivery, (present, resume) in list(self._held.items()):
            if present():
                del self._held[delivery]
                resume()
