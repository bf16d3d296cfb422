"""Values of modules' configuration entries: they hide blocks of the configuration file (C7, 18 §3.3)."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple, TypeAlias

import msgspec

from iii.engine.schema import json_schema
from iii.modules.configuration.config import ConfigurationConfig
from iii.modules.configuration.entry import NULL
from iii.modules.configuration.folder import ConfigurationFolder, UnreadableEntry, read_entry
from iii.modules.configuration.templates import filled
from iii.server import catalogue
from iii.server.catalogue import KnownModule
from iii.storage.adapter import Adapters


class StoredValue(NamedTuple):
    """What was set.

    Attributes:
        value: JSON-like, placeholders filled.
        source: the file that has it.
    """

    value: Any
    source: str


Stored: TypeAlias = Mapping[str, StoredValue]
"""By canonical name of a module."""


def on_disk(config: ConfigurationConfig, environment: Mapping[str, str]) -> Stored:
    """What an engine finds when it starts; files that are no entries, or need a variable, are left to the module to report."""
    found: dict[str, StoredValue] = {}
    if config.folder is None:
        return found
    folder = ConfigurationFolder(config.folder)
    with suppress(OSError):
        for name, looked in folder.look({}).items():
            with suppress(UnreadableEntry):
                if looked is None or looked.content is None:
                    continue
                entry = read_entry(looked.content)
                known, value = catalogue.by_name(entry.id), filled(entry.value, environment)
                if known is None or not known.has_entry or value.missing or value.value == NULL:
                    continue
                if known.name not in found:
                    found[known.name] = StoredValue(msgspec.json.decode(value.value), str(folder.path / name))
    return found


def schema_of(known: KnownModule) -> bytes:
    """JSON Schema of a module's settings; other members are not allowed."""
    config = known.config_type()
    schema = _closed(msgspec.json.decode(json_schema(config)))
    adapters: Adapters | None = getattr(config, "adapters", None)
    if adapters is not None:
        schema["properties"]["adapter"] = {"oneOf": [_branch(name, block) for name, block in adapters.blocks.items()]}
    return msgspec.json.encode(schema)


def _branch(name: str, block: type[msgspec.Struct]) -> dict[str, Any]:
    config = _closed(msgspec.json.decode(json_schema(block)))
    config.pop("$schema", None)
    properties = {"name": {"enum": [name]}, "config": config}
    return {"title": name, "type": "object", "properties": properties, "additionalProperties": False}


def _closed(node: Any) -> Any:
    if isinstance(node, list):
        return [_closed(item) for item in node]
    if not isinstance(node, dict):
        return node
    closed = {key: _closed(value) for key, value in node.items()}
    if isinstance(pattern := closed.get("pattern"), str):  # Python's own, and ECMA's in schemas
        closed["pattern"] = pattern.replace(r"\Z", "$")
        if "(?" in pattern:
            del closed["pattern"]
    return {**closed, "additionalProperties": False} if isinstance(node.get("properties"), dict) else closed
