"""The core of the engine in memory: workers are objects, nothing is started, no time passes by itself."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from iii.engine.access.guard import Access
from iii.engine.engine import Engine, EngineOptions
from iii.engine.module import Module
from iii.testing.clock import FakeClock
from iii.testing.link import MemoryLink
from iii.testing.worker import MemoryWorker


class MemoryEngine:
    """The engine with the modules a test wants; none is needed for routing.

    Attributes:
        core: the engine itself.
    """

    def __init__(
        self,
        clock: FakeClock,
        options: EngineOptions | None = None,
        modules: Iterable[type[Module]] = (),
        spawn: Callable[[Coroutine[Any, Any, None]], object] | None = None,
    ) -> None:
        self.clock = clock
        self.core = Engine(clock, options or EngineOptions(version="0.1.0"), spawn)
        for module in modules:
            self.core.add_module(module(self.core))

    def connect(
        self,
        *,
        name: str | None = None,
        version: str | None = "0.25.0",
        runtime: str = "python",
        namespace: str | None = None,
        functions: Iterable[str] = (),
        announce: bool = True,
        access: Access | None = None,
        **metadata: Any,
    ) -> MemoryWorker:
        """A worker; announced last, like published clients do, unless told otherwise. Trusted without `access`."""
        link = MemoryLink()
        worker = MemoryWorker(self.clock, link, self.core.connect(link, access=access))
        worker.register(*functions)
        if announce:
            members = {"name": name, "version": version, "runtime": runtime, "namespace": namespace, **metadata}
            worker.announce(**{key: value for key, value in members.items() if value is not None})
        if link.pauses:
            self.clock.advance(0)
        return worker

    def drop_all_workers(self) -> None:
        """Every connection ends."""
        for session in list(self.core.roster.connections.values()):
            session.close()
        self.clock.advance(0)  # what is done in turns
