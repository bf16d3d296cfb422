"""`iii-exec`: runs commands beside the engine, such as the worker of a project (07 §6.1)."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path
from typing import ClassVar

from iii.engine.builtin import BUILTIN_FAILED
from iii.engine.engine import Engine
from iii.engine.module import Module
from iii.modules.exec.config import ExecConfig
from iii.modules.exec.pattern import Pattern
from iii.modules.exec.pipeline import Pipeline
from iii.modules.exec.watch import changes, check_library
from iii.protocol.log_event import LogEvent
from iii.protocol.start_failure import StartFailure
from iii.protocol.task_set import TaskSet

CHANGED = LogEvent(
    __name__, "exec.changed", logging.INFO, "File change detected {path} → restarting pipeline",
    means="A file that matches `watch` has changed: all commands are ended and begin again.",
)  # fmt: skip
CHANGES_ITSELF = LogEvent(
    __name__, "exec.changes_itself", logging.WARNING, "Commands restart again and again: they seem to change files that are watched",
    means="Each of the last five restarts found changes that came before its last command had run for a second.",
    do="Have the commands write elsewhere, or name the watched files more narrowly.",
)  # fmt: skip
WATCH_FAILED = LogEvent(
    __name__, "exec.watch_failed", logging.ERROR, "Files are not watched",
    means="The system refuses to watch the folders; `reason` is its own. Changes restart nothing.",
    do="Name smaller folders, or raise fs.inotify.max_user_watches; then restart the engine.",
)  # fmt: skip


_IN_A_ROW = 5  # restarts
_SOON_S = 1.0


class Exec(Module):
    name = "iii-exec"
    description = "Execute shell commands as part of engine startup."
    Config: ClassVar = ExecConfig

    def __init__(self, engine: Engine, config: ExecConfig | None = None, instance: str | None = None) -> None:
        """Raises StartFailure."""
        super().__init__(engine, instance)
        config = config or ExecConfig(exec=[])
        commands = config.commands()
        self._base = Path(config.cwd or ".").absolute()
        if not self._base.is_dir():
            raise StartFailure(f"cwd: no folder '{config.cwd}'", ("cwd",))
        self._patterns = [self._pattern(text, index) for index, text in enumerate(config.watch or ())]
        if self._patterns:
            check_library()
        self._pipeline: Pipeline | None = None
        if commands:
            self._pipeline = Pipeline(commands, config.restart, config.cwd, config.env, engine.clock.now)
        self._stopping = asyncio.Event()
        self._tasks = TaskSet(BUILTIN_FAILED)

    def _pattern(self, text: str, index: int) -> Pattern:
        pattern = Pattern.parse(text, self._base)
        if not pattern.folder.is_dir():
            shown = self._shown(pattern.folder)
            raise StartFailure(
                f"watch: '{text}': there is no folder '{shown}'; create it, or correct it", ("watch", index)
            )
        return pattern

    def _shown(self, path: Path) -> str:
        return os.path.relpath(path, self._base)

    async def start(self) -> None:
        """Run the first command."""
        if self._pipeline is not None:
            self._pipeline.begin()
            if self._patterns:
                self._tasks.spawn(self._watch(self._pipeline))

    async def quiet(self) -> None:
        """No further restart."""
        self._stopping.set()

    async def stop(self) -> None:
        """End what runs."""
        self._stopping.set()
        self._tasks.cancel()
        await self._tasks.wait()
        if self._pipeline is not None:
            await self._pipeline.stop()

    async def _watch(self, pipeline: Pipeline) -> None:
        """What changes while a restart is under way, until the last command begins, makes one more restart."""
        in_a_row, ready = 0, -_SOON_S
        try:
            async for path in changes(self._patterns, self._stopping):
                shown = self._shown(path)
                CHANGED(path=shown)
                in_a_row = in_a_row + 1 if self.engine.clock.now() - ready < _SOON_S else 0
                if in_a_row == _IN_A_ROW:
                    CHANGES_ITSELF(path=shown)
                await pipeline.interrupt()
                pipeline.begin()
                await pipeline.past_steps()
                ready = self.engine.clock.now()
        except OSError as error:
            WATCH_FAILED(reason=str(error))
