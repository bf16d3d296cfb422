"""How the ends of a channel are asked for, and told (07 §2.1)."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct

Direction: TypeAlias = Literal["write", "read"]


class CreateChannelRequest(Struct, kw_only=True):
    buffer_size: Annotated[
        Annotated[int, Meta(ge=0)] | None,
        Meta(description="Messages that the channel buffers, 1 to 1024; 64 if absent."),
    ] = None


class ChannelRef(Struct):
    """One end of a channel; passed on inside payloads."""

    channel_id: str
    access_key: str
    direction: Direction


class ChannelEnds(Struct):
    writer: ChannelRef
    reader: ChannelRef
