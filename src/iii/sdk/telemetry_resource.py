"""Who telemetry is about (08 §17.1)."""

import os
import sys
import uuid

from iii.sdk.announcement import package_version
from iii.sdk.options import DEFAULT_SERVICE_NAME, OtelConfig


def resource_attributes(config: OtelConfig, named: str | None = None) -> dict[str, str]:
    """Who the telemetry is about (08 §17.1); `iii.otlp.kind` says that span kinds are numbered as OTLP does (O3).

    Args:
        named: the worker's name, if somebody gave it one.
    """
    namespace = config.service_namespace or os.environ.get("SERVICE_NAMESPACE")
    attributes = {
        "service.name": (
            config.service_name
            or _of_the_application()
            or os.environ.get("OTEL_SERVICE_NAME")
            or named
            or DEFAULT_SERVICE_NAME
        ),
        "service.version": config.service_version or os.environ.get("SERVICE_VERSION") or "unknown",
        "service.instance.id": config.service_instance_id or os.environ.get("SERVICE_INSTANCE_ID") or str(uuid.uuid4()),
        "telemetry.sdk.name": "iii-python-sdk",
        "telemetry.sdk.language": "python",
        "telemetry.sdk.version": package_version(),
        "iii.otlp.kind": "standard",
    }
    if namespace:
        attributes["service.namespace"] = namespace
    return attributes


def _of_the_application() -> str | None:
    """As its own tracer provider has it, which makes the spans, unless nobody gave that one a name."""
    if "opentelemetry.sdk.trace" not in sys.modules:
        return None
    from iii.sdk.provider_spans import application_provider

    provider = application_provider()
    name = "" if provider is None else str(provider.resource.attributes.get("service.name", ""))
    return None if name.startswith("unknown_service") else name or None
