"""The engine process: boots in order, runs until a signal, stops in order (L3, L4)."""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

from iii.engine.builtin import BUILTIN_FAILED
from iii.engine.engine import Engine, EngineOptions
from iii.engine.engine_functions import EngineFunctions
from iii.engine.module import Module
from iii.net.descriptors import HOW_TO_RAISE, LEAST, limit, raise_limit, shortage
from iii.net.system_signals import end_at_once, end_by
from iii.protocol.log_event import LogEvent
from iii.protocol.log_level import level_in_force
from iii.protocol.start_failure import StartFailure
from iii.protocol.task_set import TaskSet
from iii.protocol.versions import PACKAGE_VERSION
from iii.server import log
from iii.server.catalogue import ENGINE_FUNCTIONS
from iii.server.clock import LoopClock
from iii.server.config_file import DEFAULT_PORT, ModuleEntry, ServerConfig, refuse_one_port_twice
from iii.server.engine_functions_config import EngineFunctionsConfig
from iii.server.worker_manager import WorkerManager

CONFIGURATION_QUESTIONABLE = LogEvent(
    "iii.server.config_file", "configuration.questionable", logging.WARNING, "Configuration is probably not what was meant",
    means="A part of the configuration was accepted with a doubt; `warning` names file, line and key.",
    do="Correct that place of the file.",
)  # fmt: skip
ENGINE_READY = LogEvent(
    __name__,
    "engine.ready",
    logging.INFO,
    "Engine ready",
    means="All modules run and all ports are open; shows version and settings.",
)
PORT_NOT_DEFAULT = LogEvent(
    __name__, "worker_port.not_default", logging.INFO,
    "Worker port is not the default one: Python SDKs before 0.24 send telemetry to port 49134 unless III_URL says otherwise",
    means="Such workers are connected and work, but the engine gets no traces, metrics and logs of them.",
    do="Set `III_URL` to the address of the engine for workers with a Python SDK before 0.24, or upgrade them.",
)  # fmt: skip
ENGINE_STOPPING = LogEvent(
    __name__, "engine.stopping", logging.INFO, "Engine stopping", means="A signal asked for an orderly stop."
)
ENGINE_STOPPED = LogEvent(__name__, "engine.stopped", logging.INFO, "Engine stopped", means="The orderly stop is over.")
ENGINE_STOP_OVERDUE = LogEvent(
    __name__, "engine.stop_overdue", logging.ERROR, "Engine not stopped in time; exiting without an orderly stop",
    means="The event loop was not free before the limit was over.",
    do="Look for a module or a builtin function that blocks; what was acknowledged is on disk.",
)  # fmt: skip
MODULE_STOP_OVERDUE = LogEvent(
    __name__, "module.stop_overdue", logging.ERROR, "Module not stopped in time; stopping goes on without it",
    means="A module had work or connections left when its step of the stop was over; it is cancelled.",
    do="If it happens again, look at what the module waits for: a slow function, or a server that does not answer.",
)  # fmt: skip
MODULE_STOP_FAILED = LogEvent(
    __name__, "module.stop_failed", logging.ERROR, "Module failed to stop",
    means="A module raised while it stopped; the other modules are stopped.",
    do="Report it with its stack trace.",
)  # fmt: skip
MODULE_START_FAILED = LogEvent(
    __name__, "module.start_failed", logging.DEBUG, "Module failed to start",
    means="The stack trace behind the error with which the engine exits.",
)  # fmt: skip

NOT_STOPPED = 3  # exit code of a stop in which a module failed or was late (L4)
STOP_S = 15.0  # Longest time of an orderly stop of the engine. (L4)
QUIET_S = 6.2  # of it, for what is at work; modules give up after 5 s themselves, the HTTP port then cuts its clients
PORTS_STOP_S = 3.6  # then for clients of modules that listen: leave triggers take up to 2 s, Close frames 1.5 s
MODULES_STOP_S = 3.4  # then for stores, connections and commands of all other modules; those have 3 s after SIGTERM
WORKERS_STOP_S = 1.7  # at last for workers to answer Close, up to 1.5 s

_SIGNALS = (signal.SIGINT, signal.SIGTERM)

# Calls make objects by the thousand and no cycles, and connections that end leave none: with the default of 700 the
# collector would run all the time and find nothing.
_GC_NEW_OBJECTS = 10_000


def run(config: ServerConfig) -> int:
    """Run the engine until SIGINT or SIGTERM; the exit code. Raises StartFailure if it cannot start."""
    try:
        return _run(config)
    except StartFailure as error:
        raise StartFailure(config.variables.hidden(str(error))) from None


def _run(config: ServerConfig) -> int:
    refuse_one_port_twice(config.entries)
    writer = log.configure(config.log_level, config.log_format)
    for warning in config.warnings:
        CONFIGURATION_QUESTIONABLE(warning=warning)
    raise_limit()
    if limit() < LEAST:
        raise StartFailure(
            f"the limit of {limit()} open files is too low: the engine needs {LEAST} or more; {HOW_TO_RAISE}"
        )
    signals = EndSignals(writer.flush)
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            clean = runner.run(serve(config, signals, writer))
            if not clean:
                writer.flush()
                os._exit(NOT_STOPPED)  # at once: what did not stop by now would keep the process
    finally:
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        writer.flush()
    return 0


class EndSignals:
    """SIGINT and SIGTERM: the first one asks for the stop, the second one ends the process at once (L4).

    Handlers of the interpreter, not of the event loop: they are called in the midst of whatever the loop is busy with,
    and the operating system itself acts on the second signal.
    """

    def __init__(self, before_exit: Callable[[], None]) -> None:
        self._before_exit = before_exit
        self._loop: asyncio.AbstractEventLoop | None = None
        self._arrived_once = False
        self.stopping = asyncio.Event()

    def listen(self) -> None:
        """From now on, on the running loop."""
        self._loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            signal.signal(number, self._arrived)

    def _arrived(self, number: int, frame: object) -> None:
        if self._arrived_once:  # at the same time as the first one
            end_by(number)
        self._arrived_once = True
        end_at_once(*_SIGNALS)
        limit = threading.Timer(STOP_S + 1, self._exit)  # for a loop that is never free again
        limit.daemon = True
        limit.start()
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._stop, signal.Signals(number).name)

    def _stop(self, name: str) -> None:
        ENGINE_STOPPING(signal=name)
        self.stopping.set()

    def _exit(self) -> None:
        ENGINE_STOP_OVERDUE(limit_s=STOP_S)
        self._before_exit()
        os._exit(NOT_STOPPED)


async def serve(config: ServerConfig, signals: EndSignals, writer: log.LogWriter) -> bool:
    """Boot, wait for a signal, stop. False: a module failed to stop, or was late."""
    signals.listen()
    server = EngineServer(config)
    writer.told = server.engine.log_lines
    clean = False
    try:
        if await _started(server, signals.stopping):
            _calm_collector()
            await signals.stopping.wait()
    finally:
        clean = await server.stop()
    ENGINE_STOPPED()
    return clean


async def _started(server: EngineServer, stopping: asyncio.Event) -> bool:
    """False: a signal came first."""
    starting = asyncio.ensure_future(server.start())
    signalled = asyncio.ensure_future(stopping.wait())
    await asyncio.wait((starting, signalled), return_when=asyncio.FIRST_COMPLETED)
    signalled.cancel()
    if not starting.done():
        starting.cancel()
        await asyncio.wait((starting,))
    return not starting.cancelled() and starting.result() is None


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where it exists; `III_LOOP=asyncio` keeps the standard loop."""
    if os.environ.get("III_LOOP") == "asyncio":
        return None
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def _calm_collector() -> None:
    gc.collect()
    gc.freeze()  # all that is there now stays: no need to look at it again
    gc.set_threshold(_GC_NEW_OBJECTS, 20, 20)


class EngineServer:
    """The core with its modules, on the running event loop."""

    def __init__(self, config: ServerConfig) -> None:
        self._config = config
        self._loop = asyncio.get_running_loop()
        self._tasks = TaskSet(BUILTIN_FAILED)
        self.engine = Engine(LoopClock(self._loop), _engine_options(config), self._tasks.spawn)
        self.modules = [_create(self.engine, entry) for entry in config.entries]
        self._begun: list[Module] = []  # to start; perhaps half

    async def start(self) -> None:
        """Register what all modules serve, then start them; listeners last, so that nobody comes too early (L3).

        Raises StartFailure with the place of the entry that cannot start.
        """
        for module in self.modules:
            self.engine.add_module(module)
        for module, entry in zip(self.modules, self._config.entries, strict=True):
            self._begun.append(module)
            with _placed(entry):
                await module.start()
        if (short := shortage()) is not None:
            raise StartFailure(short)
        self.engine.readiness.begin()
        addresses = ", ".join(f"ws://{manager.listener.address}" for manager in self._managers())
        ENGINE_READY(
            version=PACKAGE_VERSION,
            configuration=self._config.source,
            log_level=self._config.variables.hidden(level_in_force(self._config.log_level)),
            log_format="json" if log.is_json(self._config.log_format) else "default",
            open_files_limit=limit(),
            workers_connect_to=addresses,
        )
        if all(manager.listener.port != DEFAULT_PORT for manager in self._managers()):
            PORT_NOT_DEFAULT(workers_connect_to=addresses)

    async def stop(self) -> bool:
        """Close the ports, let what is at work end, then stop what has begun to start, connections of workers last (L4).

        Each step has its limit, and the modules of a step stop side by side: none can keep another from it. False: one
        failed, or was late.
        """
        self.engine.readiness.stopping = True
        for manager in self._managers():
            manager.listener.stop_accepting()
        begun, workers = self._begun, self._managers()
        listens = {entry.instance for entry in self._config.entries if entry.known.listens}
        ports = [module for module in begun if module.instance in listens and module not in workers]
        others = [module for module in begun if module not in ports and module not in workers]
        clean = await _all_done("quiet", QUIET_S, begun)
        for limit_s, modules in ((PORTS_STOP_S, ports), (MODULES_STOP_S, others), (WORKERS_STOP_S, workers)):
            clean &= await _all_done("stop", limit_s, modules)
        self._tasks.cancel()
        return clean

    def _managers(self) -> list[WorkerManager]:
        return [module for module in self._begun if isinstance(module, WorkerManager)]


async def _all_done(step: Literal["quiet", "stop"], limit_s: float, modules: Sequence[Module]) -> bool:
    """One step of the stop; a module that fails or takes too long does not keep the others."""
    return all(await asyncio.gather(*(_done(module, step, limit_s) for module in modules)))


async def _done(module: Module, step: Literal["quiet", "stop"], limit_s: float) -> bool:
    task = asyncio.ensure_future(module.quiet() if step == "quiet" else module.stop())
    await asyncio.wait((task,), timeout=limit_s)
    if not task.done():
        task.cancel()
        MODULE_STOP_OVERDUE(module=module.instance, step=step, limit_s=limit_s)
        return False
    error = None if task.cancelled() else task.exception()
    if error is not None:
        MODULE_STOP_FAILED(error, module=module.instance, step=step)
    return error is None


@contextmanager
def _placed(entry: ModuleEntry) -> Iterator[None]:
    """What keeps a module from running is one line that names its entry."""
    try:
        yield
    except StartFailure as error:
        place = str(entry.place.at("config", *error.key) if error.key else entry.place)
        if error.key == ("host",) and entry.host_from is not None:
            place = f"{entry.host_from}: {entry.place.name}"
        text = str(error).removeprefix(f"{entry.known.name}: ")
        if os.strerror(errno.EMFILE) in text:  # the reason of whatever could not be opened
            text = f"{text}; {_more_files()}"
        raise StartFailure(f"{place}: {text}") from None
    except Exception as error:
        MODULE_START_FAILED(error, module=entry.instance)
        reason = error.strerror if isinstance(error, OSError) else None
        if isinstance(error, OSError) and error.errno == errno.EMFILE:
            reason = f"{reason}; {_more_files()}"
        raise StartFailure(f"{entry.place}: cannot start: {reason or f'{type(error).__name__}: {error}'}") from None


def _more_files() -> str:
    return f"the limit is {limit()}, {HOW_TO_RAISE}"


def _engine_options(config: ServerConfig) -> EngineOptions:
    blocks = [entry.config for entry in config.entries if isinstance(entry.config, EngineFunctionsConfig)]
    functions = blocks[0] if blocks else EngineFunctionsConfig()
    return EngineOptions(
        version=PACKAGE_VERSION,
        grace_ms=config.grace_ms,
        discovery_dialect=functions.discovery_dialect,
        channel_ttl_s=functions.channel_ttl_seconds,
    )


def _create(engine: Engine, entry: ModuleEntry) -> Module:
    if entry.known is ENGINE_FUNCTIONS:  # its block is about the core itself
        return EngineFunctions(engine, entry.instance)
    with _placed(entry):
        module: Module = entry.known.load()(engine, entry.config, entry.instance)
    return module
