"""Who serves an id now, and who takes over when they leave (N4, N6, N7, 01 §6.3)."""

from collections.abc import Callable, Iterator, Sequence
from typing import Generic, Protocol, TypeVar

from iii.engine.owner import Owner

Key = tuple[str, str]  # namespace, id


class Claim(Protocol):
    """One owner's registration of one key."""

    @property
    def key(self) -> Key: ...

    @property
    def owner(self) -> Owner: ...

    @property
    def shared(self) -> bool:
        """Whether it serves side by side with the other shared claims of its key (P8)."""


C = TypeVar("C", bound=Claim)


class Ownership(Generic[C]):
    """For each key the claims of all its living owners; the last one is active, the one below it is next.

    Shared claims stand above the others, and serve together while one of them is active.
    `on_change(key, previous, current)` is told whenever another claim becomes active, None standing for nobody, or the
    shared claims beside the active one are others.
    """

    def __init__(self, on_change: Callable[[Key, C | None, C | None], None]) -> None:
        self._stacks: dict[Key, list[C]] = {}
        self._by_owner: dict[Owner, dict[Key, C]] = {}
        self._on_change = on_change

    def active(self, key: Key) -> C | None:
        stack = self._stacks.get(key)
        return stack[-1] if stack else None

    def serving(self, key: Key) -> Sequence[C]:
        """The active claim, or all shared ones in the order in which they came."""
        stack = self._stacks[key]
        return stack[_first_shared(stack) :][::-1] if stack[-1].shared else stack[-1:]

    def serves(self, claim: C) -> bool:
        """Whether it is active, or shares with the active one."""
        active = self.active(claim.key)
        return active is claim or (claim.shared and active is not None and active.shared)

    def claims(self, key: Key) -> Sequence[C]:
        """Of all its owners, the active one last."""
        return self._stacks.get(key, ())

    def __iter__(self) -> Iterator[C]:
        """Every active claim."""
        return (stack[-1] for stack in self._stacks.values())

    def claims_of(self, owner: Owner) -> list[C]:
        """Active and standby claims of one owner."""
        return list(self._by_owner.get(owner, {}).values())

    def holds(self, owner: Owner) -> bool:
        return owner in self._by_owner

    def strangers(self, key: Key, owner: Owner) -> list[C]:
        """Claims of those that do not share ids with an owner (20 §5)."""
        return [claim for claim in self._stacks.get(key, ()) if claim.owner.identity != owner.identity]

    def claim_of(self, owner: Owner, key: Key) -> C | None:
        """One owner's claim, active or not."""
        return self._by_owner.get(owner, {}).get(key)

    def claim(self, claim: C, takes_over: bool) -> C | None:
        """Add or, for the same owner, replace a claim.

        Returns the incumbent that makes a standby of it, else None: it serves.
        """
        stack = self._stacks.setdefault(claim.key, [])
        mine = self._by_owner.setdefault(claim.owner, {})
        previous = stack[-1] if stack else None
        earlier = mine.get(claim.key)
        mine[claim.key] = claim
        if earlier is not None and earlier.shared == claim.shared:
            stack[stack.index(earlier)] = claim
        else:
            if earlier is not None:
                stack.remove(earlier)
            stack.insert(_place(stack, claim, takes_over), claim)
        active = stack[-1]
        if active is claim or claim.shared or (earlier is not None and earlier.shared):
            self._on_change(claim.key, previous, active)
        return None if active is claim or claim.shared else active

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
        elif claim.shared and current is not None and current.shared:
            self._on_change(key, current, current)
        return True

    def releasing(self, owner: Owner) -> Iterator[None]:
        """Take back every claim of an owner, one a step."""
        for key in list(self._by_owner.get(owner, ())):
            self.release(key, owner)
            yield


def _place(stack: Sequence[C], claim: C, takes_over: bool) -> int:
    """Where a new claim goes: among shared ones the first of them is active as long as it lives."""
    top = len(stack)
    if not stack:
        return top
    first = _first_shared(stack)
    if claim.shared or (first < top and not all(each.owner.ended for each in stack[first:])):
        return first
    return top if takes_over or stack[-1].owner.ended else top - 1


def _first_shared(stack: Sequence[C]) -> int:
    """Where the shared claims on top begin; past the end if there are none."""
    at = len(stack)
    while at and stack[at - 1].shared:
        at -= 1
    return at
