"""Where a signal goes, how, and with which headers: the configuration and OpenTelemetry's variables (14 §2)."""

import logging
from collections.abc import Mapping
from typing import Literal
from urllib.parse import unquote

from msgspec import Struct

from iii.protocol.log_event import LogEvent

HEADER_SKIPPED = LogEvent(
    __name__, "export.header_skipped", logging.WARNING, "Header of the collector skipped: it is not of the form name=value",
    means="An entry of one of the variables `OTEL_EXPORTER_OTLP_…HEADERS` cannot be read; the others are used.",
    do="Write `name=value,name2=value2`, with `%2C` for a comma in a value.",
)  # fmt: skip
PROTOCOL_UNKNOWN = LogEvent(
    __name__, "export.protocol_unknown", logging.WARNING, "Protocol of the collector not known; gRPC is used",
    means="`OTEL_EXPORTER_OTLP_PROTOCOL`, or the one of a signal, is neither `grpc` nor `http/protobuf`.",
    do="Set it to one of them.",
)  # fmt: skip

Signal = Literal["traces", "metrics", "logs"]
Protocol = Literal["grpc", "http/protobuf", "http/json"]

DEFAULT_ENDPOINT = "http://localhost:4317"
_PATHS = ("/v1/traces", "/v1/metrics", "/v1/logs")
_GRPC_PORT, _HTTP_PORT = ":4317", ":4318"


class CollectorAddress(Struct, frozen=True):
    """Of one signal.

    Attributes:
        address: a URL; with gRPC only scheme, host and port count.
    """

    signal: Signal
    protocol: Protocol
    address: str
    headers: dict[str, str]


def collector_address(signal: Signal, endpoint: str, environ: Mapping[str, str]) -> CollectorAddress:
    """Logs always go as JSON over HTTP, to the usual port for it where the endpoint names the one of gRPC."""
    headers = _headers(signal, environ)
    if signal == "logs":
        if endpoint.rstrip("/").endswith("/v1/logs"):
            return CollectorAddress(signal, "http/json", endpoint.rstrip("/"), headers)
        return CollectorAddress(signal, "http/json", _with_path(_over_http(endpoint), signal), headers)
    protocol = _protocol(signal, environ)
    address = endpoint if protocol == "grpc" else _with_path(endpoint, signal)
    return CollectorAddress(signal, protocol, address, headers)


def _over_http(endpoint: str) -> str:
    """Only the port itself: 43170 begins like the one of gRPC, and so may what stands in brackets."""
    scheme, slashes, rest = endpoint.partition("://") if "://" in endpoint else ("", "", endpoint)
    place, slash, path = rest.partition("/")
    if place.endswith(_GRPC_PORT):
        place = place.removesuffix(_GRPC_PORT) + _HTTP_PORT
    return f"{scheme}{slashes}{place}{slash}{path}"


def _with_path(endpoint: str, signal: Signal) -> str:
    base = endpoint.rstrip("/")
    for path in _PATHS:
        if base.endswith(path):
            base = base.removesuffix(path)
            break
    return f"{base}/v1/{signal}"


def _protocol(signal: Signal, environ: Mapping[str, str]) -> Protocol:
    own, all_signals = f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"
    said = environ.get(own) or environ.get(all_signals) or "grpc"
    if said not in ("grpc", "http/protobuf"):
        PROTOCOL_UNKNOWN(signal=signal, protocol=said)
    return "http/protobuf" if said == "http/protobuf" else "grpc"


def _headers(signal: Signal, environ: Mapping[str, str]) -> dict[str, str]:
    own, all_signals = f"OTEL_EXPORTER_OTLP_{signal.upper()}_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"
    headers: dict[str, str] = {}
    for number, entry in enumerate((environ.get(own) or environ.get(all_signals) or "").split(","), 1):
        name, equals, value = entry.partition("=")
        name, value = unquote(name.strip()), unquote(value.strip())
        if equals and name.isascii() and name and not any(each in value or each in name for each in "\r\n\0"):
            headers[name.lower()] = value
        elif entry.strip():
            HEADER_SKIPPED(signal=signal, entry_number=number)  # its text may be a secret
    return headers
