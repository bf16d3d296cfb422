"""How the engine proves who it is to another one, and whom it trusts (22 §5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct

if TYPE_CHECKING:
    from iii.sdk.options import TlsOptions

_Text = Annotated[str, Meta(min_length=1)]


class ClientTlsConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """For an address of `wss://`."""

    ca_file: Annotated[
        _Text | None,
        Meta(
            description="PEM file with the authorities that may have signed the other engine's certificate; absent: `III_CA_FILE`, "
            "else those of the system."
        ),
    ] = None
    client_cert: Annotated[
        _Text | None, Meta(description="PEM file with this engine's certificate; absent: `III_CLIENT_CERT`, else none.")
    ] = None
    client_key: Annotated[
        _Text | None, Meta(description="PEM file with the key of `client_cert`; absent: `III_CLIENT_KEY`.")
    ] = None
    server_name: Annotated[
        _Text | None,
        Meta(description="Name that the other engine's certificate must have; absent: the host of the address."),
    ] = None
    insecure: Annotated[
        bool,
        Meta(description="Whether the other engine's certificate is not verified; each connection warns of that."),
    ] = False

    def options(self) -> TlsOptions:
        """The same, for a worker."""
        from iii.sdk.options import TlsOptions  # late: an engine that connects to no other starts without it

        return TlsOptions(
            ca_file=self.ca_file,
            client_cert=self.client_cert,
            client_key=self.client_key,
            server_name=self.server_name,
            insecure=self.insecure,
        )
