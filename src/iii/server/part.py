"""One entry of the configuration and the module that runs for it (L3, L4)."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

from msgspec import Struct

from iii.engine.engine import Engine
from iii.engine.engine_functions import EngineFunctions
from iii.engine.module import Module
from iii.net.descriptors import HOW_TO_RAISE, limit
from iii.protocol.log_event import LogEvent
from iii.protocol.start_failure import StartFailure
from iii.server.catalogue import ENGINE_FUNCTIONS
from iii.server.config_file import ModuleEntry
from iii.server.variables import Variables

QUIET_S = 6.2  # for what is at work in a module that stops; modules give up after 5 s themselves, the HTTP port then cuts its clients

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


STORED_NOT_USED = LogEvent(
    __name__, "module.stored_settings_not_used", logging.ERROR, "Stored settings of a module not used: it cannot start with them; the configuration file counts",
    means="The value of the module's configuration entry names a port, a store or a server that cannot be had.",
    do="Correct it with `configuration::set`, or take it back with `configuration::delete`.",
)  # fmt: skip


class Part:
    """Made, then started, then stopped. Raises StartFailure with the place of the entry.

    Attributes:
        begun: it was started, perhaps half.
    """

    def __init__(self, engine: Engine, entry: ModuleEntry) -> None:
        self.entry = entry
        self.module = _create(engine, entry)
        self.begun = False

    async def start(self) -> None:
        self.begun = True
        try:
            with placed(self.entry):
                await self.module.start()
        except BaseException:
            self.module.engine.functions.entrusted.hold(self.module, ())
            raise

    @classmethod
    def made(cls, engine: Engine, entry: ModuleEntry) -> Part:
        """With its stored settings, or else with those of the file."""
        try:
            return cls(engine, entry)
        except StartFailure as error:
            if entry.fallback is None:
                raise
            return cls(engine, cls._on_its_block(entry, error))

    def without_stored(self, engine: Engine, error: StartFailure) -> Part:
        """The same on the block of the file, after a start that failed. Raises that failure where it was on it."""
        if self.entry.fallback is None:
            raise error
        return type(self)(engine, self._on_its_block(self.entry, error))

    @staticmethod
    def _on_its_block(entry: ModuleEntry, error: StartFailure) -> ModuleEntry:
        STORED_NOT_USED(
            module=entry.instance, file=entry.stored_in, reason=Variables(entry.variables).hidden(str(error))
        )
        assert entry.fallback is not None
        return entry._replace(config=entry.fallback, fallback=None, stored_in=None, stored=None)

    @property
    def in_force(self) -> Struct:
        """What the module runs with."""
        config: Struct = getattr(self.module, "config", self.entry.config)
        return config

    def move(self, entry: ModuleEntry) -> None:
        """The same, at another place of the file, perhaps with another number (`#1`)."""
        self.entry = entry
        self.module.instance = entry.instance

    async def done(self, step: Literal["quiet", "stop"], limit_s: float) -> bool:
        """One step of the stop. False: it failed, or took too long."""
        module = self.module
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


async def all_done(step: Literal["quiet", "stop"], limit_s: float, parts: Sequence[Part]) -> bool:
    """One step of the stop; a module that fails or takes too long does not keep the others."""
    return all(await asyncio.gather(*(part.done(step, limit_s) for part in parts)))


@contextmanager
def placed(entry: ModuleEntry) -> Iterator[None]:
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


def _create(engine: Engine, entry: ModuleEntry) -> Module:
    if entry.known is ENGINE_FUNCTIONS:  # its block is about the core itself
        return EngineFunctions(engine, entry.instance)
    with placed(entry):
        module: Module = entry.known.load()(engine, entry.config, entry.instance)
    return module
