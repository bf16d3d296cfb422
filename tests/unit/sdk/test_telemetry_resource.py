"""Which service telemetry is about (08 §17.1)."""

import pytest
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

from iii.sdk.options import OtelConfig
from iii.sdk.telemetry_resource import resource_attributes


@pytest.mark.parametrize(
    ("option", "of_provider", "variable", "named", "service"),
    [
        ("option", "theirs", "variable", "app", "option"),
        (None, "theirs", "variable", "app", "theirs"),  # its spans are of that, so its records are too
        (None, "unknown_service:python", "variable", "app", "variable"),
        (None, "unknown_service", "", "app", "app"),
        (None, None, "", None, "iii-python-sdk"),
    ],
)
def test_08_17_1_all_telemetry_is_about_one_service(
    option: str | None, of_provider: str | None, variable: str, named: str | None, service: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    about = Resource({} if of_provider is None else {"service.name": of_provider})
    provider = TracerProvider(resource=about, shutdown_on_exit=False)
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    monkeypatch.setenv("OTEL_SERVICE_NAME", variable)
    assert resource_attributes(OtelConfig(service_name=option), named)["service.name"] == service
