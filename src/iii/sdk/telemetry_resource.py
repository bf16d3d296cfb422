"""Who telemetry is about (08 §17.1)."""

import os
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
        "service.name": config.service_name or os.environ.get("OTEL_SERVICE_NAME") or named or DEFAULT_SERVICE_NAME,
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
