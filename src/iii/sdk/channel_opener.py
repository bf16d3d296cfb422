"""Opens the ends of channels at one engine, when they are first used (08 §14)."""

import asyncio
import logging
import ssl
from collections.abc import Callable, Mapping
from urllib.parse import quote, urlsplit, urlunsplit

from iii.protocol.address import without_secrets
from iii.protocol.log_event import LogEvent
from iii.sdk.channel_wire import ChannelWire
from iii.sdk.channels import Channel, ChannelError, ChannelReader, ChannelWriter
from iii.sdk.client_tls import ClientTls
from iii.sdk.connect_failure import connect_failure
from iii.sdk.failures import log_failure
from iii.sdk.in_process import engine_at
from iii.sdk.process_end import ends_process
from iii.sdk.refs import StreamChannelRef

LISTENER_FAILED = LogEvent(
    "iii.sdk", "sdk.channel_listener_failed", logging.ERROR, "Listener of a channel raised",
    means="The other listeners get the message, and the channel goes on.",
    do="Read the stack trace.",
)  # fmt: skip


def _said(error: Exception) -> str:
    return connect_failure(error) if isinstance(error, ssl.SSLError) else str(error) or type(error).__name__


_GONE = "; the engine does not know the channel, or it expired or finished"


class ChannelOpener:
    """Opens ends at one engine."""

    def __init__(self, url: str, headers: Mapping[str, str], tls: ClientTls | None = None) -> None:
        self._engine_url = url
        self._url = urlsplit(url)
        self._headers = headers
        self._tls = tls or ClientTls(None, url)

    def end(self, ref: StreamChannelRef) -> ChannelReader | ChannelWriter:
        """The end that a reference names; nothing connects yet."""
        return ChannelReader(self, ref) if ref.direction == "read" else ChannelWriter(self, ref)

    def both_ends(self, reply: Mapping[str, Mapping[str, str]]) -> Channel:
        """Of a channel that the engine has made."""
        writer_ref, reader_ref = (
            StreamChannelRef(end["channel_id"], end["access_key"], end["direction"])
            for end in (reply["writer"], reply["reader"])
        )
        return Channel(ChannelWriter(self, writer_ref), ChannelReader(self, reader_ref), writer_ref, reader_ref)

    def address(self, ref: StreamChannelRef) -> str:
        scheme, netloc, path, query, _ = self._url
        own = f"key={quote(ref.access_key)}&dir={ref.direction}"
        place = f"{path.removesuffix('/')}/ws/channels/{ref.channel_id}"
        return urlunsplit((scheme, netloc, place, f"{query}&{own}" if query else own, ""))

    async def connect(self, ref: StreamChannelRef) -> ChannelWire:
        """Raises ChannelError."""
        wire = ChannelWire()
        here = engine_at(self._engine_url)
        if here is not None:
            found = await here.open_channel(ref.channel_id, ref.access_key, ref.direction, wire)
            if found is None:
                raise ChannelError(f"cannot open channel {ref.channel_id}{_GONE}")
            wire.connection = found
            return wire
        address = self.address(ref)
        try:
            await wire.open(address, self._headers, self._tls)
        except Exception as error:
            gone = _GONE if "404" in str(error) else ""
            reason = without_secrets(_said(error), address, self._headers)
            raise ChannelError(f"cannot open channel {ref.channel_id}: {reason}{gone}") from None
        return wire

    def new_lock(self) -> asyncio.Lock:
        """For one end, on whose loop it belongs: several tasks may be the first to use it."""
        return asyncio.Lock()

    def tell(self, listeners: list[Callable[[str], object]], text: str, channel_id: str) -> None:
        """Each of them, whatever the others raise."""
        for listener in listeners:
            try:
                listener(text)
            except BaseException as error:
                if ends_process(error):
                    raise
                log_failure(LISTENER_FAILED, error, channel=channel_id)
