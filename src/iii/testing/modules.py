"""An engine with every module on memory and without a port, on the running event loop."""

from __future__ import annotations

import copy
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from math import inf
from typing import TYPE_CHECKING, Any

from iii.engine.engine import Engine, EngineOptions
from iii.engine.engine_functions import EngineFunctions
from iii.engine.invocation import Invocation
from iii.engine.router import Router
from iii.modules.configuration.folder import ConfigurationFolder, Signature
from iii.modules.configuration.module import Configuration
from iii.modules.cron.module import Cron
from iii.modules.http.away_routes import RememberedRoutes
from iii.modules.http.config import HttpConfig
from iii.modules.http.module import Http
from iii.modules.observability.module import Observability
from iii.modules.pubsub.module import PubSub
from iii.modules.queue.config import BuiltinConfig, QueueConfig
from iii.modules.queue.consume.attempt import JOB_EXHAUSTED, JOB_FAILED
from iii.modules.queue.embedded.adapter import BuiltinAdapter
from iii.modules.queue.jobs.schema import MIGRATIONS
from iii.modules.queue.jobs.steady import SteadyTime
from iii.modules.queue.jobs.store import JobStore
from iii.modules.queue.module import IN_MEMORY as JOBS_IN_MEMORY
from iii.modules.queue.module import Queue
from iii.modules.state.config import StateConfig
from iii.modules.state.module import State
from iii.modules.stream.config import StreamConfig
from iii.modules.stream.module import Streams
from iii.protocol.errors import ConnectionClosing
from iii.protocol.log_event import LogEvent
from iii.protocol.versions import PACKAGE_VERSION
from iii.storage.adapter import IN_MEMORY
from iii.testing.kept import KeptDatabase, KeptItems

if TYPE_CHECKING:
    from pathlib import Path

    from iii.testing.clock import StandingClock
    from iii.testing.settings import EngineSettings
    from iii.testing.traffic import Traffic

FINISH_S = 1.0  # for HTTP requests that are at work at the end of a test


class JobRouter(Router):
    """The router as the queue sees it: calls of jobs wait until they are released."""

    def __init__(self, engine: Engine, traffic: Traffic, holds: bool) -> None:
        super().__init__(engine.functions, engine.registry.expected, engine.router.deadlines, engine.router.tallies)
        self._traffic = traffic
        self._releases = 0 if holds else 1
        self._refuses = False
        self._waiting: deque[Invocation] = deque()

    def refuse(self) -> None:
        """The engine stops: jobs that wait here do not run any more."""
        self._refuses = True
        for invocation in self._waiting:
            invocation.refuse(ConnectionClosing())
        self._waiting.clear()

    def invoke(self, invocation: Invocation) -> None:
        if self._refuses:
            invocation.refuse(ConnectionClosing())
            return
        if not self._releases:
            self._waiting.append(invocation)
            return
        self._traffic.next_is_job = True
        try:
            super().invoke(invocation)
        finally:
            self._traffic.next_is_job = False

    @contextmanager
    def released(self) -> Iterator[None]:
        """Jobs run meanwhile."""
        self._releases += 1
        try:
            while self._waiting:
                invocation = self._waiting.popleft()
                if invocation.waiter is not None:  # the queue still wants to know
                    self.invoke(invocation)
            yield
        finally:
            self._releases -= 1


class _NothingRemembered(RememberedRoutes):
    def changed(self) -> None:
        """There is no next start."""


class _Http(Http):
    """Without a port: requests are given to its application."""

    def __init__(self, engine: Engine, config: HttpConfig | None) -> None:
        super().__init__(engine, config)
        self._remembered = _NothingRemembered("", list)

    async def start(self) -> None:
        """Nothing is opened."""

    async def quiet(self) -> None:
        await self.application.finish(FINISH_S)


class _NoFolder(ConfigurationFolder):
    def write(self, name: str, content: bytes) -> Signature:
        """Entries are kept in memory alone."""
        return (0, 0, len(content), 0)

    def remove(self, name: str) -> None:
        """There is no file."""


class _Configuration(Configuration):
    """Without files."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.entries.folder = _NoFolder(self.entries.folder.path)

    async def start(self) -> None:
        """Nothing is stored."""


class _Cron(Cron):
    """Nobody sets the clock of a test, which is thousands of looks at it in a year."""

    look_again_s = inf


class _State(State):
    """In memory, and in a file between two engines, if there is a folder."""

    def __init__(self, engine: Engine, config: StateConfig | None, file: Path | None) -> None:
        super().__init__(engine, config)
        self._kept = KeptItems(self.items, file)

    async def start(self) -> None:
        await super().start()
        self._kept.load()

    def save(self) -> None:
        self._kept.save()


class _Streams(Streams):
    """The same, and without a port: who follows a stream is a worker."""

    def __init__(self, engine: Engine, config: StreamConfig | None, file: Path | None) -> None:
        super().__init__(engine, config)
        self._kept = KeptItems(self.items, file)

    async def start(self) -> None:
        await self.items.open()
        self._kept.load()

    async def stop(self) -> None:
        await self.items.close()

    def save(self) -> None:
        self._kept.save()


class _Queue(Queue):
    """The same."""

    remedy = "name it in `TestEngine(queues={…})`, or in the fixture `iii_options`"

    def __init__(self, engine: Engine, config: QueueConfig | None, file: Path | None) -> None:
        super().__init__(engine, config)
        self._kept = None if file is None else KeptDatabase(MIGRATIONS, file)
        if (kept := self._kept) is not None:
            store = JobStore(lambda rolled_back: kept, SteadyTime(engine.clock))
            self.adapter = BuiltinAdapter(engine, store, self.config, BuiltinConfig())

    def save(self) -> None:
        if self._kept is not None:
            self._kept.save()


@contextmanager
def _silent(*events: LogEvent) -> Iterator[None]:
    """Log nothing of these events: that a store is lost at the end is just what a test wants."""
    names = {event.name for event in events}
    loggers = {logging.getLogger(event.source) for event in events}

    def passes(record: logging.LogRecord) -> bool:
        return record.__dict__.get("event") not in names

    for each in loggers:
        each.addFilter(passes)
    try:
        yield
    finally:
        for each in loggers:
            each.removeFilter(passes)


class Modules:
    """One engine, from its start to its stop.

    Attributes:
        engine: the core.
        http: where requests are made.
        jobs: what lets jobs run.
    """

    def __init__(
        self,
        clock: StandingClock,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        traffic: Traffic,
        settings: EngineSettings,
    ) -> None:
        self.engine = Engine(clock, EngineOptions(version=PACKAGE_VERSION), spawn)
        self.jobs = JobRouter(self.engine, traffic, settings.hold_jobs)
        engine_of_queue = copy.copy(self.engine)  # the same one, but for its calls
        engine_of_queue.router = self.jobs
        configs: Any = settings.configs
        self.http = _Http(self.engine, configs.get(Http.name))
        with _silent(IN_MEMORY, JOBS_IN_MEMORY):
            self._stores: list[_State | _Streams | _Queue] = [
                kind(engine, configs.get(kind.name), settings.folder and settings.folder / kind.name)
                for kind, engine in ((_State, self.engine), (_Streams, self.engine), (_Queue, engine_of_queue))
            ]
        others = [kind(self.engine, configs.get(kind.name)) for kind in (Observability, PubSub, _Cron)]
        modules = (EngineFunctions(self.engine), _Configuration(self.engine), *others)
        self._modules = [*modules, *self._stores, self.http]

    async def start(self) -> None:
        for module in self._modules:
            self.engine.add_module(module)
        for module in self._modules:
            await module.start()

    async def stop(self) -> None:
        for store in self._stores:
            store.save()  # before jobs that wait here fail
        with _silent(JOB_FAILED, JOB_EXHAUSTED):
            self.jobs.refuse()
            for module in self._modules:
                await module.quiet()
        for module in self._modules:
            await module.stop()
