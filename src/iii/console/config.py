"""The `iii-console` block (23 §1)."""

from typing import Annotated

from msgspec import Meta, Struct

from iii.net.tls_config import TlsConfig
from iii.protocol.limits import CONSOLE_SESSION_S
from iii.server.access_config import RbacConfig

DEFAULT_PORT = 3113


class ConsoleConfig(Struct, frozen=True, kw_only=True):
    """Where the console is served, and who may use it."""

    enabled: Annotated[bool, Meta(description="Whether the console is served.")] = True
    host: Annotated[
        str,
        Meta(
            min_length=1,
            description="Address that the console binds to; one that other machines reach needs `rbac`.",
        ),
    ] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535, description="TCP port; 0: one that the system chooses.")] = DEFAULT_PORT
    tls: Annotated[
        TlsConfig | None, Meta(description="Certificate of the port; absent: its connections are not encrypted.")
    ] = None
    rbac: Annotated[
        RbacConfig | None,
        Meta(description="Who may log in, and do what; absent: no login, on an address of this machine only."),
    ] = None
    allowed_hosts: Annotated[
        tuple[Annotated[str, Meta(min_length=1)], ...],
        Meta(
            description="Host names, beside `host`, by which browsers may address the console, such as that of a proxy in front of it."
        ),
    ] = ()
    session_seconds: Annotated[
        int,
        Meta(ge=60, le=30 * 86_400, description="Time without a request, in seconds, after which a login ends."),
    ] = CONSOLE_SESSION_S
    enable_flow: Annotated[bool, Meta(description="Whether the page Flow is shown in the navigation.")] = False
    engine_routes: Annotated[
        bool,
        Meta(
            description="Whether the HTTP port of the engine serves `_console/…` too, for scripts of the published console; "
            "without a login, so that everyone who reaches that port may call every function."
        ),
    ] = False
