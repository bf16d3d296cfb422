"""Commands in order, the last one left running, and all again after a change (07 §6.1)."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Mapping
from contextlib import suppress

from iii.modules.exec.config import Restart
from iii.modules.exec.group import ProcessGroup
from iii.modules.exec.output import Output
from iii.protocol.log_event import LogEvent

STARTING = LogEvent(
    __name__, "exec.starting", logging.INFO, "Starting process: {command}", means="A command of iii-exec begins."
)
STEP_FAILED = LogEvent(
    __name__, "exec.step_failed", logging.ERROR, "Pipeline step failed, aborting pipeline",
    means="A command that must succeed before the next one has failed; the rest does not run. The engine stays up.",
    do="Look at what the command wrote, mend it, and save a watched file or restart the engine.",
)  # fmt: skip
ENDED = LogEvent(
    __name__, "exec.ended", logging.WARNING, "Process ended",
    means="The last command of iii-exec, which should go on, has ended with `code` (128 and more: by a signal).",
    do="If it is not to stay away, `restart: on-failure` or `always` starts it again.",
)  # fmt: skip
NOT_STARTED = LogEvent(
    __name__, "exec.not_started", logging.ERROR, "Process not started",
    means="The system refused to start a command; `reason` is the system's.",
    do="Look at `cwd`, at the limit of processes and at memory.",
)  # fmt: skip
KILLED = LogEvent(
    __name__, "exec.killed", logging.WARNING, "Process killed: it did not end in time after SIGTERM",
    means="A command, or a process that it had started, was still there 3 s after SIGTERM.",
    do="Let the program end on SIGTERM.",
)  # fmt: skip

NAME_CHARACTERS = 40  # of a command, in front of each of its lines
PAUSES_S = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)  # before the last command runs again
STEADY_S = 30.0  # whoever ran as long begins with the shortest pause again


class Pipeline:
    """Runs the commands, from the first one on after each `begin`.

    Args:
        now: the clock, in seconds.
    """

    def __init__(
        self,
        commands: list[str],
        restart: Restart,
        cwd: str | None,
        env: Mapping[str, str],
        now: Callable[[], float],
    ) -> None:
        self._commands = commands
        self._restart = restart
        self._cwd = cwd
        self._env = {**os.environ, **env}
        self._now = now
        self._groups: list[ProcessGroup] = []  # of this run; what ended may have left processes behind
        self._running: asyncio.Task[None] | None = None
        self._past_steps = asyncio.Event()
        self._lifeline = os.pipe()  # whose end to write the system closes with the engine

    def begin(self) -> None:
        """Run the first command."""
        self._past_steps.clear()
        self._running = asyncio.get_running_loop().create_task(self._run())

    async def past_steps(self) -> None:
        """Wait until the last command begins, or none does because a step failed."""
        await self._past_steps.wait()

    async def interrupt(self) -> None:
        """Kill everything at once."""
        await self._give_up()
        groups, self._groups = self._groups, []
        await asyncio.gather(*(group.kill() for group in groups))

    async def stop(self) -> None:
        """End everything in order, and what does not end in time by force. Once is as good as twice."""
        await self._give_up()
        groups, self._groups = self._groups, []
        ended = await asyncio.gather(*(group.stop() for group in groups))
        for group, in_time in zip(groups, ended, strict=True):
            if not in_time:
                KILLED(pid=group.pid)
        lifeline, self._lifeline = self._lifeline, (-1, -1)
        for end in lifeline:
            if end >= 0:
                os.close(end)

    async def _give_up(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running

    async def _run(self) -> None:
        *steps, last = self._commands
        for command in steps:
            code = await self._code_of(command)
            if code != 0:
                STEP_FAILED(command=command, code=code)
                self._past_steps.set()
                return
        self._past_steps.set()
        await self._keep(last)

    async def _keep(self, command: str) -> None:
        pause = 0
        while True:
            began = self._now()
            code = await self._code_of(command)
            again = self._restart == "always" or (self._restart == "on-failure" and code != 0)
            if self._now() - began >= STEADY_S:
                pause = 0
            pause_s = PAUSES_S[min(pause, len(PAUSES_S) - 1)] if again else None
            if code is not None:
                ENDED(None, logging.INFO if code == 0 else None, command=command, code=code, starts_again_in_s=pause_s)
            if pause_s is None:
                return
            pause += 1
            await self._clear()
            await asyncio.sleep(pause_s)

    async def _clear(self) -> None:
        """End what the last command left behind, so that it finds its ports free."""
        group = self._groups.pop() if self._groups else None
        if group is not None:
            await group.stop()

    async def _code_of(self, command: str) -> int | None:
        """Run one to its end: its exit code as shells say it, None if it could not be started."""
        STARTING(command=command)
        name = command if len(command) <= NAME_CHARACTERS else f"{command[: NAME_CHARACTERS - 1]}…"
        try:
            group = ProcessGroup.start(command, Output(name, self._now), self._lifeline[0], self._cwd, self._env)
        except OSError as error:
            NOT_STARTED(command=command, reason=error.strerror)
            return None
        self._groups.append(group)
        code = await group.code()
        return code if code >= 0 else 128 - code
