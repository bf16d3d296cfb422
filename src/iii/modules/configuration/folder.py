"""Entries in files: `<id>.yaml`, each replaced as a whole (18 §2.6)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import msgspec
import yaml

from iii.net.opening import open_at_once
from iii.protocol.limits import CONFIGURATION_ENTRIES, CONFIGURATION_FILE_BYTES, CONFIGURATION_PLACEHOLDERS
from iii.storage.sync import sync_path
from iii.storage.yaml_text import compose, construct, dump

SUFFIX = ".yaml"
Signature: TypeAlias = tuple[int, int, int, int]
_sorted = msgspec.json.Encoder(order="sorted")


class StoredEntry(msgspec.Struct, frozen=True, kw_only=True):
    """What a file says; `value` and `metadata` are JSON, the latter None if there is none."""

    id: str
    name: str
    description: str
    metadata: bytes | None = None
    value: bytes = b"null"


class UnreadableEntry(Exception):
    """A file that is no entry; the text says why."""


class LookedAt(NamedTuple):
    """One file as it is now.

    Attributes:
        content: None: too large, or not to be read; `problem` says so.
    """

    signature: Signature
    content: bytes | None
    problem: str = ""


class _File(msgspec.Struct):
    id: str
    name: str
    description: str = ""
    metadata: Any = None
    value: Any = None


def read_entry(content: bytes) -> StoredEntry:
    """Raises UnreadableEntry."""
    try:
        node = compose(content.decode("utf-8-sig"))
        said = msgspec.convert(None if node is None else construct(node), _File)
        metadata = None if said.metadata is None else _sorted.encode(said.metadata)
        value = _sorted.encode(said.value)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark is not None else ""
        raise UnreadableEntry(f"{line}not valid YAML: {getattr(error, 'problem', None) or error}") from None
    except (UnicodeDecodeError, msgspec.MsgspecError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise UnreadableEntry(f"not an entry: {error}") from None
    if value.count(b"${") > CONFIGURATION_PLACEHOLDERS:
        raise UnreadableEntry(f"the value exceeds the limit of {CONFIGURATION_PLACEHOLDERS} placeholders")
    return StoredEntry(id=said.id, name=said.name, description=said.description, metadata=metadata, value=value)


def entry_text(entry: StoredEntry) -> bytes:
    """The file; keys in the order in which people read them, those of values sorted."""
    said: dict[str, Any] = {"id": entry.id, "name": entry.name, "description": entry.description}
    if entry.metadata is not None:
        said["metadata"] = _plain(entry.metadata)
    said["value"] = _plain(entry.value)
    return dump(said).encode()


def _plain(text: bytes) -> Any:
    return msgspec.json.decode(_sorted.encode(msgspec.json.decode(text)))


class ConfigurationFolder:
    """Every method waits for the disk: call them on a thread."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def file_of(self, entry_id: str) -> str:
        return f"{entry_id}{SUFFIX}"

    def look(self, known: Mapping[str, Signature]) -> dict[str, LookedAt | None]:
        """All files by name; None for one that is as it is known. Raises OSError; a missing folder is an empty one."""
        try:
            with os.scandir(self.path) as found:
                names = sorted(each.name for each in found if each.name.endswith(SUFFIX) and each.name[0] != ".")
        except FileNotFoundError:
            return {}
        looked: dict[str, LookedAt | None] = {}
        for name in names[:CONFIGURATION_ENTRIES]:
            with suppress(FileNotFoundError):
                looked[name] = self._look_at(name, known.get(name))
        return looked

    def _look_at(self, name: str, known: Signature | None) -> LookedAt | None:
        path = self.path / name
        try:
            signature = signature_of(path.stat())
            if signature == known:
                return None
            with open(path, "rb", opener=open_at_once) as file:
                content = file.read(CONFIGURATION_FILE_BYTES + 1)
        except FileNotFoundError:
            raise
        except OSError as error:
            return LookedAt((0, 0, 0, 0), None, error.strerror or str(error))
        if len(content) > CONFIGURATION_FILE_BYTES:
            return LookedAt(signature, None, f"more than {CONFIGURATION_FILE_BYTES} bytes")
        return LookedAt(signature, content)

    def write(self, name: str, content: bytes) -> Signature:
        """Once this returns, the file survives a crash of the machine; before, the old one does. Raises OSError."""
        self.path.mkdir(parents=True, exist_ok=True)
        target, temporary = self.path / name, self.path / f"{name}.tmp"
        mode = target.stat().st_mode & 0o777 if target.exists() else 0o600  # it may hold secrets
        with open(temporary, "wb", opener=lambda path, flags: os.open(path, flags, mode)) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
        sync_path(self.path)
        return signature_of(target.stat())

    def remove(self, name: str) -> None:
        """Raises OSError."""
        with suppress(FileNotFoundError):
            (self.path / name).unlink()
            sync_path(self.path)


def signature_of(status: os.stat_result) -> Signature:
    """Changes whenever the file does."""
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino
