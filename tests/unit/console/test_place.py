"""Where the console finds the ports of its engine (23 §8)."""

from __future__ import annotations

from typing import Any, cast

import pytest

from iii.console.config import ConsoleConfig
from iii.console.module import Console
from iii.console.remote import RemoteConsole, place_of
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


def test_23_8_that_certificates_are_not_verified_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """Each request asks for the place."""
    told = RemoteConsole("wss://e:1", "e", 2, 3, ConsoleConfig(), tls={"insecure": True}, engine_tls=True)

    place = place_of(told, told.url)
    for _ in range(3):
        assert place().http_tls is not None

    assert [record.__dict__["event"] for record in caplog.records] == ["sdk.tls_insecure"]
