"""Threads for sync handlers: reused while idle, a new one when all are busy, so that nesting cannot deadlock (08 §7.2).

Jobs that end at once are run one after another by the same thread, which costs nothing but themselves; a job that blocks
holds up nobody, because whoever takes a job while others wait has called the next thread first.
"""

import itertools
import threading
from _thread import allocate_lock
from collections import deque
from collections.abc import Callable

IDLE_S = 10.0  # an idle thread ends after this

Job = Callable[[], object]


class HandlerThreads:
    """Runs every job soon, whatever the others do.

    As long as a job waits, a thread that runs none is on its way to it: that is all there is to know about deadlocks.
    """

    def __init__(self, idle_s: float = IDLE_S) -> None:
        self.idle_s = idle_s
        self._jobs: deque[Job] = deque()
        self._idle: list[_HandlerThread] = []
        self._coming = False  # a thread was called and has not arrived yet
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._running = 0  # jobs
        self.closed = False

    @property
    def busy(self) -> bool:
        """Whether any job waits or runs."""
        with self._lock:
            return bool(self._jobs) or self._running > 0

    @property
    def has_this(self) -> bool:
        """Whether the running thread is one of these."""
        thread = threading.current_thread()
        return isinstance(thread, _HandlerThread) and thread.owner is self

    @property
    def waiting(self) -> bool:
        """Whether jobs wait at this moment."""
        return bool(self._jobs)

    def run(self, job: Job) -> None:
        """Start the job, which must not raise. Raises RuntimeError if the system has no more threads."""
        with self._lock:
            self._jobs.append(job)
            called = self._next_thread()
        if called is not None:
            self._call(called, job)

    def take(self, thread: "_HandlerThread", arrives: bool) -> Job | None:
        """The next job for a thread, None for nothing to do; then it counts as idle. Without `arrives` it ends the last one."""
        with self._lock:
            if arrives:
                self._coming = False
            else:
                self._running -= 1
            if not self._jobs:
                if not self.closed:
                    self._idle.append(thread)
                return None
            job = self._jobs.popleft()
            self._running += 1
            called = self._next_thread() if self._jobs else None
        if called is not None:
            self._call(called, None)
        return job

    def leaves(self, thread: "_HandlerThread") -> bool:
        """The thread was idle for long; False if it was called in this moment."""
        with self._lock:
            if thread not in self._idle:
                return False
            self._idle.remove(thread)
            return True

    def close(self) -> None:
        """End the idle threads; those that run a job end after it."""
        with self._lock:
            self.closed = True
            idle, self._idle = self._idle, []
        for thread in idle:
            thread.called.release()

    def end_after_fork(self) -> None:
        """In a forked child: no thread came along but perhaps the one that forked, which ends after its job."""
        self._lock = threading.Lock()
        self.closed = True
        self._jobs.clear()
        self._idle = []

    def _next_thread(self) -> "_HandlerThread | None":
        """The thread to call, under the lock; None if one is coming already."""
        if self._coming:
            return None
        self._coming = True
        if self._idle:
            return self._idle.pop()  # the last one to become idle, its caches are warm
        return _HandlerThread(self, next(self._numbers))

    def _call(self, thread: "_HandlerThread", job: Job | None) -> None:
        if thread.ident is not None:
            thread.called.release()
            return
        try:
            thread.start()
        except RuntimeError:
            with self._lock:
                self._coming = False
                if job is None or job not in self._jobs:
                    return  # whoever runs the present jobs takes the rest when they end
                self._jobs.remove(job)
            raise


class _HandlerThread(threading.Thread):
    def __init__(self, owner: HandlerThreads, number: int) -> None:
        super().__init__(name=f"iii handler {number}", daemon=True)
        self.owner = owner
        self.called = allocate_lock()
        self.called.acquire()

    def run(self) -> None:
        arrives = True
        while True:
            job = self.owner.take(self, arrives)
            if job is not None:
                arrives = False
                try:
                    job()
                except BaseException:
                    pass  # it has told who waits for it; this thread has others to serve
                del job  # its payload must not live as long as this thread rests
            elif self.owner.closed:
                return
            elif self.called.acquire(timeout=self.owner.idle_s):
                arrives = True
            elif self.owner.leaves(self):
                return
            else:
                self.called.acquire()
                arrives = True
