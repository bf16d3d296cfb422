"""Something that an app makes once, when it starts, and closes when it has stopped (11 §2)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

T = TypeVar("T")
Hook = Callable[[], Any]

_NOTHING: Any = object()


class Dependency(Generic[T]):
    """What `App.dependency` makes of a function: calling it gives the one instance."""

    def __init__(self, make: Callable[[], Any], app: str) -> None:
        self.make = make
        self.app = app
        self._instance: T = _NOTHING
        self._override: T = _NOTHING
        self.__name__ = getattr(make, "__name__", type(make).__name__)
        self.__doc__ = make.__doc__

    def __call__(self) -> T:
        """The instance, from any thread. Raises RuntimeError: the app has not made it yet, or closed it."""
        if self._override is not _NOTHING:
            return self._override
        if self._instance is _NOTHING:
            raise RuntimeError(
                f"dependency '{self.__name__}' exists while app '{self.app}' runs: app.run() or app.connect() makes it"
            )
        return self._instance

    @contextmanager
    def override(self, instance: T) -> Iterator[None]:
        """Give this one instead, for tests; an app that starts meanwhile makes none."""
        before, self._override = self._override, instance
        try:
            yield
        finally:
            self._override = before

    def __repr__(self) -> str:
        return f"<Dependency {self.__name__!r} of app {self.app!r}>"

    # -- behind the doors -----------------------------------------------------------------------------------------

    @property
    def overridden(self) -> bool:
        """Whether another instance is given instead, so that none need be made."""
        return self._override is not _NOTHING

    def made(self, instance: T) -> None:
        """This is the instance, until `closed`."""
        self._instance = instance

    def closed(self) -> None:
        self._instance = _NOTHING
