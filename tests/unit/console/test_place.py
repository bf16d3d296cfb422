"""Where the console finds the ports of its engine (23 §8)."""

from __future__ import annotations

from typing import Any, cast

from iii.console.config import ConsoleConfig
from iii.console.module import Console
from iii.engine.engine import Engine


class _Clock:
    def time_ms(self) -> int:
        return 0


class _Config:
    tls = "files"


class _Http:
    name = "iii-http"
    port = 1
    config = _Config()


class _Engine:
    clock = _Clock()
    registry = None
    router = None
    modules = (_Http(),)


def test_connections_to_a_port_with_tls_are_made_with_one_context_that_verifies_nothing() -> None:
    """Strangers may ask for the place, and authorities of the system take 20 ms to read; a new context would reuse no connection."""
    console = Console(cast("Engine", cast("Any", _Engine())), ConsoleConfig(port=0))

    first, second = console.place(), console.place()

    assert first.http_tls is not None
    assert second.http_tls is not None
    assert first.http_tls.context is second.http_tls.context
    assert first.http_tls.context.cert_store_stats()["x509_ca"] == 0
    assert first.stream_tls is None
