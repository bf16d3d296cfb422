"""The engine process: boots in order, runs until a signal, stops in order (L3, L4)."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress

from iii.engine.builtin import BUILTIN_FAILED
from iii.engine.engine import Engine, EngineOptions
from iii.net.descriptors import HOW_TO_RAISE, LEAST, limit, raise_limit, shortage
from iii.net.system_signals import HANGUP, came_early, end_at_once, end_by
from iii.protocol.log_event import LogEvent
from iii.protocol.log_level import level_in_force
from iii.protocol.start_failure import StartFailure
from iii.protocol.task_set import TaskSet
from iii.protocol.versions import PACKAGE_VERSION
from iii.server import log
from iii.server.catalogue import WORKER_MANAGER
from iii.server.clock import LoopClock
from iii.server.config_file import ServerConfig
from iii.server.config_text import DEFAULT_PORT
from iii.server.engine_functions_config import EngineFunctionsConfig
from iii.server.part import QUIET_S, Part, all_done
from iii.server.reload import Load, Reload
from iii.server.supervision import Supervision
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
NOT_STOPPED = 3  # exit code of a stop in which a module failed or was late (L4)
STOP_S = 15.0  # Longest time of an orderly stop of the engine. (L4)
PORTS_STOP_S = 3.6  # then for clients of modules that listen: leave triggers take up to 2 s, Close frames 1.5 s
MODULES_STOP_S = 3.4  # then for stores, connections and commands of all other modules; those have 3 s after SIGTERM
WORKERS_STOP_S = 1.7  # at last for workers to answer Close, up to 1.5 s

_SIGNALS = (signal.SIGINT, signal.SIGTERM)

# Calls make objects by the thousand and no cycles, and connections that end leave none: with the default of 700 the
# collector would run all the time and find nothing.
_GC_NEW_OBJECTS = 10_000


def run(config: ServerConfig, load: Load | None = None, *, strict: bool = False) -> int:
    """Run the engine until SIGINT or SIGTERM; the exit code. Raises StartFailure if it cannot start.

    Args:
        load: reads the configuration again while the engine runs.
        strict: a reload that fails ends the engine, with StartFailure.
    """
    try:
        return _run(config, load, strict)
    except StartFailure as error:
        raise StartFailure(config.variables.hidden(str(error))) from None


def _run(config: ServerConfig, load: Load | None, strict: bool) -> int:
    signals = EngineSignals()
    writer = log.configure(config.log_level, config.log_format)
    for warning in config.warnings:
        CONFIGURATION_QUESTIONABLE(warning=warning)
    raise_limit()
    if limit() < LEAST:
        raise StartFailure(
            f"the limit of {limit()} open files is too low: the engine needs {LEAST} or more; {HOW_TO_RAISE}"
        )
    signals.before_exit = writer.flush
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            clean = runner.run(serve(config, signals, writer, load, strict))
            if not clean:
                writer.flush()
                os._exit(NOT_STOPPED)  # at once: what did not stop by now would keep the process
    finally:
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        writer.flush()
    return 0


class EngineSignals:
    """SIGINT and SIGTERM: the first one asks for the stop, the second one ends the process at once (L4). SIGHUP: read the
    configuration again, once the engine runs (L11).

    Handlers of the interpreter, not of the event loop: they are called in the midst of whatever the loop is busy with,
    and the operating system itself acts on the second signal. From the start on, before there is a loop.

    Attributes:
        before_exit: what is done before the process ends without an orderly stop.
    """

    def __init__(self) -> None:
        self.before_exit: Callable[[], None] = lambda: None
        self.stopping = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._arrived_first: signal.Signals | None = None
        self._reload: Callable[[], None] | None = None
        self._hung_up = False
        for number in _SIGNALS:
            signal.signal(number, self._arrived)
        if HANGUP is not None:
            signal.signal(HANGUP, self._hangup)
            if came_early(HANGUP):  # asked afterwards: one between the two would be lost
                self._hung_up = True

    def came(self) -> bool:
        """Whether one has asked for the stop, perhaps while the loop was busy."""
        return self._arrived_first is not None

    def listen(self) -> None:
        """From now on, on the running loop."""
        self._loop = asyncio.get_running_loop()
        if self._arrived_first is not None:
            self._stop(self._arrived_first)

    def reload_by(self, reload: Callable[[], None]) -> None:
        """At each SIGHUP; also for those that came before."""
        self._reload = reload
        if self._hung_up:
            reload()

    def _arrived(self, number: int, frame: object) -> None:
        if self._arrived_first is not None:  # at the same time as the first one
            end_by(number)
        self._arrived_first = signal.Signals(number)
        end_at_once(*_SIGNALS)
        limit = threading.Timer(STOP_S + 1, self._exit)  # for a loop that is never free again
        limit.daemon = True
        limit.start()
        self._on_loop(self._stop, self._arrived_first)

    def _hangup(self, number: int, frame: object) -> None:
        self._hung_up = True
        if self._reload is not None:
            self._on_loop(self._reread)

    def _on_loop(self, callback: Callable[..., None], *arguments: object) -> None:
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed: the engine has stopped, or could not start
                self._loop.call_soon_threadsafe(callback, *arguments)

    def _reread(self) -> None:
        if self._reload is not None and not self.stopping.is_set():
            self._reload()

    def _stop(self, number: signal.Signals) -> None:
        if not self.stopping.is_set():
            ENGINE_STOPPING(signal=number.name)
            self.stopping.set()

    def _exit(self) -> None:
        ENGINE_STOP_OVERDUE(limit_s=STOP_S)
        self.before_exit()
        os._exit(NOT_STOPPED)


async def serve(
    config: ServerConfig, signals: EngineSignals, writer: log.LogWriter, load: Load | None = None, strict: bool = False
) -> bool:
    """Boot, wait for a signal, stop. False: a module failed to stop, or was late. Raises StartFailure."""
    signals.listen()
    supervision = Supervision(os.environ)  # before modules are made, which hand the environment on
    server = EngineServer(config)
    writer.told = server.engine.log_lines
    clean = False
    failures: list[StartFailure] = []

    def end(failure: StartFailure) -> None:
        failures.append(failure)
        signals.stopping.set()

    reload = Reload(server.engine, server.parts, config, load or (lambda stored: config), end if strict else None)
    reload.attach()
    reload.begun.subscribe(supervision.reload_begun)
    reload.ended.subscribe(supervision.reload_ended)
    supervision.start(server.engine.readiness)
    try:
        if not signals.stopping.is_set() and await _started(server, signals):
            _calm_collector()
            if load is not None:
                reload.start()
                signals.reload_by(reload.soon)
            await signals.stopping.wait()
    finally:
        supervision.stopping()
        await reload.stop()
        clean = await server.stop()
        supervision.stop()
    ENGINE_STOPPED()
    if failures:
        raise failures[0]
    return clean


async def _started(server: EngineServer, signals: EngineSignals) -> bool:
    """False: a signal came first, and is in the log."""
    starting = asyncio.ensure_future(server.start(signals.came))
    signalled = asyncio.ensure_future(signals.stopping.wait())
    await asyncio.wait((starting, signalled), return_when=asyncio.FIRST_COMPLETED)
    signalled.cancel()
    if not starting.done():
        starting.cancel()
        await asyncio.wait((starting,))
    if not starting.cancelled() and starting.result():
        return True
    await signals.stopping.wait()
    return False


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
    # All that is there now stays. To look through it once took up to 50 ms, and found a few thousand objects in cycles
    gc.freeze()
    gc.set_threshold(_GC_NEW_OBJECTS, 20, 20)
    gc.enable()  # a start does without it


class EngineServer:
    """The core with its modules, on the running event loop."""

    def __init__(self, config: ServerConfig) -> None:
        self._config = config
        self._loop = asyncio.get_running_loop()
        self._tasks = TaskSet(BUILTIN_FAILED)
        self.engine = Engine(LoopClock(self._loop), _engine_options(config), self._tasks.spawn)
        self.parts = [Part.made(self.engine, entry) for entry in config.entries]

    async def start(self, unwanted: Callable[[], bool] = lambda: False) -> bool:
        """Register what all modules serve, then start them; listeners last, so that nobody comes too early (L3).

        False: it is `unwanted` by the time that it would be ready. Raises StartFailure with the place of the entry that
        cannot start.
        """
        for part in self.parts:
            self.engine.add_module(part.module)
        for place, part in enumerate(self.parts):
            try:
                await part.start()
            except StartFailure as error:
                self.parts[place] = again = part.without_stored(self.engine, error)
                await part.done("stop", MODULES_STOP_S)
                self.engine.remove_module(part.module)
                self.engine.add_module(again.module)
                await again.start()
        if (short := shortage()) is not None:
            raise StartFailure(short)
        if unwanted():
            return False
        self.engine.readiness.begin()
        addresses = ", ".join(manager.listener.url for manager in self._managers())
        ENGINE_READY(
            version=PACKAGE_VERSION,
            configuration=self._config.source,
            log_level=self._config.variables.hidden(level_in_force(self._config.log_level)),
            log_format="json" if log.is_json(self._config.log_format) else "default",
            open_files_limit=limit(),
            workers_connect_to=addresses,
        )
        self.engine.turns.go(self.engine.registry.making_schemas())
        if all(manager.listener.port != DEFAULT_PORT for manager in self._managers()):
            PORT_NOT_DEFAULT(workers_connect_to=addresses)
        return True

    async def stop(self) -> bool:
        """Close the ports, let what is at work end, then stop what has begun to start, connections of workers last (L4).

        Each step has its limit, and the modules of a step stop side by side: none can keep another from it. False: one
        failed, or was late.
        """
        self.engine.readiness.stopping = True
        for manager in self._managers():
            manager.listener.stop_accepting()
        begun = [part for part in self.parts if part.begun]
        workers = [part for part in begun if part.entry.known is WORKER_MANAGER]
        ports = [part for part in begun if part.entry.known.listens and part not in workers]
        others = [part for part in begun if part not in ports and part not in workers]
        clean = await all_done("quiet", QUIET_S, begun)
        for limit_s, parts in ((PORTS_STOP_S, ports), (MODULES_STOP_S, others), (WORKERS_STOP_S, workers)):
            clean &= await all_done("stop", limit_s, parts)
        self._tasks.cancel()
        return clean

    def _managers(self) -> list[WorkerManager]:
        return [part.module for part in self.parts if part.begun and isinstance(part.module, WorkerManager)]


def _engine_options(config: ServerConfig) -> EngineOptions:
    blocks = [entry.config for entry in config.entries if isinstance(entry.config, EngineFunctionsConfig)]
    functions = blocks[0] if blocks else EngineFunctionsConfig()
    return EngineOptions(
        version=PACKAGE_VERSION,
        grace_ms=config.grace_ms,
        discovery_dialect=functions.discovery_dialect,
        channel_ttl_s=functions.channel_ttl_seconds,
    )
