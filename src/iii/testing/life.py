"""The life of a test engine: on a thread of its own, from its start to its stop."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from iii.testing.loop_thread import LoopThread
from iii.testing.settings import EngineSettings
from iii.testing.workbench import Connectable, Workbench

__tracebackhide__ = True  # of pytest: a failed test shows its own lines


class Life:
    """Starts and stops, as a context or by itself."""

    def __init__(self, apps: Sequence[Connectable], settings: EngineSettings) -> None:
        for app in apps:
            if isinstance(app, type):
                raise TypeError(f"TestEngine takes apps, got the class {app.__name__}; write {app.__name__}(…)")
            if not callable(getattr(app, "connect", None)):
                raise TypeError(f"TestEngine takes apps, got {type(app).__name__}; has it a method connect(address)?")
        self._apps = apps
        self._settings = settings
        self._thread = LoopThread(settings.deadline_s)
        self._bench: Workbench | None = None

    def start(self) -> Self:
        """Begin, as entering the context does; `stop` ends it."""
        if self._thread.runs:
            raise RuntimeError("this test engine runs already")
        self._thread.start()
        try:
            self._thread.run(self._open())
        except BaseException:
            self._thread.stop()
            raise
        return self

    def stop(self) -> None:
        """Disconnect the apps and end. Again does nothing. Raises what an app raises at its end."""
        bench, self._bench = self._bench, None
        if bench is not None:
            try:
                self._thread.run(bench.close())
            finally:
                self._thread.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.stop()
        except Exception as another:
            if error is None:
                raise
            error.add_note(f"and at the end of the test engine: {type(another).__name__}: {another}")

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.start)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.__exit__, kind, error, trace)

    @property
    def address(self) -> str:
        """For `register_worker`, `connect_worker` and `App.connect` in this process, on any event loop, and for `III_URL`."""
        return self._running.address

    @property
    def _running(self) -> Workbench:
        if self._bench is None:
            raise RuntimeError("this test engine does not run: use it within `with TestEngine(app) as engine:`")
        return self._bench

    async def _open(self) -> None:
        bench = Workbench(self._settings)
        await bench.open(self._apps)
        self._bench = bench
