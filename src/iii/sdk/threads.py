"""Threads for sync handlers: reused while idle, a new one when all are busy, so that nesting cannot deadlock (08 §7.2)."""

import itertools
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue

IDLE_S = 10.0  # an idle thread ends after this

Job = Callable[[], object]


class HandlerThreads:
    """Runs each job at once on a thread of its own; never queues one behind another."""

    def __init__(self) -> None:
        self._idle: list[_HandlerThread] = []
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._closed = False

    def run(self, job: Job) -> None:
        """Start the job; it must not raise."""
        try:
            thread = self._idle.pop()  # the last one to become idle, its caches are warm
        except IndexError:
            thread = _HandlerThread(self, next(self._numbers))
            thread.start()
        thread.jobs.put(job)

    def rests(self, thread: "_HandlerThread") -> bool:
        """The thread has nothing to do; False tells it to end."""
        with self._lock:
            if not self._closed:
                self._idle.append(thread)
            return not self._closed

    def leaves(self, thread: "_HandlerThread") -> bool:
        """The thread was idle for long; False if a job is already on its way to it."""
        with self._lock:
            try:
                self._idle.remove(thread)
            except ValueError:
                return False
            return True

    def close(self) -> None:
        """End the idle threads; those that run a job end after it."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for thread in idle:
            thread.jobs.put(None)


class _HandlerThread(threading.Thread):
    def __init__(self, owner: HandlerThreads, number: int) -> None:
        super().__init__(name=f"iii handler {number}", daemon=True)
        self.owner = owner
        self.jobs: SimpleQueue[Job | None] = SimpleQueue()

    def run(self) -> None:
        while True:
            try:
                job = self.jobs.get(timeout=IDLE_S)
            except Empty:
                if self.owner.leaves(self):
                    return
                continue
            if job is None:
                return
            job()
            del job  # its payload must not live as long as this thread rests
            if not self.owner.rests(self):
                return
