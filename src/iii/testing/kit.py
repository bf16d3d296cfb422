"""The test engine as tests hold it: an engine in this process, without a port, whose clock the test moves."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from iii.protocol.messages import Enqueue
from iii.sdk.decorator_form import with_known_options
from iii.sdk.requests import TriggerRequest
from iii.sdk.seen_as import seen_as
from iii.sdk.shared_data import StateScope, StreamGroup
from iii.sdk.type_form import Result, TypeForm
from iii.sdk.worker import Worker
from iii.testing.http import HttpAnswer, TestRequest
from iii.testing.life import Life
from iii.testing.orders import Orders
from iii.testing.settings import EngineSettings, module_configs
from iii.testing.traffic import CallRecord, Fate, Traffic
from iii.testing.workbench import Connectable

__tracebackhide__ = True  # of pytest: a failed test shows its own lines
BEGINS = datetime(2026, 1, 1, tzinfo=UTC)
DEADLINE_S = 5.0
_LONGEST_S = 100 * 366 * 86_400  # of one step of the clock: a time of day has four digits for its year


@seen_as("TestEngine")
class TestEngine(Life, Orders):
    """An engine with your apps, for one test: ``with TestEngine(app) as engine:``.

    It runs on an event loop of its own, on a thread, with all modules on memory. No port is opened and nothing is written.
    Methods return when everything that they set going has ended: subscribers, triggers, and calls that these make. Jobs
    wait for `run_jobs` or `advance`. Time stands still but for `advance` and `run_jobs`; only what a handler itself sleeps is real.
    Each method may be called from tests that are async too; those with `_async` do not block their event loop.

    Args:
        apps: each an `iii.App`, or anything with an async context manager `connect(address)`.
        begins: the time of day at first; the default is the first second of 2026.
        deadline_s: real seconds within which each step is to end; else it raises `Unfinished`.
        queues: settings of named queues, as in `queue_configs` of the engine's configuration file.
        hold_jobs: False lets jobs run as soon as they are enqueued, for handlers that wait for theirs.
        config: settings of modules by name, as `config` of the configuration file: ``{"iii-http": {"body_limit": 100}}``.
        folder: where state, streams and jobs are kept when the engine ends, for `restart` and for the next one with this folder.

    Raises:
        ValueError: a setting is wrong. Exception: what an app raises at its start.
    """

    __test__ = False  # a name that pytest would collect

    @with_known_options
    def __init__(
        self,
        *apps: Connectable,
        begins: datetime = BEGINS,
        deadline_s: float = DEADLINE_S,
        queues: Mapping[str, Mapping[str, Any]] | None = None,
        hold_jobs: bool = True,
        config: Mapping[str, Mapping[str, Any]] | None = None,
        folder: str | os.PathLike[str] | None = None,
    ) -> None:
        if not isinstance(begins, datetime):
            raise TypeError(f"begins takes a datetime, got {begins!r}")
        kept = None if folder is None else Path(folder)
        super().__init__(
            apps, EngineSettings(begins, deadline_s, queues or {}, hold_jobs, module_configs(config or {}), kept)
        )

    # -- what a test does -----------------------------------------------------------------------------------------

    def call(self, function_id: str, payload: Any = None, *, metadata: Any = None, namespace: str | None = None) -> Any:
        """Call a function; its result.

        Raises:
            InvocationError: it failed, with the handler's traceback below; FunctionNotFound names what there is.
            TriggerFailed: a function failed that this call has triggered.
            Unfinished: it, or what it set going, did not end in time.
        """
        return self.trigger(_request(function_id, payload, metadata, namespace))

    async def call_async(
        self, function_id: str, payload: Any = None, *, metadata: Any = None, namespace: str | None = None
    ) -> Any:
        """As `call`."""
        return await self.trigger_async(_request(function_id, payload, metadata, namespace))

    def trigger(self, request: TriggerRequest, *, returns: TypeForm[Result] = Any) -> Result:
        """As `Worker.trigger`; else as `call`."""
        found: Result = self._thread.run(self._running.trigger(request, returns))
        return found

    async def trigger_async(self, request: TriggerRequest, *, returns: TypeForm[Result] = Any) -> Result:
        """As `trigger`."""
        found: Result = await self._thread.run_async(self._running.trigger(request, returns))
        return found

    def publish(self, topic: str, data: Any, *, durable: bool = False) -> None:
        """Publish to the subscribers of a topic, and wait for them; `durable`: to `on_queue`, whose functions run as jobs."""
        self.call("iii::durable::publish" if durable else "publish", {"topic": topic, "data": data})

    async def publish_async(self, topic: str, data: Any, *, durable: bool = False) -> None:
        """As `publish`."""
        await self.call_async("iii::durable::publish" if durable else "publish", {"topic": topic, "data": data})

    def enqueue(
        self, function_id: str, payload: Any = None, *, queue: str = "default", delay_ms: int | None = None
    ) -> str:
        """Enqueue a job, which waits for `run_jobs`; the id of its receipt."""
        receipt: str = self.trigger(_job(function_id, payload, queue, delay_ms))["messageReceiptId"]
        return receipt

    async def enqueue_async(
        self, function_id: str, payload: Any = None, *, queue: str = "default", delay_ms: int | None = None
    ) -> str:
        """As `enqueue`."""
        receipt: str = (await self.trigger_async(_job(function_id, payload, queue, delay_ms)))["messageReceiptId"]
        return receipt

    def run_jobs(self, *, check: bool = True) -> list[CallRecord]:
        """Run jobs until none is left: those that wait, those that they enqueue, their retries, and those with a delay.

        The clock moves over pauses and delays; what else is due on the way happens too.

        Args:
            check: raise if jobs have failed for good.

        Returns:
            Each attempt, in the order in which they began.

        Raises:
            JobFailed: the attempts of a job are used up.
            FunctionNotFound: a job waits for a function that no worker serves.
        """
        return self._thread.run(self._running.run_jobs(check))

    async def run_jobs_async(self, *, check: bool = True) -> list[CallRecord]:
        """As `run_jobs`."""
        return await self._thread.run_async(self._running.run_jobs(check))

    def request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, Any] | None = None,
    ) -> HttpAnswer:
        """Make an HTTP request to a route; the answer, whatever its status. Raises ConnectionError: it was cut off."""
        return self._thread.run(self._running.request(TestRequest.of(method, path, json, body, headers, query)))

    async def request_async(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, Any] | None = None,
    ) -> HttpAnswer:
        """As `request`."""
        return await self._thread.run_async(
            self._running.request(TestRequest.of(method, path, json, body, headers, query))
        )

    def settle(self) -> None:
        """Wait until everything has ended that is going on: what other workers of this process have called, for example.

        Raises:
            TriggerFailed: a function failed that something has triggered.
            Unfinished: not all of it ended in time.
        """
        self._thread.run(self._running.settle())

    async def settle_async(self) -> None:
        """As `settle`."""
        await self._thread.run_async(self._running.settle())

    def state(self, scope: str) -> StateScope:
        """As `Worker.state`; triggers of what it changes have ended when a method returns."""
        return StateScope(self, scope)

    def stream(self, stream_name: str, group_id: str) -> StreamGroup:
        """As `Worker.stream`; triggers of what it changes have ended when a method returns."""
        return StreamGroup(self, stream_name, group_id)

    # -- time -----------------------------------------------------------------------------------------------------

    @property
    def now(self) -> datetime:
        """The time of day, in UTC."""
        return datetime.fromtimestamp(self._running.clock.time_ms() / 1000, UTC)

    def advance(self, by: float | timedelta) -> None:
        """Let seconds pass: cron jobs, delays, retries and what expires happen in their order, each to its end, and jobs run.

        What happens costs its real time: a cron of every second some 20 s a day.
        """
        self._thread.run(self._running.advance(_seconds(by)))

    async def advance_async(self, by: float | timedelta) -> None:
        """As `advance`."""
        await self._thread.run_async(self._running.advance(_seconds(by)))

    # -- what is to go wrong --------------------------------------------------------------------------------------

    def lose_workers(self, name: str | None = None) -> None:
        """All workers, or those of one name, die and stay away until `return_workers`. Raises LookupError: there is none."""
        self._thread.run(self._running.lose_workers(name))

    def return_workers(self) -> None:
        """Workers that stay away come back."""
        self._thread.run(self._running.return_workers())

    def restart(self) -> None:
        """Another engine takes the place of this one; workers connect again. The clock goes on.

        There is nothing in its stores, unless a `folder` keeps them.
        """
        self._thread.run(self._running.restart())

    # -- what happened --------------------------------------------------------------------------------------------

    def calls(self, function_id: str | None = None) -> list[CallRecord]:
        """What workers were called with and what they answered, oldest first; of one function, or of all."""
        calls = list(self._running.traffic.calls)
        return [call for call in calls if function_id in (None, call.function_id)]

    @property
    def worker(self) -> Worker:
        """The test's own worker, connected to the engine: it can serve functions that your code calls in others' workers.

        ``@engine.worker.function("payments::charge")`` stands in for one.
        """
        return self._running.client

    # -- behind the doors -----------------------------------------------------------------------------------------

    def _plan(self, function_id: str, fate: Callable[[Traffic], Fate]) -> None:
        traffic = self._running.traffic

        async def plan() -> None:
            traffic.plan(function_id, fate(traffic))

        self._thread.run(plan())


def _request(function_id: str, payload: Any, metadata: Any, namespace: str | None) -> TriggerRequest:
    return {"function_id": function_id, "payload": payload, "metadata": metadata, "namespace": namespace}


def _job(function_id: str, payload: Any, queue: str, delay_ms: int | None) -> TriggerRequest:
    return {"function_id": function_id, "payload": payload, "action": Enqueue(queue, delay_ms)}


def _seconds(by: float | timedelta) -> float:
    """Raises ValueError: time does not go back, or so far. TypeError: this is no time."""
    if not isinstance(by, int | float | timedelta):
        raise TypeError(f"advance() takes seconds or a timedelta, got {by!r}")
    seconds = by.total_seconds() if isinstance(by, timedelta) else by
    if not seconds >= 0:
        raise ValueError(f"time does not go back: advance() takes seconds from 0 on, got {by!r}")
    if seconds > _LONGEST_S:
        raise ValueError(f"advance() takes at most {_LONGEST_S} seconds, a hundred years, got {by!r}")
    return seconds
