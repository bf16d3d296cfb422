"""Key-value files that other engines left behind, read and never written (05 §7.1, C9)."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import msgspec

from iii.protocol.log_event import LogEvent
from iii.storage.items import Entry, Group

NOT_IMPORTED = LogEvent(
    __name__, "store.file_not_imported", logging.WARNING, "File of an older engine not imported",
    means="It is not readable, or not in a form that is known. The file is left alone, and the engine starts without its items.",
    do="Restore the file from a backup if its items are needed.",
)  # fmt: skip

_STREAM = "stream:"
_ROOT_BYTES = 8


def old_groups(folder: Path, part: str) -> Iterator[tuple[str, Group, list[Entry]]]:
    """File name, group and items of each file of that part, `state` or `stream`; one that cannot be read is left out."""
    if not folder.is_dir():
        return
    for path in sorted(folder.glob("*.bin")):
        group = _group(unquote(path.stem), part)
        if group is None:
            continue
        try:
            yield path.name, group, _entries(archived_text(path.read_bytes()))
        except (OSError, ValueError) as error:
            NOT_IMPORTED(file=str(path), reason=str(error))


def archived_text(data: bytes) -> str:
    """The text of an archive of one: its last eight bytes hold it, or say where it is. Raises ValueError."""
    root = len(data) - _ROOT_BYTES
    if root < 0:
        raise ValueError(f"not an archive: only {len(data)} bytes")
    if data[root] & 0xC0 != 0x80:
        return data[root:].split(b"\xff", 1)[0].decode()
    word = int.from_bytes(data[root : root + 4], "little")
    length = (word & 0x3F) | ((word & ~0xFF) >> 2)
    start = root + int.from_bytes(data[root + 4 :], "little", signed=True)
    if not 0 <= start <= start + length <= root:
        raise ValueError("not an archive: its text is outside of the file")
    return data[start : start + length].decode()


def _entries(text: str) -> list[Entry]:
    values = json.loads(text)
    if not isinstance(values, dict):
        raise ValueError("not a JSON object")
    return [Entry(key, _json(value)) for key, value in values.items()]


def _json(value: object) -> bytes:
    try:
        return msgspec.json.encode(value)
    except (OverflowError, UnicodeEncodeError):
        return json.dumps(value).encode()


def _group(index: str, part: str) -> Group | None:
    """State: the scope. Streams: the name ends at the first colon, but the engine's own names have colons themselves."""
    if part == "state":
        return None if index.startswith(_STREAM) else (index, "")
    if not index.startswith(_STREAM):
        return None
    names = index.removeprefix(_STREAM)
    stream, colon, group = names.rpartition(":") if names.startswith("iii:") else names.partition(":")
    return (stream, group) if colon else None
