"""Carries out a plan; if a step fails, the steps before it are taken back (18 §3.1, L11)."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from iii.engine.engine import Engine
from iii.engine.module import Adjusted
from iii.protocol.log_event import LogEvent
from iii.protocol.start_failure import StartFailure
from iii.server.config_file import ModuleEntry
from iii.server.part import QUIET_S, Part, placed
from iii.server.plan import Plan
from iii.server.takes_effect import takes_effect

NOT_TAKEN_BACK = LogEvent(
    __name__, "reload.not_taken_back", logging.ERROR, "Module does not run any more: a reload failed, and so did the return to its old settings",
    means="The old settings of the module could not be had again, such as a port that another process took meanwhile.",
    do="Do what `reason` says, then restart the engine.",
)  # fmt: skip

STOP_S = 3.8


class Commit:
    """One plan on its way.

    Attributes:
        parts: what runs now; changed in place.
        later: settings that count at the next start of the engine, each with the module's name, or modules alone.
    """

    def __init__(self, engine: Engine, parts: list[Part]) -> None:
        self.engine = engine
        self.parts = parts
        self.later: list[str] = []
        self._kept: set[Part] = set()
        self._undo: list[tuple[ModuleEntry, Callable[[], Awaitable[object]]]] = []

    async def run(self, plan: Plan) -> None:
        """Raises StartFailure: nothing has changed."""
        new = [Part(self.engine, entry) for entry in plan.added]
        try:
            for part in plan.removed:
                await self._remove(part)
            waiting = await self._change_all(plan.changed, retries=True)
            for part in new:
                await self._add(part)
            await self._change_all(waiting, retries=False)
        except BaseException:
            await self._take_back()
            raise
        for part, entry in (*plan.unchanged, *plan.changed):
            if part in self._kept:  # some of it may count already
                entry = entry._replace(config=part.in_force)
            if part in self.parts:
                part.move(entry)
        for part in plan.removed:
            if part not in self.parts:
                part.module.removed()

    async def _change_all(
        self, changes: tuple[tuple[Part, ModuleEntry], ...], *, retries: bool
    ) -> tuple[tuple[Part, ModuleEntry], ...]:
        """Those that failed, perhaps since another module still has what they want."""
        failed = []
        for part, entry in changes:
            place = self.parts.index(part)
            try:
                await self._change(part, entry)
            except StartFailure:
                if not retries:
                    raise
                failed.append((self.parts[place], entry))  # perhaps one that was made again
        return tuple(failed)

    async def _change(self, part: Part, entry: ModuleEntry) -> None:
        old = part.entry
        with placed(entry):
            how = await part.module.adjust(entry.config)
        if how is Adjusted.MODULE:
            await self._replace(part, entry)
            return
        self._undo.append((old, lambda: part.module.adjust(old.config)))
        if how is Adjusted.ENGINE:
            self.later += _waiting(old, entry)
            self._kept.add(part)

    async def _replace(self, part: Part, entry: ModuleEntry) -> None:
        new = Part(self.engine, entry)  # what is wrong by itself is found while the old one still runs
        await self._stop(part)
        place = self.parts.index(part)
        try:
            await new.start()
        except BaseException:
            await new.done("stop", STOP_S)
            await self._taken_back(part.entry, lambda: self._start(Part(self.engine, part.entry), place))
            raise
        self.engine.add_module(new.module)
        self.parts[place] = new
        self._undo.append((part.entry, lambda: self._back(new, part.entry)))

    async def _back(self, new: Part, entry: ModuleEntry) -> None:
        place = self.parts.index(new)
        await self._stop(new)
        await self._start(Part(self.engine, entry), place)

    async def _start(self, part: Part, place: int) -> None:
        await part.start()
        self.engine.add_module(part.module)
        self.parts[place] = part

    async def _add(self, part: Part) -> None:
        try:
            await part.start()
        except BaseException:
            await part.done("stop", STOP_S)
            raise
        self.engine.add_module(part.module)
        self.parts.append(part)
        self._undo.append((part.entry, lambda: self._remove(part)))

    async def _remove(self, part: Part) -> None:
        if not part.module.removable:
            self.later.append(part.entry.instance)
            return
        await self._stop(part)
        self.parts.remove(part)

        async def back() -> None:
            again = Part(self.engine, part.entry)
            await again.start()
            self.engine.add_module(again.module)
            self.parts.append(again)

        self._undo.append((part.entry, back))

    async def _stop(self, part: Part) -> None:
        """Its functions go first, so that no call comes to what is closed."""
        await part.done("quiet", QUIET_S)
        self.engine.remove_module(part.module)
        await part.done("stop", STOP_S)

    async def _take_back(self) -> None:
        for entry, undo in reversed(self._undo):
            await self._taken_back(entry, undo)
        self._undo.clear()

    async def _taken_back(self, entry: ModuleEntry, undo: Callable[[], Awaitable[object]]) -> None:
        try:
            await undo()
        except Exception as error:
            NOT_TAKEN_BACK(error, module=entry.instance, reason=str(error))


def _waiting(old: ModuleEntry, new: ModuleEntry) -> list[str]:
    """The options that differ and have to wait, or the module if none of them is known to."""
    names = zip(new.config.__struct_fields__, new.config.__struct_encode_fields__, strict=True)
    found = [
        f"{key} of {new.instance}"
        for field, key in names
        if getattr(old.config, field) != getattr(new.config, field)
        and takes_effect(new.instance, key) is Adjusted.ENGINE
    ]
    return found or [new.instance]
