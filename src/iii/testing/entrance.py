"""Who is connected to a test engine, and whether others are let in."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from iii.engine.session.peer import Ending
from iii.testing.traffic import CUT, Traffic

if TYPE_CHECKING:
    from iii.engine.session.session import Session
    from iii.testing.memory_ends import EngineEnd

TEST_NAME = "the-test"  # of the test's own worker, which nothing befalls


class Entrance:
    """On the engine's loop."""

    def __init__(self, connect: Callable[[EngineEnd], Session], traffic: Traffic) -> None:
        self._connect = connect
        self._traffic = traffic
        self._ends: list[EngineEnd] = []
        self._waiting: list[tuple[EngineEnd, Callable[[], object]]] = []
        self._open = True

    @property
    def ends(self) -> list[EngineEnd]:
        """Those that live."""
        self._ends = [end for end in self._ends if not end.ended]
        return self._ends

    @property
    def is_complete(self) -> bool:
        """Whether all who want to be connected are, and have said who they are."""
        returned = not self._traffic.away or not self._open
        return returned and all(end.session is not None and end.session.announced for end in self.ends)

    def admit(self, end: EngineEnd, admitted: Callable[[], object]) -> None:
        """A worker wants to connect; it is told when it may."""
        if not self._open:
            self._waiting.append((end, admitted))
            return
        if not end.ended:
            self._traffic.away = max(0, self._traffic.away - 1)
            self._ends.append(end)
            end.session = self._connect(end)
        admitted()

    def close(self) -> None:
        """Let nobody in until `open`."""
        self._open = False

    def open(self) -> None:
        """Let everybody in, those who wait first."""
        self._open = True
        waiting, self._waiting = self._waiting, []
        for end, admitted in waiting:
            self.admit(end, admitted)

    def cut(self, name: str | None = None) -> None:
        """The processes of workers die: all but the test's own, or those of one name. Raises LookupError: there is none."""
        lost = [end for end in self.ends if end.name != TEST_NAME and _is_called(end, name)]
        if not lost:
            known = ", ".join(sorted({str(end.name) for end in self.ends if end.name != TEST_NAME})) or "none"
            wanted = "no worker is" if name is None else f"no worker {name!r} is"
            raise LookupError(f"{wanted} connected; connected workers: {known}")
        for end in lost:
            end.lose(Ending.LOST, CUT)

    def dismiss(self, code: int) -> None:
        """The engine ends every connection, and lets nobody in."""
        self.close()
        for end in self.ends:
            end.close(code)

    def refuse_waiting(self) -> None:
        """Those who wait are told that they wait for nothing."""
        waiting, self._waiting = self._waiting, []
        for end, admitted in waiting:
            end.lose(Ending.LOST, CUT, returns=False)
            admitted()


def _is_called(end: EngineEnd, name: str | None) -> bool:
    """Whether it is a worker of that name, or of an app of that name, whose workers add four characters."""
    return name is None or end.name == name or (end.name or "").rpartition("-")[0] == name
