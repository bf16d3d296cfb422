"""The ids that a client gave, and those that the engine knows what it registered by: prefixes and hooks change them (20 §3)."""

from __future__ import annotations


class GivenIds:
    """Of one kind of thing, of one connection."""

    __slots__ = ("_given", "_stored")

    def __init__(self) -> None:
        self._stored: dict[str, str] = {}
        self._given: dict[str, str] = {}

    def put(self, given: str, stored: str) -> str | None:
        """Note what an id is stored as. The id that it was stored as so far, if that is another one and not somebody else's by now."""
        earlier = self.take(given)
        self._stored[given] = stored
        self._given[stored] = given
        return earlier if earlier != stored else None

    def take(self, given: str) -> str | None:
        """Forget an id; what it was stored as, unless another one is stored as that."""
        stored = self._stored.pop(given, None)
        if stored is None or self._given.get(stored) != given:
            return None
        del self._given[stored]
        return stored

    def stored(self, given: str) -> str | None:
        return self._stored.get(given)

    def given(self, stored: str) -> str:
        """As the client knows it; unchanged if it was never changed."""
        return self._given.get(stored, stored)
