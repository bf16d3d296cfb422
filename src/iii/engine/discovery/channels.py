"""`engine::channels::list` (24 §8)."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from msgspec import Meta, Struct

from iii.engine.builtin import builtin
from iii.engine.channels import ChannelKind
from iii.engine.discovery.visibility import View
from iii.engine.invocation import Invocation

if TYPE_CHECKING:
    from iii.engine.channels import Channel
    from iii.engine.engine import Engine

EndState: TypeAlias = Literal["not taken", "open", "ended"]


class ChannelListRequest(Struct, kw_only=True):
    limit: Annotated[int, Meta(ge=1, le=1000, description="Most channels that are listed, the newest.")] = 200


class ChannelRow(Struct, kw_only=True):
    """One channel; its access key is not shown."""

    id: str
    kind: Annotated[
        ChannelKind,
        Meta(description="`worker`: a worker created it; `request`, `response`: body of an HTTP request or response."),
    ]
    worker_id: Annotated[str | None, Meta(description="Connection that created it; it may have ended.")]
    worker_name: Annotated[str | None, Meta(description="Name of that worker while it is connected.")]
    writer: EndState
    reader: EndState
    waiting_messages: int
    waiting_bytes: Annotated[int, Meta(description="Bytes that were written and not read yet.")]
    total_bytes: Annotated[int, Meta(description="Bytes that were written.")]
    created_at_ms: Annotated[int, Meta(description="Unix milliseconds.")]


class ChannelList(Struct):
    channels: list[ChannelRow]
    total: Annotated[int, Meta(description="Number of channels, listed or not.")]


class ChannelDiscovery:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @builtin("engine::channels::list", spec="24 §8")
    def list_channels(self, request: ChannelListRequest, invocation: Invocation) -> ChannelList:
        """List channels, the newest first: who created them, which ends are taken, and what waits in them."""
        view = View(self._engine, invocation)
        oversees = view.oversees
        shown = [each for each in self._engine.channels if oversees or view.is_caller(each.creator)]
        names = {peer.worker_id: peer.info.name for peer in self._engine.roster.workers()}
        rows = [self._row(channel, names) for channel in islice(reversed(shown), request.limit)]
        return ChannelList(rows, len(shown))

    def _row(self, channel: Channel, names: dict[str, str | None]) -> ChannelRow:
        clock = self._engine.clock
        return ChannelRow(
            id=channel.id,
            kind=channel.kind,
            worker_id=channel.creator,
            worker_name=None if channel.creator is None else names.get(channel.creator),
            writer=_state(channel.writer_claimed, channel.finished),
            reader=_state(channel.reader_claimed, channel.left),
            waiting_messages=len(channel.items),
            waiting_bytes=channel.waiting_bytes,
            total_bytes=channel.total_bytes,
            created_at_ms=clock.time_ms() - round((clock.now() - channel.created_at) * 1000),
        )


def _state(taken: bool, over: bool) -> EndState:
    return "ended" if over else "open" if taken else "not taken"
