"""The `adapter` of a module's block: which store, and where (05 §7, C5, C9)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, NamedTuple, TypeAlias, TypeVar

import msgspec
from msgspec import Meta, Struct

from iii.protocol.log_event import LogEvent
from iii.protocol.start_failure import StartFailure
from iii.protocol.suggestion import did_you_mean
from iii.storage.items import Items
from iii.storage.memory_items import MemoryItems

CLASS_IGNORED = LogEvent(
    __name__, "adapter.class_ignored", logging.WARNING, "`class` of an adapter ignored: `name` is given too",
    means="`class` is the older spelling of `name`.",
    do="Remove `class`.",
)  # fmt: skip
IN_MEMORY = LogEvent(
    __name__, "store.in_memory", logging.WARNING, "Items are kept in memory and are gone when the engine ends; set `store_method: file_based` to keep them",
    means="`store_method` of the adapter is `in_memory`, the default.",
    do="Nothing, if they need not outlive the engine.",
)  # fmt: skip

C = TypeVar("C", bound=Struct)

SAVE_INTERVAL_MS = 5000
_SHOWN = 60  # characters of a name that is not known
StoreMethod: TypeAlias = Literal["in_memory", "file_based"]


class AdapterConfig(Struct, frozen=True, kw_only=True):
    """One adapter by its name, with a block of its own."""

    name: Annotated[str | None, Meta(description="The adapter; absent: the default one.")] = None
    class_: Annotated[str | None, Meta(description="Older spelling of `name`, with its older values.")] = msgspec.field(
        name="class", default=None
    )
    config: Annotated[dict[str, Any] | None, Meta(description="The adapter's own options.")] = None

    def kind(self, adapters: Adapters) -> str:
        """The canonical name. Raises StartFailure if there is no such adapter."""
        if self.name is not None and self.class_ is not None:
            CLASS_IGNORED(name=self.name)
        called = self.name or self.class_ or adapters.default
        kind = adapters.kinds.get(called)
        if kind is None:
            available = ", ".join(sorted(set(adapters.kinds.values())))
            hint = did_you_mean(called, sorted(adapters.kinds), ". Did you mean '{}'?")
            key = "name" if self.name is not None else "class"
            text = f"adapter.{key}: Adapter factory '{called[:_SHOWN]}' not found. Available: [{available}]{hint}"
            raise StartFailure(text, ("adapter", key))
        return kind

    def block(self, declared: type[C]) -> C:
        """Its own block. A file's has been judged when the file was read. Raises StartFailure for a wrong value."""
        try:
            return msgspec.convert(self.config or {}, declared)
        except msgspec.ValidationError as error:
            raise StartFailure(f"adapter.config: {error}") from None


class Adapters(NamedTuple):
    """Which adapters a module has; its `Config` carries it as `adapters`.

    Attributes:
        kinds: every accepted name, old classes too, and the adapter that it means (C5).
        blocks: the Struct of each adapter's own block.
        default: the name that counts where none is given.
        unread: options of the module's own block that an adapter does not read, each with what is so instead.
    """

    kinds: Mapping[str, str]
    blocks: Mapping[str, type[Struct]]
    default: str = "kv"
    unread: Mapping[str, Mapping[str, str]] = MappingProxyType({})


class StoreConfig(Struct, frozen=True, kw_only=True):
    """Of adapters with a store of their own."""

    store_method: Annotated[
        StoreMethod,
        Meta(
            description="Where values are kept: `in_memory`, lost when the engine exits; `file_based`, in an embedded store on disk."
        ),
    ] = "in_memory"
    file_path: Annotated[
        str, Meta(description="Folder of stores, created if it is missing; each module has one of its own in it.")
    ] = "kv_store_data.db"
    durability: Annotated[
        Literal["full", "relaxed"],
        Meta(
            description="When writes are acknowledged: `full`, after they are on disk; `relaxed`, before: they survive an exit "
            "of the engine, and a crash of the machine once `save_interval_ms` has passed."
        ),
    ] = "full"
    save_interval_ms: Annotated[
        int, Meta(description="Longest time until `relaxed` writes are on disk, in milliseconds.")
    ] = SAVE_INTERVAL_MS


class RedisConfig(Struct, frozen=True, kw_only=True):
    """The block of the adapter `redis`."""

    redis_url: Annotated[
        str,
        Meta(
            pattern="^(rediss?|unix)://",
            extra={"form": "an address such as redis://localhost:6379"},
            description="Address of the Redis server.",
        ),
    ] = "redis://localhost:6379"


def kv_items(config: StoreConfig, part: str, save_interval_ms: int | None = None) -> Items:
    """The store of one module.

    Args:
        part: the module's own folder below `file_path` (C9).
        save_interval_ms: what the module's block says, before the adapter's own.
    """
    if config.store_method != "file_based":
        IN_MEMORY(part=part)
        return MemoryItems()
    from iii.storage.sqlite_items import SqliteItems

    interval_ms = save_interval_ms or config.save_interval_ms or SAVE_INTERVAL_MS
    return SqliteItems(Path(config.file_path) / part, config.durability, max(interval_ms, 100) / 1000)
