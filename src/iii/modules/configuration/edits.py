"""Edits of the files of entries, noticed while the engine runs (18 §2.6)."""

from __future__ import annotations

import asyncio
import logging

from iii.modules.configuration.entries import Change, ConfigurationEntries, KnownFile
from iii.modules.configuration.entry import SettingsEntry, same
from iii.modules.configuration.folder import LookedAt, StoredEntry, UnreadableEntry, read_entry
from iii.protocol.log_event import LogEvent

FILE_SKIPPED = LogEvent(
    __name__, "configuration.file_skipped", logging.WARNING, "Skipping configuration file with invalid YAML",
    means="A file of a configuration entry cannot be read, or is not an entry; the last good value stays in force.",
    do="Correct the file as `reason` says.",
)  # fmt: skip
EDIT_REJECTED = LogEvent(
    __name__, "configuration.edit_rejected", logging.WARNING, "Edit of a configuration file rejected; the previous value stays in force",
    means="The value in the file does not fit the schema of the entry, or refers to a variable that is not set.",
    do="Correct the value in the file.",
)  # fmt: skip
EDIT_APPLIED = LogEvent(
    __name__, "configuration.edited", logging.INFO, "Configuration entry changed by an edit of its file",
    means="Somebody changed, added or removed a file in the folder of the entries.",
)  # fmt: skip
FOLDER_FAILED = LogEvent(
    __name__, "configuration.folder_failed", logging.WARNING, "Folder of configuration entries cannot be read; entries stay as they are",
    means="The system refuses to list the folder.",
    do="Look at the permissions of the folder.",
)  # fmt: skip

LOOK_S = 0.5  # between two looks; what changed is read when it has not changed since the look before


class Edits:
    """Reads the folder at the start, then looks for edits.

    It looks at names, times and sizes instead of waiting for the system to tell: that sees folders which do not exist yet,
    mounted ones, and links that are switched, and costs next to nothing.
    """

    def __init__(self, entries: ConfigurationEntries) -> None:
        self._entries = entries
        self._unsettled: dict[str, LookedAt] = {}  # changed at the last look
        self._folder_failed = False

    async def read_all(self) -> None:
        """What is there at the start."""
        async with self._entries.lock:
            for name, looked in (await self._look({}) or {}).items():
                if looked is not None:
                    await self._take(name, looked, edited=False)

    async def watch(self) -> None:
        """Until it is cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            await self.look()

    async def look(self) -> None:
        """Once. What has changed counts at the next look, if it is still the same."""
        entries = self._entries
        async with entries.lock:  # the engine itself writes meanwhile otherwise
            found = await self._look({name: known.signature for name, known in entries.files.items()})
            if found is None:
                return
            changed = {name: looked for name, looked in found.items() if looked is not None}
            settled = {name: looked for name, looked in changed.items() if self._unsettled.get(name) == looked}
            self._unsettled = {name: looked for name, looked in changed.items() if name not in settled}
            for name in [name for name in entries.files if name not in found]:
                self._gone(name)
            for name, looked in settled.items():
                await self._take(name, looked)

    async def _look(self, known: dict[str, tuple[int, int, int, int]]) -> dict[str, LookedAt | None] | None:
        try:
            found = await asyncio.to_thread(self._entries.folder.look, known)
        except OSError as error:
            if not self._folder_failed:
                FOLDER_FAILED(folder=str(self._entries.folder.path), reason=error.strerror)
            self._folder_failed = True
            return None
        self._folder_failed = False
        return found

    def _gone(self, name: str) -> None:
        known = self._entries.files.pop(name)
        entry = self._entries.stored.get(known.entry_id or "")
        if entry is not None and entry.file == name:
            EDIT_APPLIED(configuration=entry.id, file=name, removed=True)
            self._entries.forget(entry)

    async def _take(self, name: str, looked: LookedAt, edited: bool = True) -> None:
        entries = self._entries
        known = entries.files.get(name)
        entry_id = known.entry_id if known is not None else None
        entries.files[name] = KnownFile(looked.signature, looked.content, entry_id)
        if looked.content is None:
            FILE_SKIPPED(file=name, reason=looked.problem)
            return
        if known is not None and known.content == looked.content:
            return
        try:
            said = await asyncio.to_thread(read_entry, looked.content)
        except UnreadableEntry as error:
            FILE_SKIPPED(file=name, reason=str(error))
            return
        said_id = entries.canonical(said.id)
        other = entries.stored.get(said_id)
        if other is not None and other.file != name and other.file in entries.files:
            FILE_SKIPPED(file=name, reason=f"the entry '{said_id[:100]}' is in {other.file}")
            return
        entries.files[name] = KnownFile(looked.signature, looked.content, said_id)
        if entry_id is not None and entry_id != said_id and entry_id in entries.stored:
            entries.forget(entries.stored[entry_id])
        await self._adopt(said, said_id, name, edited)

    async def _adopt(self, said: StoredEntry, entry_id: str, name: str, edited: bool) -> None:
        entries = self._entries
        before = entries.stored.get(entry_id)
        module = entry_id in entries.modules
        live = entries.get(entry_id) if module or before is not None else None
        entry = SettingsEntry(
            id=entry_id, name=said.name, description=said.description, metadata=said.metadata, value=said.value,
            schema=live.schema if live is not None else None, file=name,
        )  # fmt: skip
        if (why := await self._problem(entry)) is not None:
            EDIT_REJECTED(configuration=entry_id, file=name, reason=why)
            return
        change = None
        if live is None:
            change = Change("configuration:registered", entry, b"null", entry.value)
        elif not same(live.value, entry.value) or (
            not module and (live.name, live.description) != (entry.name, entry.description)
        ):
            change = Change("configuration:updated", entry, live.value, entry.value)
        if change is not None and edited:
            EDIT_APPLIED(configuration=entry_id, file=name)
        entries.adopt(entry, change)

    async def _problem(self, entry: SettingsEntry) -> str | None:
        """In words that may be logged. Only where a schema is known."""
        if entry.schema is None:
            return None
        found = self._entries.filled(entry.value)
        if found.missing:
            return f"environment variable(s) not set: {', '.join(found.missing)}"
        return await self._entries.problem(entry, found, hides_values=True)
