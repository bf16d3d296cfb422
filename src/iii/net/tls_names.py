"""Who a client is, by its certificate (22 §4)."""

from __future__ import annotations

import asyncio
from typing import Any

_KINDS = ("URI", "DNS")


def names_of(transport: asyncio.Transport) -> tuple[str, ...]:
    """Names in the certificate of the client; none without TLS, or without a certificate that was verified."""
    certificate = transport.get_extra_info("peercert")
    return certified_names(certificate) if certificate else ()


def certified_names(certificate: dict[str, Any]) -> tuple[str, ...]:
    """URIs and DNS names among its alternative names; of one without any the common name, if it has only one.

    Args:
        certificate: as the standard library reads it.
    """
    alternative = [value for kind, value in certificate.get("subjectAltName", ()) if kind in _KINDS]
    if alternative:
        return tuple(dict.fromkeys(alternative))
    common = [value for part in certificate.get("subject", ()) for name, value in part if name == "commonName"]
    return tuple(common) if len(common) == 1 else ()
