"""Work on large texts is done by another process, so that the loop goes on meanwhile.

A thread would not do: decoders keep the interpreter's lock.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import queue
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

from iii.net.decoding_process import FAILED, HEAD_BYTES
from iii.protocol.limits import MIB
from iii.protocol.log_event import LogEvent

TEXT_FAILED = LogEvent(
    __name__, "large_text.failed", logging.ERROR, "Large text dropped: the engine could not read it",
    means="The engine itself raised, such as without memory.",
    do="Look at the memory of the machine, or report it with its stack trace.",
)  # fmt: skip
READ_HERE = LogEvent(
    __name__, "large_text.read_here", logging.WARNING, "Large text read by the engine itself: no process could be started for it",
    means="Everybody waited meanwhile; the machine has no more processes, files or memory to give.",
    do="Raise the limit that `reason` names.",
)  # fmt: skip
PROCESS_FAILED = LogEvent(
    __name__, "large_text.process_failed", logging.WARNING, "Process that reads large texts failed",
    means="It was killed or did not answer. A new one tries once more; then the text is refused, or the engine reads it itself.",
    do="Look whether the system ends processes for want of memory.",
)  # fmt: skip

Work: TypeAlias = Callable[[bytes], Sequence[bytes]]
"""A function at the top of a module: any text to a few others. It raises nothing on any input."""
Parts: TypeAlias = list[bytes | bytearray]

ANSWER_S = 60.0  # Longest time that a decoding process may take for one text; then the process is replaced.
IDLE_S = 60.0  # then the process ends
_LANE_BYTES = 8 * MIB  # smaller texts do not wait behind larger ones
_PIPE_BYTES = 1 * MIB
# Most bytes of large texts that wait for a decoding process; further texts are refused, since their senders may be gone.
WAITING_BYTES = 1024 * MIB
_STOPPING = "the engine is stopping"


class DecodingProcesses:
    """Two processes that start when they are needed and end when they are idle."""

    def __init__(self) -> None:
        self._small, self._large = _Lane(), _Lane()
        self._waiting_bytes = 0

    def do(
        self,
        work: Work,
        data: bytes,
        done: Callable[[Any], None],
        finish: Callable[[Parts], Any] = lambda parts: parts,
        refuse: Callable[[str], Any] | None = None,
    ) -> None:
        """Call `done` on the running loop with what `finish` makes of `work(data)`. Of one lane's size in order.

        Args:
            finish: called on a thread, and raises nothing.
            refuse: makes of a reason what `done` gets where the text is not worked on: two processes have died over it, no
                thread can be started, or 1 GiB waits. Without it the engine does the work itself, whatever that costs.
        """
        loop, size = asyncio.get_running_loop(), len(data)

        def told(result: Any) -> None:
            self._waiting_bytes -= size
            done(result)

        lane = self._small if size <= _LANE_BYTES else self._large
        task = _Task(loop, work, data, told, finish, refuse)
        self._waiting_bytes += size
        if refuse is not None and self._waiting_bytes > WAITING_BYTES:
            loop.call_soon(
                told, refuse(f"{WAITING_BYTES // MIB} MiB of other large messages are waiting to be decoded")
            )
        elif not lane.put(task):
            loop.call_soon(lambda: told(task.without_process("the engine cannot start a thread")))

    async def ask(self, work: Work, data: bytes) -> Parts:
        """As `do`, for coroutines."""
        loop = asyncio.get_running_loop()
        told: asyncio.Future[Parts] = loop.create_future()

        def done(parts: Parts) -> None:
            if not told.done():  # somebody still waits
                told.set_result(parts)

        self.do(work, data, done)
        return await told

    def close(self) -> None:
        """What waits is refused, or not done any more where it cannot be."""
        self._small.close()
        self._large.close()


class _Task(NamedTuple):
    loop: asyncio.AbstractEventLoop
    work: Work
    data: bytes
    done: Callable[[Any], None]
    finish: Callable[[Parts], Any]
    refuse: Callable[[str], Any] | None

    def without_process(self, why: str) -> Any:
        return self.finish(list(self.work(self.data))) if self.refuse is None else self.refuse(why)


class _Broken(Exception):
    """The process does not do what it is there for."""


class _NotStarted(Exception):
    """There is none, such as without free descriptors."""


class _Lane:
    """One process and the thread that talks to it."""

    def __init__(self) -> None:
        self._waiting: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False

    def put(self, task: _Task) -> bool:
        """False: there is no thread for it, and none can be started."""
        if self._thread is None:
            thread = threading.Thread(target=self._serve, name="iii decoding", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                return False
            self._thread = thread
        self._waiting.put(task)
        return True

    def close(self) -> None:
        self._closed = True
        process = self._process
        if process is not None:
            process.kill()  # the thread notices
        with contextlib.suppress(queue.Empty):
            while task := self._waiting.get_nowait():
                if task.refuse is not None:
                    task.done(task.refuse(_STOPPING))
        self._waiting.put(None)

    def _serve(self) -> None:
        while True:
            try:
                task = self._waiting.get(timeout=IDLE_S)
            except queue.Empty:
                self._end_process()
                task = self._waiting.get()
            if task is None:
                self._end_process()
                return
            try:
                result = self._result(task)
            except Exception as error:  # such as MemoryError; who waits for `done` would wait without end
                TEXT_FAILED(error)
                result = None if task.refuse is None else task.refuse(f"the engine could not read it: {error}")
            with contextlib.suppress(RuntimeError):  # the loop has ended
                task.loop.call_soon_threadsafe(task.done, result)
            del task, result

    def _result(self, task: _Task) -> Any:
        for _ in range(2):  # one that was killed says nothing against the text
            try:
                return task.finish(self._ask(task))
            except _NotStarted as error:
                READ_HERE(bytes=len(task.data), reason=str(error))
                return task.finish(list(task.work(task.data)))
            except Exception as error:  # whatever the process said or did
                self._end_process()
                if self._closed and task.refuse is not None:
                    return task.refuse(_STOPPING)
                PROCESS_FAILED(bytes=len(task.data), reason=str(error))
        return task.without_process("two decoding processes failed to read it")

    def _ask(self, task: _Task) -> Parts:
        """Raises OSError, ValueError, _Broken or _NotStarted."""
        if self._process is None:
            try:
                self._process = _started()
            except OSError as error:
                raise _NotStarted(f"the decoding process could not be started: {error}") from None
        deadline = time.monotonic() + ANSWER_S
        for part in (f"{task.work.__module__}:{task.work.__qualname__}".encode(), task.data):
            self._write(len(part).to_bytes(HEAD_BYTES, "big"), deadline)
            self._write(part, deadline)
        count = self._number(deadline)
        if count == FAILED:
            raise _Broken(self._part(deadline).decode(errors="replace"))
        return [self._part(deadline) for _ in range(count)]

    def _write(self, data: bytes, deadline: float) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        pipe, view = self._process.stdin.fileno(), memoryview(data)
        while view:
            _wait(pipe, select.POLLOUT, deadline)
            view = view[os.write(pipe, view[:_PIPE_BYTES]) :]

    def _number(self, deadline: float) -> int:
        return int.from_bytes(self._read(HEAD_BYTES, deadline), "big")

    def _part(self, deadline: float) -> bytearray:
        return self._read(self._number(deadline), deadline)

    def _read(self, size: int, deadline: float) -> bytearray:
        assert self._process is not None
        assert self._process.stdout is not None
        pipe, found = self._process.stdout.fileno(), bytearray()
        while len(found) < size:
            _wait(pipe, select.POLLIN, deadline)
            piece = os.read(pipe, min(size - len(found), _PIPE_BYTES))
            if not piece:
                raise _Broken("it ended")
            found += piece
        return found

    def _end_process(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()


def _started() -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "iii.net.decoding_process"],  # -P: files of the working folder hide no library
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
        start_new_session=True,
    )
    for pipe in (process.stdin, process.stdout):
        assert pipe is not None
        os.set_blocking(pipe.fileno(), False)
        with contextlib.suppress(OSError, AttributeError):  # Linux; elsewhere it takes more turns
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    return process


def _wait(pipe: int, event: int, deadline: float) -> None:
    """Until there is something to do, or the other end is gone. Raises _Broken at the deadline."""
    polled = select.poll()  # `select` takes no descriptor above 1023 (F4)
    polled.register(pipe, event)
    if not polled.poll(max(0.0, deadline - time.monotonic()) * 1000):
        raise _Broken(f"no answer within {ANSWER_S:g} s")
