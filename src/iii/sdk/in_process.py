"""Engines of this process, which workers reach by their address and without a socket: those of `iii.testing`.

Whatever connects by an address connects to them: an app, `register_worker`, `connect_worker`, on any event loop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping, Sequence

    from iii.sdk.backlog import Backlog
    from iii.sdk.client_tls import ClientTls
    from iii.sdk.outbox import Outgoing

SCHEME = "memory://"


class ClientBox(Protocol):
    """Takes messages for the engine; its caller holds the connection's lock."""

    @property
    def batch(self) -> Sequence[Outgoing | bytes]:
        """What the engine will never get when the link ends now; bytes are a text that is to be kept."""

    batches: bool  # whether several messages may leave in one frame

    def send(self, outgoing: Outgoing) -> None: ...

    def add(self, message: bytes, call_id: str | None = None) -> None:
        """As `send`, a text on the worker's loop; needs no lock."""

    def send_now(self, outgoing: Outgoing) -> bool:
        """Send from this thread; False leaves it to `send`."""


class ClientLink(Protocol):
    """One connection to an engine. On the worker's loop."""

    @property
    def over(self) -> asyncio.Event:
        """Set when it has ended."""

    @property
    def heard_ever(self) -> bool:
        """Whether the engine said anything."""

    async def open(self, url: str, headers: Mapping[str, str], tls: ClientTls | None) -> None:
        """Connect. Raises whatever went wrong; then the link is of no use."""

    async def keep_alive(self) -> None:
        """See to it that a dead link ends, until cancelled."""

    def close(self, code: int) -> None:
        """Say goodbye after what has gathered, then end."""

    def abandon(self) -> None:
        """Nobody waits for this link any more."""

    def abort(self) -> None:
        """End at once."""

    def end_after_fork(self, backlog: Backlog) -> None:
        """In a forked child."""


class ChannelOutbox(Protocol):
    @property
    def paused(self) -> bool:
        """Whether the other end has enough for now."""

    def write(self, message: bytes, opcode: int) -> None: ...


class ChannelInbox(Protocol):
    def pause(self) -> None: ...

    def resume(self) -> None: ...


class ChannelConnection(Protocol):
    """The connection of one end of a channel. On the worker's loop."""

    @property
    def outbox(self) -> ChannelOutbox: ...

    @property
    def inbox(self) -> ChannelInbox: ...

    def close(self, code: int, reason: str = "", wait_s: float = ...) -> None:
        """End after what was written."""

    def leave(self, code: int, wait_s: float = ...) -> None:
        """As `close`, whatever the other side says."""

    def abort(self) -> None:
        """End at once."""


class ChannelHandler(Protocol):
    """Hears what comes of it, on the worker's loop."""

    def text(self, message: bytes, /) -> None: ...

    def binary(self, message: bytes, /) -> None: ...

    def peer_closed(self, code: int | None, reason: str) -> None: ...

    def resumed(self) -> None: ...

    def gone(self) -> None: ...


class EngineHere(Protocol):
    """An engine of this process."""

    async def open_channel(
        self, channel_id: str, access_key: str, direction: str, handler: ChannelHandler
    ) -> ChannelConnection | None:
        """One end of a channel, for the running loop; None: there is no such channel."""

    def link(
        self,
        connected: Callable[[ClientLink, ClientBox], None],
        received: Callable[[bytes], None],
        disconnected: Callable[[ClientLink, ClientBox, str], None],
        backlog: Backlog,
        call_soon: Callable[[Callable[[], None]], object],
    ) -> ClientLink:
        """A new link, not open yet. All that it calls it calls on the worker's loop; `call_soon` may be called from any thread."""


engines: dict[str, EngineHere] = {}
"""By address: `memory://` and a name of its own."""


def engine_at(url: str) -> EngineHere | None:
    """The engine of this process that the address means; None: it is not one of them."""
    if not url.startswith(SCHEME):
        return None
    return engines.get(SCHEME + urlsplit(url).netloc)
