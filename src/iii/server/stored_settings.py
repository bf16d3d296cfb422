"""Values of modules' configuration entries: they hide blocks of the configuration file (C7, 18 §3.3)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, NamedTuple, TypeAlias

import msgspec

from iii.engine.schema import json_schema
from iii.modules.configuration.config import ConfigurationConfig
from iii.modules.configuration.entry import NULL
from iii.modules.configuration.folder import ConfigurationFolder, UnreadableEntry, read_entry
from iii.modules.configuration.templates import Filled, filled
from iii.server import catalogue
from iii.server.catalogue import KnownModule
from iii.storage.adapter import Adapters


class StoredValue(NamedTuple):
    """What was set.

    Attributes:
        value: JSON-like, placeholders filled.
        source: the file that has it.
        variables: name and value of those that were filled in.
    """

    value: Any
    source: str
    variables: tuple[tuple[str, str], ...] = ()


Stored: TypeAlias = Mapping[str, StoredValue]
"""By canonical name of a module."""


def on_disk(config: ConfigurationConfig, environment: Mapping[str, str]) -> Stored:
    """What an engine finds when it starts; files that are no entries, or need a variable, are left to the module to report."""
    return {} if config.folder is None else among(_entries(ConfigurationFolder(config.folder), environment))


def _entries(folder: ConfigurationFolder, environment: Mapping[str, str]) -> Iterator[tuple[str, Filled, str]]:
    with suppress(OSError):
        for name, looked in folder.look({}).items():
            if looked is not None and looked.content is not None:
                with suppress(UnreadableEntry):
                    entry = read_entry(looked.content)
                    yield entry.id, filled(entry.value, environment), str(folder.path / name)


def among(entries: Iterable[tuple[str, Filled, str]]) -> Stored:
    """Those of modules: id, value and source of each; a value that needs a missing variable does not count."""
    found: dict[str, StoredValue] = {}
    for entry_id, value, source in entries:
        known = catalogue.by_name(entry_id)
        if known is not None and known.has_entry and not value.missing and value.value != NULL:
            found.setdefault(known.name, StoredValue(msgspec.json.decode(value.value), source, value.variables))
    return found


def schema_of(known: KnownModule) -> bytes:
    """JSON Schema of a module's settings; other members are not allowed."""
    config = known.config_type()
    schema = _closed(msgspec.json.decode(json_schema(config)))
    adapters: Adapters | None = getattr(config, "adapters", None)
    if adapters is not None:
        branches = [_branch(name, block) for name, block in adapters.blocks.items()]
        parts = [schema, *(branch["properties"]["config"] for branch in branches)]
        named = {name: part for each in parts for name, part in each.pop("$defs", {}).items()}  # of the whole alone
        schema["properties"]["adapter"] = {"oneOf": branches}
        schema |= {"$defs": named} if named else {}
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
