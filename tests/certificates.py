"""Certificates of an authority that lives as long as a test."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import trustme


class Issued(NamedTuple):
    """Files of one certificate."""

    cert: Path
    key: Path


class Authority:
    """Signs certificates and puts them into a folder.

    Attributes:
        file: with its own certificate.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._ca = trustme.CA()
        self.file = folder / "ca.pem"
        self._ca.cert_pem.write_to_path(str(self.file))

    def issue(
        self, name: str, *names: str, common_name: str | None = None, days: int = 30, over: Issued | None = None
    ) -> Issued:
        """Files called `name`, or over those of another one; `days` until it expires, below 0 that it has."""
        made = self._ca.issue_cert(
            *names,
            common_name=common_name,
            not_before=datetime.now(UTC) - timedelta(days=100),
            not_after=datetime.now(UTC) + timedelta(days=days),
        )
        issued = over or Issued(self._folder / f"{name}.pem", self._folder / f"{name}-key.pem")
        _replace(issued.key, made.private_key_pem.bytes())
        _replace(issued.cert, b"".join(blob.bytes() for blob in made.cert_chain_pems))
        return issued

    def server(self, over: Issued | None = None) -> Issued:
        """For this machine."""
        return self.issue("server", "localhost", "127.0.0.1", over=over)

    def trusting(self, own: Issued | None = None) -> ssl.SSLContext:
        """What a client needs that trusts it, and perhaps shows a certificate."""
        context = ssl.create_default_context(cafile=str(self.file))
        if own is not None:
            context.load_cert_chain(*own)
        return context


def _replace(path: Path, content: bytes) -> None:
    """As tools do that renew certificates."""
    beside = path.with_suffix(".new")
    beside.write_bytes(content)
    beside.replace(path)
