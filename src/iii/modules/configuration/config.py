"""The `configuration` block (18 §2.6)."""

from pathlib import Path
from typing import Annotated, ClassVar

from msgspec import Meta, Struct

from iii.remote.config import BridgeAdapterConfig
from iii.storage.adapter import AdapterConfig, Adapters


class FsConfig(Struct, frozen=True, kw_only=True):
    """The block of the adapter `fs`."""

    directory: Annotated[
        str,
        Meta(
            min_length=1,
            description="Folder with one file `<id>.yaml` for each entry; created with the first entry that is written.",
        ),
    ] = "./config"


class ConfigurationConfig(Struct, frozen=True, kw_only=True):
    """Configuration entries."""

    adapters: ClassVar = Adapters(
        {"fs": "fs", "bridge": "bridge"},
        {"fs": FsConfig, "bridge": BridgeAdapterConfig},
        default="fs",
        unread={"bridge": {"ttl_seconds": "that of the other engine counts"}},
    )

    adapter: Annotated[AdapterConfig, Meta(description="Where entries are kept.")] = AdapterConfig()
    ttl_seconds: Annotated[
        int,
        Meta(
            ge=0,
            le=31_536_000,
            description="Seconds after which an entry is deleted whose last trigger for it alone was unregistered; 0: never.",
        ),
    ] = 0

    @property
    def folder(self) -> Path | None:
        """Where the files of entries are; None: another engine has the entries. Raises StartFailure."""
        if self.adapter.kind(self.adapters) == "bridge":
            return None
        return Path(self.adapter.block(FsConfig).directory)
