"""Where telemetry goes, and with which headers (14 §2, 06 checks 61, 62)."""

import pytest

from iii.modules.observability.export.collector_address import Signal, collector_address


@pytest.mark.parametrize(
    ("signal", "endpoint", "protocol", "address"),
    [
        ("logs", "http://c:4317", "", "http://c:4318/v1/logs"),
        ("logs", "http://c:4317/base/", "", "http://c:4318/base/v1/logs"),
        ("logs", "c:4317", "", "c:4318/v1/logs"),
        ("logs", "http://c:43170", "", "http://c:43170/v1/logs"),
        ("logs", "http://[fe80::4317]:99", "", "http://[fe80::4317]:99/v1/logs"),
        ("logs", "http://c/a:4317", "", "http://c/a:4317/v1/logs"),
        ("logs", "https://c/base/", "grpc", "https://c/base/v1/logs"),
        ("logs", "https://c/v1/logs", "", "https://c/v1/logs"),
        ("logs", "https://c/v1/traces", "", "https://c/v1/logs"),
        ("traces", "https://c/v1/traces", "http/protobuf", "https://c/v1/traces"),
        ("traces", "https://c/v1/metrics/", "http/protobuf", "https://c/v1/traces"),
        ("metrics", "http://c:4318", "http/protobuf", "http://c:4318/v1/metrics"),
        ("traces", "http://c:4317", "", "http://c:4317"),
    ],
)
def test_06_check_62_the_address_of_a_signal(signal: Signal, endpoint: str, protocol: str, address: str) -> None:
    found = collector_address(signal, endpoint, {"OTEL_EXPORTER_OTLP_PROTOCOL": protocol})
    assert found.address == address
    assert found.protocol == ("http/json" if signal == "logs" else protocol or "grpc")


def test_14_the_protocol_of_a_signal_comes_before_that_of_all(caplog: pytest.LogCaptureFixture) -> None:
    environ = {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf"}
    assert collector_address("traces", "http://c", environ).protocol == "http/protobuf"
    assert not caplog.records
    assert collector_address("metrics", "http://c", environ).protocol == "grpc"
    assert "protocol=http/json" in caplog.text


def test_06_check_61_headers_are_percent_decoded(caplog: pytest.LogCaptureFixture) -> None:
    environ = {"OTEL_EXPORTER_OTLP_HEADERS": "Authorization=Bearer%20token,x-a=b%2Fc, secret,=x,bad=a%0D%0Ab"}
    assert collector_address("logs", "http://c", environ).headers == {"authorization": "Bearer token", "x-a": "b/c"}
    assert caplog.text.count("Header of the collector skipped") == 3
    assert "secret" not in caplog.text


def test_14_headers_of_a_signal_replace_those_of_all() -> None:
    environ = {"OTEL_EXPORTER_OTLP_HEADERS": "a=1", "OTEL_EXPORTER_OTLP_LOGS_HEADERS": "b=2"}
    assert collector_address("logs", "http://c", environ).headers == {"b": "2"}
    assert collector_address("traces", "http://c", environ).headers == {"a": "1"}
