"""The block of the adapter `bridge`, in whichever module (27 §1)."""

from typing import Annotated

from msgspec import Meta, Struct

from iii.protocol.address import fault_of, masked
from iii.remote.client_tls_config import ClientTlsConfig

CALL_TIMEOUT_MS = 30_000  # Time-out of a call to another engine that names none. (07 §6.2)


class BridgeAdapterConfig(Struct, frozen=True, kw_only=True):
    """The block of the adapter `bridge`."""

    bridge_url: Annotated[str, Meta(description="WebSocket address of the other engine.")] = "ws://localhost:49134"
    token: Annotated[
        str | None,
        Meta(
            description="Sent as `Authorization: Bearer …`; absent: `III_TOKEN`, or the file `III_TOKEN_FILE`, if the environment has one."
        ),
    ] = None
    tls: Annotated[
        ClientTlsConfig | None, Meta(description="Certificates of the connection, for an address of `wss://`.")
    ] = None
    timeout_ms: Annotated[
        int,
        Meta(
            ge=1,
            description="Longest wait for an answer of the other engine, in milliseconds; also while it cannot be reached.",
        ),
    ] = CALL_TIMEOUT_MS
    worker_name: Annotated[
        str | None,
        Meta(
            description="Name of this engine at the other one, which keeps subscriptions to topics under it; set it where several "
            "engines of one machine run in one folder. Absent: made of the host's name."
        ),
    ] = None

    def __post_init__(self) -> None:
        if (fault := fault_of(self.bridge_url)) is not None:
            shown = masked(self.bridge_url)
            raise ValueError(f"bridge_url: {shown!r} is not a WebSocket address such as 'ws://127.0.0.1:49134'{fault}")
