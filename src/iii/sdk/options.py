"""What a worker can be told: options, their defaults, and the environment behind them (08 §4.2, §4.9, §17.1, §20)."""

import importlib.util
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, fields
from random import random
from typing import TYPE_CHECKING, Any

from iii.protocol.limits import INVOCATION_TIMEOUT_MS, LONGEST_DRAIN_S
from iii.protocol.names import clean_name, is_blank
from iii.protocol.replicas import ReplicaPolicy
from iii.sdk.argument_kinds import check_kinds
from iii.sdk.replicas import check_replicas
from iii.sdk.worker_name import checked_name, own_name

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

DEFAULT_SERVICE_NAME = "iii-python-sdk"
_SWITCHED_OFF = frozenset({"false", "0", "no", "off"})


@dataclass(frozen=True, kw_only=True)
class ReconnectionConfig:
    """How long to wait before which attempt.

    Attributes:
        initial_delay_ms: wait before the first retry.
        max_delay_ms: cap of the growing wait, before jitter.
        backoff_multiplier: growth from one retry to the next.
        jitter_factor: the wait is spread evenly over ± this part of itself, so that a fleet does not return as one.
        max_retries: failed retries after which the state is `failed` for good; -1 never gives up.
    """

    initial_delay_ms: int = 1000
    max_delay_ms: int = 30_000
    backoff_multiplier: float = 2.0
    jitter_factor: float = 0.3
    max_retries: int = -1

    def __post_init__(self) -> None:
        check_kinds(type(self).__annotations__, vars(self))

    def delay_s(self, attempt: int) -> float:
        """Seconds to wait before retry number `attempt`, counted from 0."""
        try:
            grown_ms = self.initial_delay_ms * self.backoff_multiplier**attempt
        except OverflowError:
            grown_ms = float(self.max_delay_ms)
        capped_ms = min(grown_ms, self.max_delay_ms)
        return max(0.0, capped_ms + capped_ms * self.jitter_factor * (2 * random() - 1)) / 1000

    def exhausted(self, attempt: int) -> bool:
        """Whether no retry with this number is allowed."""
        return self.max_retries != -1 and attempt >= self.max_retries


@dataclass(frozen=True, kw_only=True)
class TelemetryOptions:
    """What the worker says about its project in its announcement; None is found out or left out."""

    language: str | None = None
    project_name: str | None = None
    framework: str | None = None

    def __post_init__(self) -> None:
        check_kinds(type(self).__annotations__, vars(self))


@dataclass(frozen=True, kw_only=True)
class TlsOptions:
    """Whom a worker trusts that connects to `wss://`, and how it proves who it is.

    Attributes:
        ca_file: PEM file with the authorities that may have signed the engine's certificate, instead of those of the system;
            None reads `III_CA_FILE`.
        client_cert, client_key: PEM files with the worker's own certificate and its key; None reads `III_CLIENT_CERT` and
            `III_CLIENT_KEY`. All files are read again at a connection when they have changed.
        server_name: name that the engine's certificate must have, if it is not the host of the address; None reads
            `III_SERVER_NAME`.
        insecure: the engine's certificate is not verified; each connection warns of that.
    """

    ca_file: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    server_name: str | None = None
    insecure: bool = False

    def __post_init__(self) -> None:
        texts = {
            name: os.fspath(value) if isinstance(value, os.PathLike) else value for name, value in vars(self).items()
        }
        check_kinds(type(self).__annotations__, texts)


@dataclass(frozen=True, kw_only=True)
class OtelConfig:
    """Telemetry of one worker: spans and log records in OpenTelemetry's form.

    Attributes:
        enabled: None reads `OTEL_ENABLED`; where that says nothing it is on if OpenTelemetry is installed (`otel` extra).
        service_name: of spans, metrics and log records, as `iii logs --worker` looks for it; None takes that of the
            program's own tracer provider, else reads `OTEL_SERVICE_NAME`, else it is the app's name, else `worker_name`,
            else `iii-python-sdk`.
        service_version, service_namespace, service_instance_id: resource attributes; None reads `SERVICE_VERSION`,
            `SERVICE_NAMESPACE`, `SERVICE_INSTANCE_ID`.
        engine_ws_url: where telemetry goes; None is the worker's engine.
        engine_ws_headers: handshake headers there; None is the worker's, `{}` none.
        fetch_instrumentation_enabled: whether requests through `urllib.request`, anywhere in the process, become spans.
        spans_flush_interval_ms: None reads `OTEL_SPANS_FLUSH_INTERVAL_MS`, else 100.
        logs_enabled: whether `Logger` records are exported.
        logs_flush_interval_ms: None reads `OTEL_LOGS_FLUSH_INTERVAL_MS`, else 100.
        logs_batch_size: records that are sent without waiting for the interval; None reads `OTEL_LOGS_BATCH_SIZE`, else 1.
        metrics_enabled: whether worker gauges are reported; also asked without the extra.
        metrics_export_interval_ms: between two reports of worker gauges.
    """

    enabled: bool | None = None
    service_name: str | None = None
    service_version: str | None = None
    service_namespace: str | None = None
    service_instance_id: str | None = None
    engine_ws_url: str | None = None
    engine_ws_headers: Mapping[str, str] | None = None
    fetch_instrumentation_enabled: bool = True
    spans_flush_interval_ms: int | None = None
    logs_enabled: bool = True
    logs_flush_interval_ms: int | None = None
    logs_batch_size: int | None = None
    metrics_enabled: bool = True
    metrics_export_interval_ms: int = 60_000

    def __post_init__(self) -> None:
        check_kinds(type(self).__annotations__, vars(self))
        if self.metrics_export_interval_ms <= 0:
            raise ValueError(f"metrics_export_interval_ms must be positive, got {self.metrics_export_interval_ms}")

    @property
    def wanted(self) -> bool:
        """Whether the worker has telemetry."""
        if self.enabled is not None:
            return self.enabled
        said = os.environ.get("OTEL_ENABLED", "").strip().lower()
        if said:
            return said not in _SWITCHED_OFF
        return importlib.util.find_spec("opentelemetry") is not None


@dataclass(frozen=True, kw_only=True)
class InitOptions:
    """Everything about a worker but its engine's address.

    Attributes:
        worker_name: as it is listed; `III_WORKER_NAME` wins, the default is `hostname:pid-XXXX` with four random
            characters: two containers of one host may have the same process id. Blank counts as absent.
        worker_description: one line for people, at most 280 code points are kept.
        namespace: where functions, triggers and the name are registered; None reads `III_NAMESPACE`, else `default`.
        enable_metrics_reporting: whether CPU, memory and event loop lag are reported and shown in `list_workers()`.
        invocation_timeout_ms: longest wait for an answer, where a call names none.
        reconnection_config: how a lost connection comes back.
        otel: an `OtelConfig`, or a dict of its fields.
        headers: of the WebSocket handshake; `III_TOKEN`, or the file `III_TOKEN_FILE`, adds `Authorization: Bearer …` unless one is here.
        telemetry: about the project.
        connect_timeout_ms: how long `register_worker` waits to be accepted before it goes on without.
        replicas: all workers with the same function serve it together, "round_robin" or "least_busy"; for every function
            that does not say otherwise. Such workers may have the same name.
        tls: a `TlsOptions`, or a dict of its fields, for an address of `wss://`.
        drain_timeout_s: how long handlers may run on after a SIGTERM; less than the 30 s after which Kubernetes kills.

    Raises:
        ValueError: the namespace is blank, or a number or policy makes no sense. TypeError: `otel` or `tls` has an unknown key,
            or `reconnection_config` is none.
    """

    worker_name: str | None = None
    worker_description: str | None = None
    namespace: str | None = None
    enable_metrics_reporting: bool = True
    invocation_timeout_ms: int = INVOCATION_TIMEOUT_MS
    reconnection_config: ReconnectionConfig | None = None
    otel: OtelConfig | Mapping[str, Any] | None = None
    headers: Mapping[str, str] | None = None
    telemetry: TelemetryOptions | None = None
    connect_timeout_ms: int = 30_000
    replicas: ReplicaPolicy | None = None
    tls: TlsOptions | Mapping[str, Any] | None = None
    drain_timeout_s: float = 25.0

    def __post_init__(self) -> None:
        checked_limit_s("drain_timeout_s", self.drain_timeout_s)
        check_kinds(type(self).__annotations__, vars(self))
        if is_blank(self.namespace):
            raise ValueError(
                f"namespace is empty: InitOptions.namespace was set to {self.namespace!r}. "
                "Give it a name, or leave it unset to register in `default`."
            )
        checked_name("worker_name", self.worker_name)
        if self.invocation_timeout_ms <= 0:
            raise ValueError(f"invocation_timeout_ms must be positive, got {self.invocation_timeout_ms}")
        check_replicas(self.replicas)
        _check_part("reconnection_config", self.reconnection_config, ReconnectionConfig, "")
        _check_part("telemetry", self.telemetry, TelemetryOptions, "")
        for name, kind in (("otel", OtelConfig), ("tls", TlsOptions)):
            given = getattr(self, name)
            if isinstance(given, Mapping):
                unknown = sorted(set(given) - _names_of_fields(kind))
                if unknown:
                    raise TypeError(f"{name} has no option {', '.join(map(repr, unknown))}; it has {_listed(kind)}")
                object.__setattr__(self, name, kind(**given))
            else:
                _check_part(name, given, kind, ", or a dict of its fields")

    @property
    def otel_config(self) -> OtelConfig:
        return self.otel if isinstance(self.otel, OtelConfig) else OtelConfig()

    @property
    def tls_options(self) -> TlsOptions:
        return self.tls if isinstance(self.tls, TlsOptions) else TlsOptions()

    @property
    def effective_namespace(self) -> str | None:
        """The namespace to announce, None for the engine's `default`."""
        if self.namespace is not None:
            return self.namespace
        return os.environ.get("III_NAMESPACE", "").strip() or None

    @property
    def given_name(self) -> str | None:
        """The worker's name, if it has one; a starter that names workers through the environment wins. Raises ValueError."""
        return checked_name("III_WORKER_NAME", os.environ.get("III_WORKER_NAME")) or clean_name(self.worker_name)

    def name_of_a_worker(self) -> str:
        """The name that one worker announces."""
        return self.given_name or own_name(f"{platform.node()}:{os.getpid()}")


def checked_options(options: object) -> InitOptions:
    """What `options=` was given, or the defaults. Raises TypeError."""
    if options is None:
        return InitOptions()
    if not isinstance(options, InitOptions):
        raise TypeError(
            f"options must be an InitOptions, such as iii.InitOptions(worker_name='orders'), got {type(options).__name__}"
        )
    return options


def checked_limit_s(name: str, limit_s: object) -> None:
    """Raises ValueError."""
    if isinstance(limit_s, bool) or not isinstance(limit_s, int | float) or not 0 <= limit_s <= LONGEST_DRAIN_S:
        raise ValueError(f"{name} must be a number of seconds from 0 to {LONGEST_DRAIN_S}, got {limit_s!r:.200}")


def _check_part(name: str, given: object, kind: type, also: str) -> None:
    """Raises TypeError."""
    if given is not None and not isinstance(given, kind):
        raise TypeError(f"{name} must be an iii.{kind.__name__}{also}, got {type(given).__name__}")


def _names_of_fields(options: "type[DataclassInstance]") -> set[str]:
    return {field.name for field in fields(options)}


def _listed(options: "type[DataclassInstance]") -> str:
    return ", ".join(sorted(_names_of_fields(options)))
