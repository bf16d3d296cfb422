"""The `tls` block of a listener (22 §1)."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

_File = Annotated[str, Meta(min_length=1)]


class TlsConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Certificate of a listener, and whether clients need one."""

    cert: Annotated[
        _File,
        Meta(
            description="PEM file with the certificate and its intermediates, read again when it changes; `~/` is the home folder."
        ),
    ]
    key: Annotated[_File, Meta(description="PEM file with the private key of the certificate, without a passphrase.")]
    client_ca: Annotated[
        _File | None,
        Meta(
            description="PEM file with the authorities whose clients may connect; absent: clients need no certificate."
        ),
    ] = None
    client_auth: Annotated[
        Literal["required", "optional"],
        Meta(
            description="With `client_ca`: `optional` lets in clients without a certificate too, such as those with a token."
        ),
    ] = "required"
    min_version: Annotated[Literal["1.2", "1.3"], Meta(description="Oldest version of TLS that clients may speak.")] = (
        "1.2"
    )

    def __post_init__(self) -> None:
        if self.client_auth == "optional" and self.client_ca is None:
            raise ValueError("`client_auth: optional` needs `client_ca`")
