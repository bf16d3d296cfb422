"""A built-in part of the engine: an owner inside the process, with no private door (00 §1)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from iii.engine.bindings import Binding
from iii.engine.builtin import Builtin, Declaration
from iii.engine.functions import Function
from iii.engine.trigger_types import TriggerType
from iii.protocol.names import DEFAULT_NAMESPACE

if TYPE_CHECKING:
    from iii.engine.engine import Engine
    from iii.engine.observing.source import EventSource
    from iii.engine.ownership import Key
    from iii.protocol.measurement import Measurement


class Adjusted(Enum):
    """How far new settings count."""

    NOW = "at once"
    MODULE = "when the module is started again"
    ENGINE = "when the engine is started again"


class Module:
    """Base of all modules; listed as a runtime worker (02 §3.4).

    A subclass names itself, declares its functions with `@builtin`, its trigger types in `trigger_types()`, and opens
    and closes what it needs in `start` and `stop`; what calls functions by itself ends that in `quiet`.
    """

    name: ClassVar[str]  # canonical (00 §6)
    description: ClassVar[str]
    mandatory: ClassVar[bool] = False
    removable: ClassVar[bool] = True  # while the engine runs
    parts: ClassVar[tuple[Callable[..., object], ...]] = ()  # classes with more `@builtin` methods

    worker_id = ""
    identity = None
    in_process = True
    ended = False
    begins_traces = False
    passed_over = False
    handling = ()

    def __init__(self, engine: Engine, instance: str | None = None) -> None:
        self.engine = engine
        self.instance = instance or self.name  # the second of a kind is `iii-x#1`
        self.connected_at_ms = engine.clock.time_ms()

    @property
    def display_name(self) -> str:
        return self.name

    @property
    def unwell(self) -> bool:
        """Whether it cannot do what it is for, such as write to its store."""
        return False

    @property
    def disconnected(self) -> str | None:
        """Another engine that it needs, while it is not connected to it: address and reason. None: nothing is missing."""
        return None

    def takes_calls(self) -> bool:
        """Always."""
        return True

    async def measurements(self) -> Sequence[Measurement]:
        """What it counts beside its calls, as that is now; asked at each scrape, so that it should be cheap (16 §1)."""
        return ()

    async def start(self) -> None:
        """Open what the module needs; functions and trigger types of all modules are registered by then (L3)."""

    async def adjust(self, config: Any) -> Adjusted:
        """Run with other settings from now on, as far as that is possible; for MODULE nothing changes (18 §3.2).

        Raises StartFailure: they cannot be had, such as a port that is in use; nothing has changed.
        """
        return Adjusted.MODULE

    async def renew(self) -> None:
        """Look at files that its settings name, such as certificates; asked several times a second while the engine runs."""

    async def quiet(self) -> None:
        """Begin nothing more of one's own accord, and let what was begun end; all modules at once, before any stops (L4)."""

    async def stop(self) -> None:
        """Let go of it again (L4)."""

    def removed(self) -> None:
        """It was stopped and does not come back, for it is no longer in the configuration."""

    def part(self, kind: Callable[..., object]) -> object:
        """Make one of `parts`."""
        return kind(self.engine)

    def functions(self) -> Iterator[Function]:
        """The declared builtins, of its parts too."""
        for part in (self, *map(self.part, self.parts)):
            kind: Any = type(part)
            for attribute, declaration in _declared(kind):
                yield self._function(Builtin(getattr(part, attribute), declaration, self.engine.spawn))

    def sources(self) -> Iterator[EventSource]:
        """What clients without triggers observe instead; the same objects whenever it is asked. None by default (21 §13)."""
        yield from ()

    def trigger_types(self) -> Iterator[TriggerType]:
        """What the module provides; none by default."""
        yield from ()

    def bind(self, binding: Binding) -> None:
        """Check and take a binding of one of the module's trigger types; the core keeps it.

        Raises:
            TriggerRegistrationFailed: with the text its owner gets.
        """

    def unbind(self, binding: Binding) -> None:
        """A binding is gone."""

    def evicted(self, key: Key) -> None:
        """Modules are trusted."""

    def distrusted(self, key: Key) -> None:
        """Modules are trusted."""

    def binding_refused(self, binding: Binding, registered_id: str, error: bytes) -> None:
        """Modules own no bindings."""

    def _function(self, builtin: Builtin) -> Function:
        return Function(
            DEFAULT_NAMESPACE,
            builtin.function_id,
            self,
            builtin.deliver,
            description=builtin.description,
            request_format=builtin.request_schema,
            response_format=builtin.response_schema,
        )


@cache
def _declared(kind: type[object]) -> list[tuple[str, Declaration]]:
    """The builtins of a class, of which a test makes many."""
    found = ((attribute, getattr(getattr(kind, attribute), "__builtin__", None)) for attribute in dir(kind))
    return [(attribute, declaration) for attribute, declaration in found if isinstance(declaration, Declaration)]
