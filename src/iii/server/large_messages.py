"""Large messages are decoded by another process, so that the loop goes on meanwhile.

A thread would not do: the decoder keeps the interpreter's lock. A message of up to 2 MiB takes some 10 ms and is decoded
where it came.
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
from collections.abc import Callable
from typing import Any

import msgspec

from iii.protocol.codec import Undecodable, worker_message_decoder
from iii.protocol.large_message import Reading, put_together, take_apart
from iii.protocol.limits import MIB
from iii.server.large_reader import HEAD_BYTES

logger = logging.getLogger(__name__)

Done = Callable[[Any], None]  # called on the loop with the message, or with Undecodable

ANSWER_S = 60.0  # a process that takes longer for 64 MiB does not run
IDLE_S = 60.0  # then the process ends
_LANE_BYTES = (8 * MIB, 64 * MIB)  # small ones do not wait behind large ones
_PIPE_BYTES = 1 * MIB


class LargeMessages:
    """Two processes that start when they are needed and end when they are idle."""

    def __init__(self) -> None:
        self._lanes = [_Lane() for _ in _LANE_BYTES]

    def read(self, data: bytes, done: Done) -> None:
        """Decode `data` elsewhere, then call `done` on the running loop. Who wants order waits for `done`."""
        lane = next(lane for lane, limit in zip(self._lanes, _LANE_BYTES, strict=True) if len(data) <= limit)
        lane.put(data, done)

    def close(self) -> None:
        """What waits is not read any more."""
        for lane in self._lanes:
            lane.close()


class _Broken(Exception):
    """The process does not do what it is there for."""


class _Lane:
    """One process and the thread that talks to it."""

    def __init__(self) -> None:
        self._waiting: queue.SimpleQueue[tuple[bytes, Done] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def put(self, data: bytes, done: Done) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting.put((data, done))
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="iii large messages", daemon=True)
            self._thread.start()

    def close(self) -> None:
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
            data, done = task
            result = self._result(data)
            assert self._loop is not None
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(done, result)
            del task, data, done, result

    def _result(self, data: bytes) -> Any:
        decoder = worker_message_decoder()
        try:
            try:
                reading, mended = self._ask(data)
            except (OSError, ValueError, _Broken, msgspec.DecodeError) as error:
                self._end_process()
                logger.warning("Large message decoded in the engine itself: the reading process failed: %s", error)
                reading, mended = take_apart(decoder, data)
            return put_together(decoder, reading, mended if reading.mended else data)
        except Undecodable as error:
            return error

    def _ask(self, data: bytes) -> tuple[Reading, bytes]:
        """Raises OSError, ValueError, _Broken or DecodeError."""
        if self._process is None:
            self._process = _started()
        deadline = time.monotonic() + ANSWER_S
        self._write(len(data).to_bytes(HEAD_BYTES, "big"), deadline)
        self._write(data, deadline)
        reading = msgspec.json.decode(self._part(deadline), type=Reading)
        return reading, self._part(deadline)

    def _write(self, data: bytes, deadline: float) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        pipe, view = self._process.stdin.fileno(), memoryview(data)
        while view:
            _wait([], [pipe], deadline)
            view = view[os.write(pipe, view[:_PIPE_BYTES]) :]

    def _part(self, deadline: float) -> bytes:
        size = int.from_bytes(self._read(HEAD_BYTES, deadline), "big")
        return bytes(self._read(size, deadline))

    def _read(self, size: int, deadline: float) -> bytearray:
        assert self._process is not None
        assert self._process.stdout is not None
        pipe, found = self._process.stdout.fileno(), bytearray()
        while len(found) < size:
            _wait([pipe], [], deadline)
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
        [sys.executable, "-m", "iii.server.large_reader"],
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


def _wait(read: list[int], write: list[int], deadline: float) -> None:
    """Until there is something to do. Raises _Broken at the deadline."""
    if not any(select.select(read, write, [], max(0.0, deadline - time.monotonic()))):
        raise _Broken(f"it did not answer within {ANSWER_S:g} s")
