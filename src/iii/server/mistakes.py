"""Mistakes of one configuration file: all are told at once (07 §4.4)."""

from collections.abc import Iterator
from contextlib import contextmanager

from iii.protocol.start_failure import StartFailure


class Mistakes:
    """Notes what is wrong, and goes on."""

    def __init__(self) -> None:
        self._found: list[StartFailure] = []

    def note(self, text: str) -> None:
        self._found.append(StartFailure(text))

    @contextmanager
    def noted(self) -> Iterator[None]:
        """A StartFailure ends only what is done within."""
        try:
            yield
        except StartFailure as error:
            self._found.append(error)

    def told(self) -> None:
        """Raises StartFailure with a line for each that was noted, in their order."""
        if len(self._found) == 1:
            raise self._found[0]
        if self._found:
            raise StartFailure("\n".join(map(str, self._found)))
