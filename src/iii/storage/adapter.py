"""The `adapter` of a module's block: which store, and where (05 §7, C5, C9)."""

from __future__ import annotations

import logging
import typing
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from iii.net.start_failure import StartFailure
from iii.storage.items import Items
from iii.storage.memory_items import MemoryItems

logger = logging.getLogger(__name__)

C = TypeVar("C", bound=Struct)

SAVE_INTERVAL_MS = 5000


class AdapterConfig(Struct, frozen=True, kw_only=True):
    """One adapter by its name, with a block of its own."""

    name: str | None = None
    class_: Annotated[str | None, Meta(description="Older spelling of `name`.")] = msgspec.field(
        name="class", default=None
    )
    config: dict[str, Any] | None = None

    def kind(self, aliases: Mapping[str, str], default: str = "kv") -> str:
        """The canonical name. Raises StartFailure if there is no such adapter."""
        if self.name is not None and self.class_ is not None:
            logger.warning("adapter: `name` and `class` are both given; `name` counts")
        called = self.name or self.class_ or default
        kind = aliases.get(called, called)
        if kind not in aliases.values():
            available = ", ".join(sorted(set(aliases.values())))
            near = get_close_matches(called, sorted(aliases), n=1)
            hint = f". Did you mean '{near[0]}'?" if near else ""
            raise StartFailure(f"Adapter factory '{called}' not found. Available: [{available}]{hint}")
        return kind

    def block(self, declared: type[C], place: str) -> C:
        """Its own block.

        Raises StartFailure, beginning with `place`, for a value of the wrong kind, and for a key that is not known;
        where the adapter is given by `class`, as in old files, that is ignored with a warning (C4).
        """
        given = self.config or {}
        known = sorted(field.encode_name for field in msgspec.structs.fields(declared))
        for key in sorted(given.keys() - set(known)):
            near = get_close_matches(str(key), known, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(known)}"
            text = f"{place}: unknown key 'adapter.config.{key}', {hint}"
            if self.name is not None or self.class_ is None:
                raise StartFailure(text)
            logger.warning("%s It is ignored", text)
        try:
            return msgspec.convert({key: value for key, value in given.items() if key in known}, declared)
        except msgspec.ValidationError as error:
            raise StartFailure(f"{place}: adapter.config: {_explained(error, declared)}") from None


def _explained(error: msgspec.ValidationError, declared: type[Struct]) -> str:
    """With the values that there are, where there are few."""
    text, _, key = str(error).partition(" - at `$.")
    hint = typing.get_type_hints(declared).get(key.rstrip("`"))
    allowed = typing.get_args(hint) if typing.get_origin(hint) is Literal else ()
    return f"{key.rstrip('`')}: {text}" + (f", expected {' or '.join(map(str, allowed))}" if allowed else "")


class KvConfig(Struct, frozen=True, kw_only=True):
    """The block of the adapter `kv`."""

    store_method: Annotated[
        str, Meta(description="`in_memory`, gone with the process, or `file_based`, an embedded store.")
    ] = "in_memory"
    file_path: Annotated[str, Meta(description="Folder of the store; made if it is missing.")] = "kv_store_data.db"
    durability: Annotated[
        Literal["full", "relaxed"],
        Meta(description="`full`: what is acknowledged is on disk; `relaxed`: within `save_interval_ms`."),
    ] = "full"
    save_interval_ms: Annotated[int, Meta(description="Longest time until `relaxed` writes are on disk.")] = (
        SAVE_INTERVAL_MS
    )
    channel_size: Annotated[int, Meta(ge=1, description="Messages that may wait for one socket (streams only).")] = 256


class RedisConfig(Struct, frozen=True, kw_only=True):
    """The block of the adapter `redis`."""

    redis_url: Annotated[str, Meta(description="Address of the Redis server.")] = "redis://localhost:6379"


def kv_items(config: KvConfig, part: str, save_interval_ms: int | None = None) -> Items:
    """The store of one module.

    Args:
        part: the module's own folder below `file_path` (C9).
        save_interval_ms: what the module's block says, before the adapter's own.
    """
    method = config.store_method
    if method not in ("in_memory", "file_based"):
        logger.warning("%s: store_method %r is not known: items are kept in memory", part, method)
    if method != "file_based":
        logger.warning(
            "%s keeps its items in memory: they are gone when the engine ends (store_method: in_memory)", part
        )
        return MemoryItems()
    from iii.storage.sqlite_items import SqliteItems

    interval_ms = save_interval_ms or config.save_interval_ms or SAVE_INTERVAL_MS
    return SqliteItems(Path(config.file_path) / part, config.durability, max(interval_ms, 100) / 1000)
