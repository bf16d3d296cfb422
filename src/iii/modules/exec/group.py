"""One command: a group of processes that ends as a whole, at the latest with the engine."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import threading
from collections.abc import Mapping

from iii.modules.exec.output import Output

STOP_S = 3.0  # Time that a command of iii-exec has to end after SIGTERM. (07 §6.1)
_KILLED_S = 0.3  # for the system to end what was killed

# Beside the command, in its group, a process waits for the end of the engine, however that comes: the standard input of
# this script is a pipe that only the engine holds. It also keeps the number of the group from being given to others.
_SCRIPT = """\
exec 3<&0 </dev/null
(exec >/dev/null 2>&1; trap '' TERM INT HUP; read -r _ <&3; kill -s TERM -- -$$; sleep 3; kill -s KILL -- -$$) &
exec 3<&-
exec sh -c "$1"
"""


class ProcessGroup:
    """`sh -c COMMAND` in a session of its own; its output is logged.

    A thread of its own waits for the command: uvloop's processes inherit descriptors of the engine, its end of the
    pipe among them.
    """

    def __init__(self, process: subprocess.Popen[bytes], output: Output) -> None:
        self._process = process
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[int] = self._loop.create_future()
        self._copying = asyncio.ensure_future(self._copy(output))
        threading.Thread(target=self._wait, name=f"iii-exec-{process.pid}", daemon=True).start()

    @classmethod
    def start(
        cls, command: str, output: Output, lifeline: int, cwd: str | None, env: Mapping[str, str]
    ) -> ProcessGroup:
        """Run it.

        Args:
            lifeline: the end to read of a pipe whose other end closes with the engine.

        Raises:
            OSError: the system has no shell, no such folder, or no process more.
        """
        process = subprocess.Popen(
            ("sh", "-c", _SCRIPT, "sh", command), stdin=lifeline, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            bufsize=0, cwd=cwd, env=env, start_new_session=True,
        )  # fmt: skip
        return cls(process, output)

    @property
    def pid(self) -> int:
        """Of the command, and number of the group."""
        return self._process.pid

    async def code(self) -> int:
        """Wait for the command itself, not for what it left in the background: its exit code, negative for a signal."""
        return await asyncio.shield(self._ended)

    async def stop(self, limit_s: float = STOP_S) -> bool:
        """Ask all processes to end, and kill them when they have not done so in time; False then."""
        self._signal(signal.SIGTERM)
        _, late = await asyncio.wait((self._ended, self._copying), timeout=limit_s)
        await self.kill()
        return not late

    async def kill(self) -> None:
        """End all processes at once."""
        self._signal(signal.SIGKILL)
        await asyncio.wait((self._ended, self._copying), timeout=_KILLED_S)
        self._copying.cancel()  # somebody outside of the group may hold the pipe

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:  # killed already
            pass

    async def _copy(self, output: Output) -> None:
        reader = asyncio.StreamReader()
        transport, _ = await self._loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), self._process.stdout
        )
        try:
            await output.copy(reader)
        finally:
            transport.close()

    def _wait(self) -> None:
        code = self._process.wait()
        try:
            self._loop.call_soon_threadsafe(self._end, code)
        except RuntimeError:  # the engine has ended meanwhile
            pass

    def _end(self, code: int) -> None:
        if not self._ended.done():
            self._ended.set_result(code)
