"""The configuration file is read again while the engine runs (18 §3, L11, P18)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from iii.engine.engine import Engine
from iii.engine.listeners import Listeners
from iii.modules.configuration.folder import Signature, signature_of
from iii.protocol.log_event import LogEvent
from iii.protocol.start_failure import StartFailure
from iii.protocol.task_set import TaskSet
from iii.server import module_entries
from iii.server.commit import Commit
from iii.server.config_file import ServerConfig
from iii.server.config_text import NoConfigFile, read_text
from iii.server.part import Part
from iii.server.plan import plan
from iii.server.stored_settings import Stored

WATCHING = LogEvent(
    __name__, "reload.watching", logging.DEBUG, "Configuration file is watched for changes",
    means="A change of the file, and SIGHUP, have it read again.",
)  # fmt: skip
RELOADED = LogEvent(
    __name__, "reload.done", logging.INFO, "Configuration reloaded",
    means="The configuration file was read again; shows which modules were added, removed and changed.",
)  # fmt: skip
UNCHANGED = LogEvent(
    __name__, "reload.unchanged", logging.INFO, "Configuration reloaded: no module has other settings",
    means="The configuration file was written, or SIGHUP came, and it means what it meant before.",
)  # fmt: skip
REJECTED = LogEvent(
    __name__, "reload.rejected", logging.ERROR, "Reload rejected; the engine runs on with the configuration that it had",
    means="The configuration file has a mistake, or a module cannot have its new settings, such as a port that is in use.",
    do="Correct what `reason` names; `iii config check` shows all mistakes of the file.",
)  # fmt: skip
RESTART_NEEDED = LogEvent(
    __name__, "reload.restart_needed", logging.WARNING, "Settings changed that count at the next start of the engine",
    means="What `settings` names is read only when the engine starts.",
    do="Restart the engine when that suits.",
)  # fmt: skip
RELOAD_FAILED = LogEvent(
    __name__, "reload.failed", logging.ERROR, "Reload failed inside the engine",
    means="The engine itself raised while it applied a configuration, or looked at certificates.",
    do="Report it with its stack trace, and restart the engine.",
)  # fmt: skip
WARNED = LogEvent(
    __name__, "reload.questionable", logging.WARNING, "Configuration is probably not what was meant",
    means="A part of the reloaded configuration was accepted with a doubt; `warning` names file, line and key.",
    do="Correct that place of the file.",
)  # fmt: skip

LOOK_S = 0.25  # between two looks at the file
SETTLED_S = 0.5  # from the first change until it is read: an editor may write twice


Load: TypeAlias = Callable[[Stored], ServerConfig]


class Reload:
    """Of one engine process.

    Args:
        parts: what runs; changed in place.
        load: reads the file again, on a thread.
        strict: told why, where a failed reload is to end the engine.

    Attributes:
        begun, ended: told of each reload.
    """

    def __init__(
        self,
        engine: Engine,
        parts: list[Part],
        config: ServerConfig,
        load: Load,
        strict: Callable[[StartFailure], None] | None = None,
    ) -> None:
        self._engine = engine
        self._parts = parts
        self._config = config
        self._load = load
        self._strict = strict
        self._seen = None if config.path is None else _signature(config.path)  # a change while the engine starts counts
        self._lock = asyncio.Lock()
        self._waits = False  # for the one at work
        self._tasks = TaskSet(RELOAD_FAILED)
        self.begun: Listeners[[]] = Listeners()
        self.ended: Listeners[[]] = Listeners()

    def attach(self) -> None:
        """Modules have configuration entries from now on; before they start, so that theirs are known by any name."""
        module_entries.attach(self._parts, self.soon, self._lock.locked)

    def start(self) -> None:
        """From now on changes of the file count."""
        self._tasks.spawn(self._renew())
        path = self._config.path
        if path is None:
            return
        self._tasks.spawn(self._watch(path))
        WATCHING(file=str(path))

    async def stop(self) -> None:
        """A reload at work ends first; the modules are stopped by others."""
        async with self._lock:
            self._tasks.cancel()

    def soon(self) -> None:
        """One that waits reads what is there when its turn comes: more of them would only hold up a stop."""
        if not self._waits:
            self._waits = True
            self._tasks.spawn(self._now())

    async def _now(self) -> None:
        await self.now()

    async def now(self) -> bool:
        """Read the file and apply it. False: nothing has changed, and the log says why."""
        async with self._lock:
            self._waits = False
            self.begun()
            try:
                return await self._read_and_applied()
            finally:
                self.ended()

    async def _read_and_applied(self) -> bool:
        config = self._config
        try:
            config = await asyncio.to_thread(self._read, module_entries.stored(self._parts))
            for warning in config.warnings:
                WARNED(warning=warning)
            await self._apply(config)
        except StartFailure as error:
            reason = config.variables.hidden(self._config.variables.hidden(str(error)))
            for line in reason.splitlines():
                REJECTED(reason=line)
            if self._strict is not None:
                self._strict(StartFailure(f"reload: {reason}"))
            return False
        except Exception as error:  # a change of the file must find somebody who looks
            RELOAD_FAILED(error)
            return False
        self._config = config
        return True

    def _read(self, stored: Stored) -> ServerConfig:
        path = self._config.path
        try:
            if path is not None and not read_text(path).strip():
                raise StartFailure(f"{self._config.source}: the file is empty; at a reload that counts as half written")
            return self._load(stored)
        except NoConfigFile as error:
            raise StartFailure(f"{error.what}; put the file back, which the next start needs, too") from None
        except StartFailure as error:
            raise StartFailure(f"parse failed: {error}") from None

    async def _apply(self, config: ServerConfig) -> None:
        """Raises StartFailure."""
        todo = plan(self._parts, config.entries)
        commit = Commit(self._engine, self._parts)
        await commit.run(todo)
        module_entries.attach(self._parts, self.soon, self._lock.locked)
        later = dict.fromkeys((*commit.later, *_of_the_process(self._config, config)))
        if later:
            RESTART_NEEDED(settings=", ".join(later))
        if todo.is_empty:
            UNCHANGED(file=config.source)
            return
        RELOADED(
            file=config.source,
            added=[entry.instance for entry in todo.added],
            removed=[part.entry.instance for part in todo.removed],
            changed=[entry.instance for _, entry in todo.changed],
            unchanged=len(todo.unchanged),
        )

    async def _renew(self) -> None:
        """Look at files that settings name, however the settings were given."""
        while True:
            await asyncio.sleep(LOOK_S)
            for part in list(self._parts):
                try:
                    await part.module.renew()
                except Exception as error:
                    RELOAD_FAILED(error)

    async def _watch(self, path: Path) -> None:
        """Look at the file: what changes beside it does not matter, and links that are switched are seen."""
        while True:
            await asyncio.sleep(LOOK_S)
            if await asyncio.to_thread(_signature, path) == self._seen:
                continue
            await asyncio.sleep(SETTLED_S)
            self._seen = await asyncio.to_thread(_signature, path)
            await self.now()


def _signature(path: Path) -> Signature | None:
    try:
        return signature_of(path.stat())
    except OSError:
        return None


def _of_the_process(old: ServerConfig, new: ServerConfig) -> list[str]:
    """What is no module's and has changed."""
    names = {"registration_namespace_grace_ms": "grace_ms", "format of iii-observability": "log_format"}
    return [name for name, field in names.items() if getattr(old, field) != getattr(new, field)]
