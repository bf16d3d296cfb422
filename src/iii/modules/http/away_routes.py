"""Routes whose worker is away: it left without unregistering them, and may soon be there again (P13)."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

import msgspec

from iii.modules.http.routes import Match, Route, RouteConflict, RouteTable
from iii.protocol.log_event import LogEvent
from iii.protocol.route_path import InvalidPath

NOT_READ = LogEvent(
    __name__, "http.routes_not_read", logging.WARNING, "Remembered HTTP routes ignored: their file cannot be read",
    means="Until workers are connected again, requests for their routes get 404 instead of 503.",
    do="Look at permissions and contents of the file, or remove it.",
)  # fmt: skip
NOT_SAVED = LogEvent(
    __name__, "http.routes_not_saved", logging.WARNING, "HTTP routes not saved for the next start",
    means="After a restart, requests for routes whose workers are not back yet get 404 instead of 503.",
    do="Look at the permissions of the folder and the room on its disk.",
)  # fmt: skip

Name: TypeAlias = tuple[str, str]  # method and path, as registered

MOST_ROUTES = 10_000  # those that left first are forgotten first
MOST_CHARACTERS = 1000  # of a path that is remembered
_FILE_BYTES = MOST_ROUTES * (4 * MOST_CHARACTERS + 20)


class AwayRoutes:
    """For `grace_s` after a worker left, its routes are unavailable rather than unknown."""

    def __init__(
        self,
        grace_s: float,
        now: Callable[[], float],
        ignore_trailing_slash: bool = False,
        most_routes: int = MOST_ROUTES,
    ) -> None:
        self._most_routes = most_routes
        self._grace_s = grace_s
        self._now = now
        self._routes: RouteTable[float] = RouteTable(ignore_trailing_slash)  # the target: until when
        self._until: dict[Name, float] = {}  # the ones that left first are the first

    def add(self, name: Name) -> None:
        """Its last worker left."""
        self.forget(name)
        now = self._now()
        while self._until and (len(self._until) >= self._most_routes or next(iter(self._until.values())) <= now):
            self.forget(next(iter(self._until)))
        method, api_path = name
        if self._grace_s <= 0 or len(api_path) > MOST_CHARACTERS:
            return
        until = now + self._grace_s
        try:
            self._routes.add(Route(method, api_path, until, _id(name), self))
        except (InvalidPath, RouteConflict):  # one of the same shape is away too
            return
        self._until[name] = until

    def forget(self, name: Name) -> None:
        """It was unregistered, or somebody serves it."""
        if self._until.pop(name, None) is not None:
            self._routes.remove(_id(name), self)

    def has(self, method: str, path: str) -> bool:
        """Whether a request is for one of them."""
        if not self._until:
            return False
        found = self._routes.match(method, path)
        return isinstance(found, Match) and found.route.target > self._now()

    @property
    def names(self) -> list[Name]:
        """Those whose time is not over."""
        now = self._now()
        return [name for name, until in self._until.items() if until > now]


def _id(name: Name) -> str:
    return " ".join(name)


class RememberedRoutes:
    """The names of all routes in a file, for the next start. Written off the loop, soon after they change."""

    def __init__(self, folder: str, names: Callable[[], list[Name]], save_after_s: float = 1.0) -> None:
        self._save_after_s = save_after_s
        self._path = Path(folder) / "http" / "routes.json"
        self._names = names
        self._unsaved = False
        self._saving: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()

    async def read(self) -> list[Name]:
        """What was remembered."""
        return await asyncio.to_thread(_read, self._path)

    def changed(self) -> None:
        """Routes came or went; after `close` those that go stay remembered."""
        if self._closing.is_set():
            return
        self._unsaved = True
        if self._saving is None:
            self._saving = asyncio.get_running_loop().create_task(self._save())

    async def close(self) -> None:
        """Write what is not written yet."""
        self._closing.set()
        if self._saving is not None:
            await self._saving

    async def _save(self) -> None:
        while self._unsaved:  # many routes come at once
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), self._save_after_s)
            self._unsaved = False
            await asyncio.to_thread(_write, self._path, self._names())
        self._saving = None


def _read(path: Path) -> list[Name]:
    try:
        with path.open("rb") as file:
            return msgspec.json.decode(file.read(_FILE_BYTES + 1), type=list[Name])[:MOST_ROUTES]
    except FileNotFoundError:
        return []
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        NOT_READ(path=str(path), reason=type(error).__name__)
        return []


def _write(path: Path, names: list[Name]) -> None:
    """Replace the file as a whole, where the folder for data exists: an engine that keeps nothing makes none."""
    if not path.parent.parent.is_dir():
        return
    kept = [name for name in dict.fromkeys(names) if len(name[1]) <= MOST_CHARACTERS][:MOST_ROUTES]
    try:
        path.parent.mkdir(exist_ok=True)
        temporary = path.with_suffix(".new")
        temporary.write_bytes(msgspec.json.encode(kept))
        os.replace(temporary, path)
    except OSError as error:
        NOT_SAVED(path=str(path), reason=error.strerror)
