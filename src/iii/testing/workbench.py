"""A test engine and what is connected to it, on one event loop: everything that a test does passes here."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from math import inf
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from iii.engine.builtin import BUILTIN_FAILED
from iii.protocol.close_codes import CloseCode
from iii.protocol.errors import FunctionNotFound, InvocationError
from iii.protocol.names import DEFAULT_NAMESPACE
from iii.protocol.suggestion import did_you_mean
from iii.protocol.task_set import TaskSet
from iii.sdk.connecting import connect_worker
from iii.sdk.in_process import SCHEME, engines
from iii.sdk.options import InitOptions
from iii.testing.clock import StandingClock
from iii.testing.entrance import TEST_NAME, Entrance
from iii.testing.failures import JobFailed, TriggerFailed, Unfinished, add_traceback
from iii.testing.http import HttpAnswer, TestRequest
from iii.testing.job_runs import JobRuns
from iii.testing.memory_channels import open_end
from iii.testing.memory_ends import WorkerEnd
from iii.testing.modules import Modules
from iii.testing.patience import LOOK_S, Patience
from iii.testing.traffic import CallRecord, Traffic

if TYPE_CHECKING:
    from iii.sdk.backlog import Backlog
    from iii.sdk.in_process import ChannelConnection, ChannelHandler, ClientBox, ClientLink
    from iii.sdk.requests import TriggerRequest
    from iii.sdk.worker import Worker
    from iii.testing.settings import EngineSettings

__tracebackhide__ = True  # of pytest: a failed test shows its own lines
T = TypeVar("T")
_numbers = itertools.count(1)
_SHOWN = 5
_STOP_S = 1.0
_GIVEN_UP_S = 0.2


class Connectable(Protocol):
    """An `iii.App`, or whatever else connects to an engine by its address."""

    def connect(self, address: str) -> AbstractAsyncContextManager[object]: ...


class Workbench:
    """Made, opened and closed on its loop.

    Attributes:
        address: under which workers of this process reach the engine.
        client: the test's own worker.
    """

    client: Worker

    def __init__(self, settings: EngineSettings) -> None:
        self._loop = asyncio.get_running_loop()
        self.address = f"{SCHEME}test-engine-{next(_numbers)}"
        self.clock = StandingClock(self._loop, settings.begins)
        self.traffic = Traffic(self._loop)
        self.entrance = Entrance(lambda end: self.modules.engine.connect(end), self.traffic)
        self._settings = settings
        self._tasks = TaskSet(BUILTIN_FAILED)
        self._patience = Patience(self.clock, self.traffic, self.entrance, self._tasks, settings.deadline_s)
        self._connected = AsyncExitStack()
        self.modules = Modules(self.clock, self._spawn, self.traffic, settings)
        self._jobs: JobRuns

    # -- its life -------------------------------------------------------------------------------------------------

    async def open(self, apps: Sequence[Connectable]) -> None:
        """Start the engine, and connect the test's worker and the apps. Raises what an app raises at its start."""
        engines[self.address] = self
        try:
            await self.modules.start()
            named = InitOptions(worker_name=TEST_NAME)
            self.client = await self._connected.enter_async_context(connect_worker(self.address, named))
            self._jobs = JobRuns(self.client)
            await self._define_queues()
            for app in apps:
                started = self._connected.enter_async_context(app.connect(self.address))
                await self._patience.in_time(started, "the start of an app")
            await self._patience.settle()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Disconnect everybody, then stop the engine. Raises what an app raises at its end, and Unfinished."""
        try:
            await self._disconnect()
        finally:
            del engines[self.address]
            self.entrance.dismiss(CloseCode.SERVICE_RESTART)
            self.entrance.refuse_waiting()
            await self.modules.stop()
            self._tasks.cancel()
            await self._tasks.wait(_STOP_S)

    async def _disconnect(self) -> None:
        """Apps drain; one whose handler is known not to end has little time for that, and the test was told already."""
        limit_s = min(_GIVEN_UP_S, self._settings.deadline_s) if self._patience.gave_up else self._settings.deadline_s
        gave_up = self._patience.gave_up
        try:
            await self._patience.in_time(self._connected.aclose(), "The end of the apps", limit_s)
        except Unfinished:
            if not gave_up:
                raise

    async def restart(self) -> None:
        """Stop the engine and start another one, with what a folder keeps of its stores; workers reconnect."""
        self.entrance.dismiss(CloseCode.SERVICE_RESTART)
        await self.modules.stop()
        self.modules = Modules(self.clock, self._spawn, self.traffic, self._settings)
        await self.modules.start()
        self.entrance.open()
        await self._patience.settle()
        await self._define_queues()

    async def _define_queues(self) -> None:
        for name, config in self._settings.queues.items():
            await self.client.trigger_async(
                {"function_id": "queue::define", "payload": {"queue": name, "config": dict(config)}}
            )

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._tasks.spawn(work)
        task.add_done_callback(lambda _: self.traffic.changed.set())
        return task

    def link(
        self,
        connected: Callable[[ClientLink, ClientBox], None],
        received: Callable[[bytes], None],
        disconnected: Callable[[ClientLink, ClientBox, str], None],
        backlog: Backlog,
        call_soon: Callable[[Callable[[], None]], object],
    ) -> ClientLink:
        """As `EngineHere`."""
        return WorkerEnd(self._loop, self.traffic, self.entrance.admit, connected, received, disconnected, call_soon)

    async def open_channel(
        self, channel_id: str, access_key: str, direction: str, handler: ChannelHandler
    ) -> ChannelConnection | None:
        """As `EngineHere`."""
        return await open_end(
            self._loop, lambda: self.modules.engine.channels, channel_id, access_key, direction, handler
        )

    # -- what a test does -----------------------------------------------------------------------------------------

    async def settle(self) -> None:
        """See `TestEngine.settle`."""
        await self._patience.settle()

    async def trigger(self, request: TriggerRequest, returns: Any = Any) -> Any:
        """Call a function; then everything that this set going."""
        function_id = request.get("function_id")
        try:
            called = self._until_given_up(self.client.trigger_async(request, returns=returns))
            result = await self._patience.in_time(called, f"the call of {function_id}")
        except InvocationError as error:
            if isinstance(error, FunctionNotFound):
                self._add_known_functions(error)
            add_traceback(error, error.function_id, error.stacktrace)
            try:
                await self._patience.settle()
            except TriggerFailed as also:
                error.add_note(f"and what it had triggered: {also}")
            raise
        await self._patience.settle()
        return result

    async def request(self, call: TestRequest) -> HttpAnswer:
        """Make a request; then everything that this set going."""
        made = call.make(self.modules.http.application)
        answer = await self._patience.in_time(made, f"the request {call.method} {call.target}")
        await self._patience.settle()
        return answer

    async def advance(self, seconds: float) -> None:
        """Let time pass, from one thing that is due to the next; each ends before the next begins. Jobs run."""
        until = self.clock.now() + seconds
        with self.modules.jobs.released():
            await self._patience.settle()
            while self._pass_time(until):
                await self._patience.settle()
            self.clock.advance(max(0.0, until - self.clock.now()))
            await self._patience.settle()

    async def run_jobs(self, check: bool) -> list[CallRecord]:
        """See `TestEngine.run_jobs`."""
        return await self._patience.in_time(self._run_jobs(check), "running the jobs")

    async def _run_jobs(self, check: bool) -> list[CallRecord]:
        begun = self.traffic.begun
        with self.modules.jobs.released():
            await self._patience.settle()
            while await self._jobs.are_delayed() or self.traffic.hanging:
                if not self._pass_time():
                    break
                await self._patience.settle()
        dead = await self._jobs.newly_dead()
        if check and dead:
            raise JobFailed(dead)
        if check and self._jobs.waiting_for:
            missing = FunctionNotFound(self._jobs.waiting_for[0], DEFAULT_NAMESPACE)
            self._add_known_functions(missing)
            raise missing
        return [call for call in self.traffic.since(begun) if call.is_job]

    async def lose_workers(self, name: str | None) -> None:
        """See `TestEngine.lose_workers`."""
        self.entrance.close()
        try:
            self.entrance.cut(name)
        except LookupError:
            self.entrance.open()
            raise
        await self._patience.settle()

    async def return_workers(self) -> None:
        """See `TestEngine.return_workers`."""
        self.entrance.open()
        await self._patience.settle()

    async def _until_given_up(self, call: Coroutine[Any, Any, T]) -> T:
        """A call; while one hangs that it may be waiting for, time passes until somebody gives up."""
        task = asyncio.ensure_future(call)
        try:
            while not task.done():
                begun = self.traffic.begun
                await asyncio.wait((task,), timeout=LOOK_S)
                if self.traffic.hanging and self.traffic.begun == begun and not task.done():
                    self._pass_time()
            return task.result()
        finally:
            task.cancel()

    def _pass_time(self, until: float = inf) -> bool:
        """Move the clock to what is due next, if that is not later than `until`; False: it is, or nothing is due."""
        due = self.clock.next_due()
        if due is None or due > until:
            return False
        self.clock.advance(max(0.0, due - self.clock.now()))
        return True

    def _add_known_functions(self, error: FunctionNotFound) -> None:
        known = sorted({function.id for function in self.modules.engine.functions if not function.owner.in_process})
        hint = did_you_mean(error.function_id or "", known, "did you mean '{}'? ")
        shown = ", ".join(known[:_SHOWN]) + (", …" if len(known) > _SHOWN else "")
        error.add_note(f"{hint}Workers of this test serve: {shown or 'nothing'}")
