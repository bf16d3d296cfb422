"""What a worker reports of itself: gauges on its own socket, spans and log records on `/otel` (06 §2.1)."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from iii.protocol.limits import KIB
from iii.protocol.names import TRACES_V1, TRACES_V2
from iii.protocol.telemetry import TelemetryKind
from iii.sdk.calls import Refusal
from iii.sdk.client_tls import ClientTls
from iii.sdk.connection import EngineConnection
from iii.sdk.engine_address import engine_url, handshake_headers
from iii.sdk.in_process import engine_at
from iii.sdk.link import EngineLink
from iii.sdk.options import InitOptions, OtelConfig, ReconnectionConfig
from iii.sdk.own_thread import in_own_thread
from iii.sdk.telemetry_resource import resource_attributes

if TYPE_CHECKING:
    from opentelemetry.metrics import Meter

    from iii.sdk.telemetry import WorkerTelemetry

ASIDE_BYTES = 64 * KIB  # of a frame among the calls: more would keep them waiting


class Reporting:
    """Starts and stops with its worker.

    Attributes:
        telemetry: None if it is switched off.
    """

    def __init__(
        self,
        url: str,
        options: InitOptions,
        worker_name: str,
        loop: asyncio.AbstractEventLoop,
        send_gauges: Callable[[bytes], None],
        worker_id: Callable[[], str | None],
        handlers: Callable[[], int],
        link: Callable[[], object],
    ) -> None:
        """`link` gives the worker's own."""
        self.telemetry: WorkerTelemetry | None = None
        self._options = options
        self._worker_name = worker_name
        self._loop = loop
        self._send_gauges = send_gauges
        self._worker_id = worker_id
        self._handlers = handlers
        self._link = link
        self._gauges: asyncio.Task[None] | None = None
        self._connection: EngineConnection | None = None
        config = options.otel_config
        self._resource = resource_attributes(config, options.given_name)
        self._to_nobody = engine_at(url) is not None  # an engine of a test, which keeps no figures
        if not self._to_nobody and config.wanted:
            self._set_up_telemetry(config, url)

    def _set_up_telemetry(self, config: OtelConfig, url: str) -> None:
        from iii.sdk.telemetry import WorkerTelemetry

        headers = config.engine_ws_headers
        address = telemetry_url(engine_url(config.engine_ws_url) if config.engine_ws_url else url)
        connection = EngineConnection(
            address,
            handshake_headers(self._options.headers) if headers is None else headers,
            ReconnectionConfig(),
            _NothingToSay(),
            self._loop,
            complaints=logging.DEBUG,  # the worker's own connection already says that the engine is away
            tls=ClientTls(self._options.tls_options, address),
        )
        self._connection = connection
        self.telemetry = WorkerTelemetry(
            config, self._resource, partial(self._send, connection.send_or_drop), self._loop
        )

    def _send(self, send: Callable[[bytes], None], frame: bytes) -> None:
        """Compact spans go where the engine reads anyway: a further socket with something to read costs it as much as ten calls."""
        if len(frame) <= ASIDE_BYTES and frame.startswith(TelemetryKind.COMPACT_SPANS.value):
            link = self._link()
            if isinstance(link, EngineLink) and link.write_aside(frame):
                return
        send(frame)

    @property
    def meter(self) -> "Meter":
        """For metrics of the program. Raises ImportError without the `otel` extra."""
        try:
            if self.telemetry is not None and self._options.otel_config.metrics_enabled:
                return self.telemetry.meter
            from opentelemetry.metrics import NoOpMeter
        except ImportError as error:
            raise ImportError(
                "worker.meter needs OpenTelemetry, the extra `otel` of iii-py; in a checkout: pip install '.[otel]'"
            ) from error
        return NoOpMeter("iii")

    def greeted(self, features: Iterable[str]) -> None:
        """What the engine has. Of one that telemetry goes to instead nothing is known; it does not see payloads either."""
        if self.telemetry is not None and not self._options.otel_config.engine_ws_url:
            self.telemetry.spans.know_engine(TRACES_V1 in features, TRACES_V2 in features)
            if self._connection is not None:
                self._connection.pause.cut()  # its next attempt succeeds

    def start(self) -> None:
        """On the loop."""
        if self._connection is not None and self.telemetry is not None:
            self._connection.start()
            self.telemetry.open()
        wanted = self._options.enable_metrics_reporting and self._options.otel_config.metrics_enabled
        if wanted and not self._to_nobody:
            from iii.sdk.gauges import GaugeReporter

            reporter = GaugeReporter(
                self._send_gauges,
                self._worker_id,
                self._handlers,
                self._worker_name,
                self._options.otel_config.metrics_export_interval_ms,
                self._resource,
            )
            self._gauges = self._loop.create_task(reporter.run(), name="iii gauges")

    async def stop(self) -> None:
        """Flush what is held, for about two seconds at most, and leave. On the loop."""
        if self._gauges is not None:
            self._gauges.cancel()
        if self._connection is not None and self.telemetry is not None:
            try:
                await in_own_thread(self.telemetry.close)
            finally:
                await self._connection.stop()
        if self._gauges is not None:
            await asyncio.wait([self._gauges], timeout=1)

    def end_after_fork(self) -> None:
        """In a forked child: what is reported there goes nowhere."""
        if self._connection is not None:
            self._connection.end_after_fork()
        if self.telemetry is not None:
            self.telemetry.end_after_fork()


class _NothingToSay:
    """The user of a telemetry connection: the engine only pings there."""

    def registrations(self) -> list[bytes]:
        return []

    def announcement(self) -> list[bytes]:
        return []

    def received(self, message: bytes) -> None:
        """An `error` of authentication; the socket is closed after it."""

    def gave_up(self) -> None:
        """It never does."""

    def ended(self, refusal: Refusal) -> None: ...


def telemetry_url(url: str) -> str:
    """The engine's telemetry endpoint: `/otel` after the path, once; the query stays (06 §2.1)."""
    parts = urlsplit(url)
    path = parts.path.rstrip("/")
    return urlunsplit(parts._replace(path=path if path.endswith("/otel") else f"{path}/otel"))
