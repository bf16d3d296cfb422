"""The engine process: boots in order, runs until a signal, stops in order (L3, L4)."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
from collections.abc import Awaitable, Callable
from typing import Any

from iii.engine.engine import Engine, EngineOptions
from iii.engine.engine_functions import EngineFunctions
from iii.engine.module import Module
from iii.net.start_failure import StartFailure
from iii.protocol.versions import PACKAGE_VERSION
from iii.server import log
from iii.server.catalogue import ENGINE_FUNCTIONS
from iii.server.clock import LoopClock
from iii.server.config_file import ModuleEntry, ServerConfig
from iii.server.engine_functions_config import EngineFunctionsConfig
from iii.server.worker_manager import WorkerManager

logger = logging.getLogger(__name__)

STOP_S = 15.0  # hard limit of an orderly stop (L4)

# Calls make objects by the thousand and no cycles, and connections that end leave none: with the default of 700 the
# collector would run all the time and find nothing.
_GC_NEW_OBJECTS = 10_000


def run(config: ServerConfig) -> int:
    """Run the engine until SIGINT or SIGTERM; the exit code. Raises StartFailure if it cannot start."""
    writer = log.configure(config.log_level, config.log_format)
    for warning in config.warnings:
        logging.getLogger("iii.server.config_file").warning("%s", warning)
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            in_time = runner.run(serve(config))
            if not in_time:
                writer.flush()
                os._exit(0)  # what did not stop by now would keep the process
    finally:
        writer.flush()
    return 0


async def serve(config: ServerConfig) -> bool:
    """Boot, wait for a signal, stop. False: not everything stopped within the limit."""
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()

    def signalled() -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)  # a second one ends the process at once, whatever it is doing (L4)
        stopping.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, signalled)
    server = EngineServer(config)
    try:
        await server.start()
        _calm_collector()
        await stopping.wait()
        logger.info("Engine stops")
    finally:
        in_time = await within(STOP_S, server.stop)
    return in_time


async def within(limit_s: float, stop: Callable[[], Awaitable[None]]) -> bool:
    """Whether it stopped in time."""
    try:
        async with asyncio.timeout(limit_s):
            await stop()
    except TimeoutError:
        logger.error("Not everything stopped within %g s; the process ends without it", limit_s)
        return False
    return True


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
        self._tasks: set[asyncio.Future[None]] = set()
        self.engine = Engine(LoopClock(self._loop), _engine_options(config), self._spawn)
        self.modules = [_create(self.engine, entry) for entry in config.entries]
        self._started: list[Module] = []

    async def start(self) -> None:
        """Register what all modules serve, then start them; listeners last, so that nobody comes too early (L3)."""
        for module in self.modules:
            self.engine.add_module(module)
        for module in self.modules:
            self._started.append(module)
            await module.start()
        addresses = ", ".join(f"ws://{manager.listener.address}" for manager in self._managers())
        told = {
            "version": PACKAGE_VERSION,
            "configuration": self._config.source,
            "log level": log.level_in_force(self._config.log_level),
            "log format": "json" if log.is_json(self._config.log_format) else "default",
            "workers connect to": addresses,
        }
        logger.info("Engine ready", extra={"fields": told})

    async def stop(self) -> None:
        """Close the ports, let what is at work end, stop what has started in its order, connections of workers last (L4)."""
        for manager in self._managers():
            manager.listener.stop_accepting()
        await asyncio.gather(*(_done(module, module.quiet) for module in self._started))
        for module in self._started:
            await _done(module, module.stop)
        for task in list(self._tasks):
            task.cancel()

    def _managers(self) -> list[WorkerManager]:
        return [module for module in self._started if isinstance(module, WorkerManager)]

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)  # the loop itself keeps only weak references
        task.add_done_callback(self._tasks.discard)


async def _done(module: Module, step: Callable[[], Awaitable[None]]) -> None:
    """A step of the stop; one that fails does not keep the others."""
    try:
        await step()
    except Exception:
        logger.exception("Module %s did not stop cleanly", module.instance)


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
    module_class: Any = entry.known.load()
    try:
        module: Module = module_class(engine, entry.config, entry.instance)
    except StartFailure as error:
        raise StartFailure(f"{entry.place}: {str(error).removeprefix(f'{entry.known.name}: ')}") from None
    return module
