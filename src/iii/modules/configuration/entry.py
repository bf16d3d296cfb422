"""One configuration entry, and what stands behind the entry of a module (18 §2.1)."""

from __future__ import annotations

import re
from typing import Protocol

import msgspec
from msgspec import UNSET, Raw, UnsetType

from iii.modules.configuration.codes import ADAPTER_ERROR, SCHEMA_INVALID
from iii.modules.configuration.folder import StoredEntry
from iii.modules.configuration.requests import ConfigurationEntry, ConfigurationSchema
from iii.modules.configuration.templates import Filled
from iii.protocol.json_text import holds_more_than, nests_deeper_than
from iii.protocol.limits import CONFIGURATION_PLACEHOLDERS, CONFIGURATION_VALUE_BYTES, CONFIGURATION_VALUES

NULL = b"null"
_ID = re.compile(r"[a-z0-9_-]{1,64}")
_LEVELS = 90  # a file that is read again has at most 100
_sorted = msgspec.json.Encoder(order="sorted")


class ModuleSettings(Protocol):
    """The settings of a module of the engine: its entry is there without being registered."""

    id: str
    aliases: tuple[str, ...]
    name: str
    description: str

    @property
    def schema(self) -> bytes:
        """JSON Schema of its value."""

    def block(self) -> bytes:
        """What the configuration file says, as JSON; counts as long as nothing is stored."""

    def live(self) -> bytes:
        """What the module runs with, as JSON."""

    def problem(self, value: Filled) -> str | None:
        """Why it cannot run with this, without values of variables."""

    def changed(self) -> None:
        """The stored value is another one, or is gone."""


class SettingsEntry(msgspec.Struct, frozen=True, kw_only=True):
    """As it is now; everything but texts is JSON.

    Attributes:
        schema: None until its owner has registered it.
        metadata: None if there is none.
        value: with placeholders as they were written.
        file: the file that has it.
    """

    id: str
    name: str
    description: str
    schema: bytes | None = None
    metadata: bytes | None = None
    value: bytes = NULL
    file: str

    @property
    def size(self) -> int:
        texts = len(self.id) + len(self.name) + len(self.description)
        return texts + len(self.schema or b"") + len(self.metadata or b"") + len(self.value)

    def stored(self) -> StoredEntry:
        return StoredEntry(
            id=self.id, name=self.name, description=self.description, metadata=self.metadata, value=self.value
        )

    def shown(self) -> ConfigurationEntry:
        return ConfigurationEntry(
            id=self.id,
            name=self.name,
            description=self.description,
            schema=Raw(self.schema or NULL),
            value=Raw(self.value),
            metadata=self._metadata,
        )

    def listed(self) -> ConfigurationSchema:
        return ConfigurationSchema(
            id=self.id,
            name=self.name,
            description=self.description,
            schema=Raw(self.schema or NULL),
            metadata=self._metadata,
        )

    @property
    def _metadata(self) -> Raw | UnsetType:
        return UNSET if self.metadata is None else Raw(self.metadata)


def is_valid_id(entry_id: str) -> bool:
    return _ID.fullmatch(entry_id) is not None


def same(left: bytes, right: bytes) -> bool:
    """Whether two JSON texts are one value; the order of members does not matter."""
    return left == right or _sorted.encode(msgspec.json.decode(left)) == _sorted.encode(msgspec.json.decode(right))


def settled(what: str, sent: Raw | UnsetType) -> bytes:
    """JSON from outside, within bounds and in one spelling; null for what is absent. Raises SCHEMA_INVALID."""
    text = NULL if sent is UNSET else bytes(sent)
    if len(text) > CONFIGURATION_VALUE_BYTES:
        raise SCHEMA_INVALID(f"{what} of {len(text)} bytes exceeds the limit of {CONFIGURATION_VALUE_BYTES}")
    if holds_more_than(text, 3 * CONFIGURATION_VALUES):
        raise SCHEMA_INVALID(f"{what} exceeds the limit of {CONFIGURATION_VALUES} values")
    if nests_deeper_than(text, _LEVELS):
        raise SCHEMA_INVALID(f"{what} nests deeper than the limit of {_LEVELS} levels")
    try:
        text = msgspec.json.encode(msgspec.json.decode(text))
    except (msgspec.MsgspecError, ValueError, OverflowError) as error:
        raise SCHEMA_INVALID(f"{what} is not valid: {error}") from None
    if text.count(b"${") > CONFIGURATION_PLACEHOLDERS:
        raise SCHEMA_INVALID(f"{what} exceeds the limit of {CONFIGURATION_PLACEHOLDERS} placeholders")
    return text


def storage_failed(error: OSError) -> Exception:
    return ADAPTER_ERROR(f"{error.strerror or error} (os error {error.errno})")
