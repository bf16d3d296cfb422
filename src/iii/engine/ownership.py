"""Who serves an id now, and who takes over when they leave (N4, N6, N7, 01 §6.3)."""

from collections.abc import Callable, Iterator
from typing import Generic, Protocol, TypeVar

from iii.engine.owner import Owner

Key = tuple[str, str]  # namespace, id


class Claim(Protocol):
    """One owner's registration of one key."""

    @property
    def key(self) -> Key: ...

    @property
    def owner(self) -> Owner: ...


C = TypeVar("C", bound=Claim)


class Ownership(Generic[C]):
    """For each key the claims of all its living owners; the last one is active, the one below it is next.

    `on_change(key, previous, current)` is told whenever another claim becomes active, None standing for nobody.
    """

    def __init__(self, on_change: Callable[[Key, C | None, C | None], None]) -> None:
        self._stacks: dict[Key, list[C]] = {}
        self._by_owner: dict[Owner, dict[Key, C]] = {}
        self._on_change = on_change

    def active(self, key: Key) -> C | None:
        stack = self._stacks.get(key)
        return stack[-1] if stack else None

    def __iter__(self) -> Iterator[C]:
        """Every active claim."""
        return (stack[-1] for stack in self._stacks.values())

    def claims_of(self, owner: Owner) -> list[C]:
        """Active and standby claims of one owner."""
        return list(self._by_owner.get(owner, {}).values())

    def holds(self, owner: Owner) -> bool:
        return owner in self._by_owner

    def claim(self, claim: C, takes_over: bool) -> C | None:
        """Add or, for the same owner, replace a claim.

        Returns the incumbent that stays active in spite of a newcomer that does not take over, else None.
        """
        stack = self._stacks.setdefault(claim.key, [])
        mine = self._by_owner.setdefault(claim.owner, {})
        previous = stack[-1] if stack else None
        earlier = mine.get(claim.key)
        mine[claim.key] = claim
        if earlier is not None:
            stack[stack.index(earlier)] = claim
        elif previous is None or takes_over or previous.owner.ended:
            stack.append(claim)
        else:
            stack.insert(-1, claim)
        if stack[-1] is claim:
            self._on_change(claim.key, previous, claim)
            return None
        return previous

    def release(self, key: Key, owner: Owner) -> bool:
        """Take back one claim; False if that owner has none."""
        mine = self._by_owner.get(owner, {})
        claim = mine.pop(key, None)
        if claim is None:
            return False
        if not mine:
            del self._by_owner[owner]
        stack = self._stacks[key]
        was_active = stack[-1] is claim
        stack.remove(claim)
        current = stack[-1] if stack else None
        if not stack:
            del self._stacks[key]
        if was_active:
            self._on_change(key, claim, current)
        return True

    def releasing(self, owner: Owner) -> Iterator[None]:
        """Take back every claim of an owner, one a step."""
        for key in list(self._by_owner.get(owner, ())):
            self.release(key, owner)
            yield
