"""Channels as they are created: the references to the two ends (07 §2.1)."""

import uuid
from typing import Annotated, Literal

from msgspec import Meta, Struct


class CreateChannelRequest(Struct, kw_only=True):
    buffer_size: Annotated[
        Annotated[int, Meta(ge=0)] | None, Meta(description="Messages it holds, 1 to 1024; 64 if absent.")
    ] = None


class ChannelRef(Struct):
    """One end of a channel; passed on inside payloads."""

    channel_id: str
    access_key: str
    direction: Literal["write", "read"]


class ChannelEnds(Struct):
    writer: ChannelRef
    reader: ChannelRef


def new_channel() -> ChannelEnds:
    """A fresh id and a fresh key, shared by both ends."""
    channel_id, access_key = str(uuid.uuid4()), str(uuid.uuid4())
    return ChannelEnds(
        ChannelRef(channel_id, access_key, "write"),
        ChannelRef(channel_id, access_key, "read"),
    )
