"""Functions that connections are about to register, and the calls that wait for them (N2)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Protocol

from iii.protocol.errors import ConnectionClosing

if TYPE_CHECKING:
    from iii.engine.invocation import Invocation


class Promiser(Protocol):
    """Whoever holds registrations back."""

    def when_released(self, action: Callable[[], None]) -> bool:
        """Run `action` once the registrations apply, or will never. False: too many wait already."""


class Expectations:
    """Who registers which id soon."""

    def __init__(self) -> None:
        self._promisers: dict[str, list[Promiser]] = {}  # by function id, the first comes first
        self._promised: dict[Promiser, set[str]] = {}

    def __len__(self) -> int:
        return len(self._promisers)

    def expect(self, function_id: str, promiser: Promiser) -> None:
        """That one registers the id when it says `met`."""
        promised = self._promised.setdefault(promiser, set())
        if function_id not in promised:
            promised.add(function_id)
            self._promisers.setdefault(function_id, []).append(promiser)

    def met(self, promiser: Promiser) -> Iterator[None]:
        """Its registrations apply now, or never will: no call waits for them any more. What remains is to forget them, one a step."""
        return self._forgetting(promiser, self._promised.pop(promiser, set()))

    def _forgetting(self, promiser: Promiser, promised: set[str]) -> Iterator[None]:
        for function_id in promised:
            promisers = self._promisers[function_id]
            promisers.remove(promiser)
            if not promisers:
                del self._promisers[function_id]
            yield

    def hold(self, invocation: Invocation, go_on: Callable[[Invocation], None]) -> bool:
        """Keep a call whose target is expected, until it `go_on`es. False: nobody has promised it, or too many wait."""
        for promiser in self._promisers.get(invocation.function_id, ()):
            if promiser in self._promised:
                break
        else:
            return False
        caller = invocation.caller
        size = invocation.keep()
        if caller is not None and not caller.waiting.take(size):
            why = f"calls that wait for registrations exceed the limit of {caller.waiting.limit} bytes"
            invocation.refuse(ConnectionClosing(why))
            return True

        def released() -> None:
            if caller is not None:
                caller.waiting.give_back(size)
            withdrawn = invocation.call_id is not None and invocation.waiter is None
            if not withdrawn:
                go_on(invocation)

        held = promiser.when_released(released)
        if not held and caller is not None:
            caller.waiting.give_back(size)
        return held
