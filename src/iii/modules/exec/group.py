"""One command: a group of processes that ends as a whole, at the latest with the engine."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import threading
from collections.abc import Mapping

from iii.modules.exec.output import Output
from iii.modules.exec.strays import MARK, any_stray, signal_strays
from iii.protocol.ids import new_id

STOP_S = 3.0  # Time that a command of iii-exec has to end after SIGTERM. (07 §6.1)
_LOOK_S = 0.1  # between two looks at processes that have left the group
_KILLED_S = 0.3  # for the system to end what was killed

# Beside the command, in its group, a process waits for the end of the engine, however that comes: the standard input of
# this script is a pipe that only the engine holds. It also keeps the number of the group from being given to others.
_SCRIPT = """\
exec 3<&0 </dev/null
(exec >/dev/null 2>&1; trap '' TERM INT HUP; read -r _ <&3; kill -s TERM -- -$$; sleep 3
for each in $(grep -lxzF "$2" /proc/[0-9]*/environ); do each=${each%/environ}; kill -s KILL "${each#/proc/}"; done
kill -s KILL -- -$$) &
exec 3<&-
exec env "$2" sh -c "$1"
"""


class ProcessGroup:
    """`sh -c COMMAND` in a session of its own; its output is logged.

    A thread of its own waits for the command: uvloop's processes inherit descriptors of the engine, its end of the
    pipe among them.
    """

    def __init__(self, process: subprocess.Popen[bytes], output: Output, mark: str) -> None:
        self._process = process
        self._mark = mark
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
        mark = new_id()
        process = subprocess.Popen(
            ("sh", "-c", _SCRIPT, "sh", command, f"{MARK}={mark}"), stdin=lifeline, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            bufsize=0, cwd=cwd, env=env, start_new_session=True,
        )  # fmt: skip
        return cls(process, output, mark)

    @property
    def pid(self) -> int:
        """Of the command, and number of the group."""
        return self._process.pid

    async def code(self) -> int:
        """Wait for the command itself, not for what it left in the background: its exit code, negative for a signal."""
        return await asyncio.shield(self._ended)

    async def stop(self, limit_s: float = STOP_S) -> bool:
        """Ask all processes to end, and kill them when they have not done so in time; False then."""
        ends_at = self._loop.time() + limit_s
        self._signal(signal.SIGTERM)
        asking = asyncio.ensure_future(self._signal_strays(signal.SIGTERM))
        _, late = await asyncio.wait((self._ended, self._copying, asking), timeout=limit_s)
        while not late and await asyncio.to_thread(any_stray, self._mark):
            if self._loop.time() > ends_at:
                late.add(self._ended)
                break
            await asyncio.sleep(_LOOK_S)
        await self.kill()
        return not late

    async def kill(self) -> None:
        """End all processes at once."""
        self._signal(signal.SIGKILL)
        others = asyncio.ensure_future(self._signal_strays(signal.SIGKILL))
        await asyncio.wait((self._ended, self._copying, others), timeout=_KILLED_S)
        self._copying.cancel()  # somebody outside of the group may hold the pipe

    async def _signal_strays(self, number: signal.Signals) -> None:
        await asyncio.to_thread(signal_strays, self._mark, number, self.pid)

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
