"""Where a console and its engine are (23 §1, §2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from iii.net.listening import in_url

if TYPE_CHECKING:
    from iii.net.picows_side import TlsClient
    from iii.net.server_tls import ServerTls


class EnginePlace(NamedTuple):
    """Where the engine is, for pages.

    Attributes:
        http_port, stream_port: None: nothing is served there.
        http_tls, stream_tls: how connections to them are encrypted; None: they are plain.
    """

    mode: Literal["module", "remote"]
    url: str
    host: str
    http_port: int | None
    stream_port: int | None
    http_tls: TlsClient | None = None
    stream_tls: TlsClient | None = None


def address_of(host: str, port: int, tls: ServerTls | None) -> str:
    """What a person opens in a browser."""
    return f"{'http' if tls is None else 'https'}://{in_url(host)}:{port}"
