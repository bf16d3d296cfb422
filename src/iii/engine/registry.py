"""Everything that owners register: functions, trigger types, bindings; and in which order it goes with them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, ClassVar, Protocol

from iii.engine.binding_owners import BindingOwners
from iii.engine.bindings import Bindings
from iii.engine.expectations import Expectations
from iii.engine.functions import Function, FunctionRegistry
from iii.engine.owner import Owner
from iii.engine.schema import made
from iii.engine.trigger_types import TriggerType, TriggerTypeRegistry

if TYPE_CHECKING:
    from iii.engine.observing.source import EventSource
    from iii.engine.ownership import Key
    from iii.engine.turns import Turns
    from iii.protocol.measurement import Measurement


class Installed(Owner, Protocol):
    """An owner inside the engine process, as lists show it."""

    name: ClassVar[str]
    description: ClassVar[str]
    mandatory: ClassVar[bool]
    instance: str
    connected_at_ms: int

    @property
    def unwell(self) -> bool:
        """Whether it cannot do what it is for, such as write."""

    @property
    def disconnected(self) -> str | None:
        """Which other engine it misses, and why."""

    async def measurements(self) -> Sequence[Measurement]:
        """What it counts beside its calls."""

    def functions(self) -> Iterator[Function]:
        """What it serves."""

    def sources(self) -> Iterator[EventSource]:
        """What of it is there to be observed."""

    def trigger_types(self) -> Iterator[TriggerType]:
        """What it provides."""


class Registry:
    """Of one engine."""

    def __init__(self, turns: Turns) -> None:
        self.functions = FunctionRegistry()
        self.expected = Expectations()
        self.trigger_types = TriggerTypeRegistry()
        self.bindings = Bindings(self.trigger_types, turns, self.functions.entrusted)
        self.binding_owners = BindingOwners(self.bindings, self.functions.ownership)

    def install(self, module: Installed, observable: Iterable[Function] = ()) -> None:
        """Register what a part of the engine serves and provides, and what of it is only there to be observed."""
        for function in (*module.functions(), *observable):
            self.evict_from_function(function.key, module)
            self.functions.add_builtin(function)
        for trigger_type in module.trigger_types():
            self.evict_from_type(trigger_type.key, module)
            self.trigger_types.register(trigger_type)

    def making_schemas(self) -> Iterator[None]:
        """Make those of builtins, one a step, before somebody asks for all of them at once."""
        formats = [function.formats for function in self.functions]
        for schema in chain.from_iterable([*formats, *(each.schemas for each in self.trigger_types)]):
            made(schema)
            yield

    def evict_from_function(self, key: Key, owner: Owner) -> None:
        """Ids belong to trusted owners: one takes a function from sessions that have it (20 §5)."""
        for claim in self.functions.ownership.strangers(key, owner):
            self.functions.ownership.release(key, claim.owner)
            self.binding_owners.disclaimed(claim.owner, key)
            claim.owner.evicted(key)

    def evict_from_type(self, key: Key, owner: Owner) -> None:
        """The same for a trigger type."""
        for claim in self.trigger_types.ownership.strangers(key, owner):
            self.trigger_types.ownership.release(key, claim.owner)
            claim.owner.evicted(key)

    def withdrawing(self, owner: Owner, calls: Iterable[None] = ()) -> Iterator[None]:
        """Take back everything that an owner registered, one a step (01 §9).

        First its functions, so that no new call reaches it; then `calls`, those it runs; then its triggers, and only
        then its trigger types, as its own triggers must not be parked for want of them.
        """
        yield from self.functions.ownership.releasing(owner)
        yield from calls
        yield from self.binding_owners.dropping(owner)
        yield from self.trigger_types.ownership.releasing(owner)
