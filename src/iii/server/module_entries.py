"""The configuration entries of the modules that run (18 §3.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache

import msgspec
from msgspec import Raw

from iii.modules.configuration.module import Configuration
from iii.modules.configuration.requests import RunningOption
from iii.modules.configuration.templates import Filled
from iii.protocol.start_failure import StartFailure
from iii.server.catalogue import KnownModule
from iii.server.config_file import settings_of
from iii.server.effective import effective
from iii.server.part import Part
from iii.server.stored_settings import Stored, among, schema_of
from iii.server.variables import Variables

_schema_of = cache(schema_of)


class ModuleEntrySettings:
    """Of one module, whichever instance of it runs."""

    def __init__(
        self, known: KnownModule, parts: Sequence[Part], changed: Callable[[], None], reloading: Callable[[], bool]
    ) -> None:
        self.id = known.name
        self.aliases: tuple[str, ...] = () if known.alias is None else (known.alias,)
        self.name = known.name.removeprefix("iii-").capitalize()
        self.description = known.load().description
        self._changed = changed
        self._reloading = reloading
        self._known = known
        self._parts = parts

    @property
    def schema(self) -> bytes:
        return _schema_of(self._known)

    @property
    def _part(self) -> Part:
        return next(part for part in self._parts if part.entry.known is self._known)

    def block(self) -> bytes:
        """Of the configuration file, with placeholders as they are written, or `{}`."""
        return msgspec.json.encode(self._part.entry.block or {})

    def live(self) -> bytes:
        """With all defaults."""
        return msgspec.json.encode(self._part.in_force)

    def changed(self) -> None:
        """Unless the module runs with that, as at a start, and no reload that has read another value is at work."""
        entries = configuration(self._parts).entries
        entry = entries.stored.get(self.id)
        now = among([] if entry is None else [(self.id, entries.filled(entry.value), entry.file)]).get(self.id)
        if (None if now is None else now.value) != self._part.entry.stored or self._reloading():
            self._changed()

    def problem(self, value: Filled) -> str | None:
        settings = msgspec.json.decode(value.value)
        if settings is None:
            return "expected a mapping, got nothing; configuration::delete takes stored settings back"
        try:
            settings_of(self._known, settings)
        except StartFailure as error:
            text = Variables(value.variables).hidden(str(error))
            return "; ".join(line.removeprefix(": ") for line in text.splitlines())
        return None


def attach(parts: Sequence[Part], changed: Callable[[], None], reloading: Callable[[], bool]) -> None:
    """The modules that run now have entries, others have none."""
    wanted = [part.entry.known for part in parts if part.entry.known.has_entry]
    module = configuration(parts)
    module.running = lambda: _running(parts)
    module.attach_all([ModuleEntrySettings(known, parts, changed, reloading) for known in wanted])


def _running(parts: Sequence[Part]) -> Iterator[RunningOption]:
    entries = [part.entry._replace(config=part.in_force) for part in parts]
    for instance, values in effective(entries).items():
        for value in values:
            yield RunningOption(instance, value.key, Raw(msgspec.json.encode(value.public)), value.origin)


def stored(parts: Sequence[Part]) -> Stored:
    """What is set; a value that needs a missing variable does not count."""
    entries = configuration(parts).entries
    return among(
        (entry_id, entries.filled(entry.value), str(entries.folder.path / entry.file))
        for entry_id, entry in entries.stored.items()
    )


def configuration(parts: Sequence[Part]) -> Configuration:
    return next(part.module for part in parts if isinstance(part.module, Configuration))
