"""What the functions of streams are asked, and answer (05 §4)."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Raw, Struct

from iii.storage.update import Ops


class StreamSetInput(Struct, kw_only=True):
    stream_name: str
    group_id: str
    item_id: str
    data: Raw


class StreamGetInput(Struct, kw_only=True):
    stream_name: str
    group_id: str
    item_id: str


class StreamDeleteInput(Struct, kw_only=True):
    stream_name: str
    group_id: str
    item_id: str


class StreamUpdateInput(Struct, kw_only=True):
    stream_name: str
    group_id: str
    item_id: str
    ops: Ops


class StreamListInput(Struct, kw_only=True):
    stream_name: str
    group_id: str


class StreamListGroupsInput(Struct, kw_only=True):
    stream_name: str


class StreamListAllInput(Struct, kw_only=True):
    pass


class StreamSendInput(Struct, kw_only=True):
    stream_name: str
    group_id: str
    type: str
    data: Raw
    id: str | None = None


class StreamSetResult(Struct, kw_only=True):
    old_value: Raw
    new_value: Raw


class StreamUpdateResult(Struct, kw_only=True, omit_defaults=True):
    old_value: Raw
    new_value: Raw
    errors: Annotated[list[Any], Meta(description="Operations that were skipped; absent if there are none.")] = []


class StreamDeleteResult(Struct, kw_only=True):
    old_value: Raw


class StreamRow(Struct, kw_only=True):
    id: str
    groups: list[str]


class StreamRows(Struct, kw_only=True):
    stream: list[StreamRow]
    count: int


class StreamTriggerConfig(Struct, kw_only=True):
    """Which changes call the function; of group and item, absent and empty are any."""

    stream_name: str
    group_id: str | None = None
    item_id: str | None = None
    condition_function_id: str | None = None


class JoinTriggerConfig(Struct, kw_only=True):
    """Which joins or leaves call the function; absent: of every stream."""

    stream_name: str | None = None
    condition_function_id: str | None = None


class StreamCall(Struct, kw_only=True, rename="camel"):
    """What the function of a `stream` trigger gets, and what clients get."""

    type: str
    timestamp: int
    stream_name: str
    group_id: str
    id: str | None
    event: Annotated[
        Any,
        Meta(description="`{type, data}` with type create, update or delete; or `{type: event, event: {type, data}}`."),
    ]


class JoinCall(Struct, kw_only=True):
    """What the functions of `stream:join` and `stream:leave` get."""

    subscription_id: str
    stream_name: str
    group_id: str
    id: str | None
    context: Any


class JoinVerdict(Struct, kw_only=True):
    unauthorized: bool = False
