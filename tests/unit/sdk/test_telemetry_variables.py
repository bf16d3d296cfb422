"""Variables about telemetry with values that say nothing (08 §20)."""

import pytest

from iii.sdk.telemetry_variables import warn_of_unusable

RATIO = "parentbased_traceidratio"


@pytest.mark.parametrize(
    ("environment", "ignored"),
    [
        ({"OTEL_TRACES_SAMPLER": "parentbased_tracidratio"}, ["OTEL_TRACES_SAMPLER"]),
        ({"OTEL_TRACES_SAMPLER": RATIO, "OTEL_TRACES_SAMPLER_ARG": "ten"}, ["OTEL_TRACES_SAMPLER_ARG"]),
        ({"OTEL_TRACES_SAMPLER": RATIO, "OTEL_TRACES_SAMPLER_ARG": "10"}, ["OTEL_TRACES_SAMPLER_ARG"]),
        ({"OTEL_TRACES_SAMPLER": " ParentBased_TraceIdRatio ", "OTEL_TRACES_SAMPLER_ARG": "0.1"}, []),
        ({"OTEL_TRACES_SAMPLER": "always_on", "OTEL_TRACES_SAMPLER_ARG": "ten"}, []),
        ({"OTEL_SPANS_FLUSH_INTERVAL_MS": "1s", "OTEL_LOGS_FLUSH_INTERVAL_MS": "-1"},
         ["OTEL_SPANS_FLUSH_INTERVAL_MS", "OTEL_LOGS_FLUSH_INTERVAL_MS"]),
        ({"OTEL_LOGS_BATCH_SIZE": "0", "III_TRACE_PAYLOAD_MAX_BYTES": "1k"},
         ["OTEL_LOGS_BATCH_SIZE", "III_TRACE_PAYLOAD_MAX_BYTES"]),
        ({"III_TRACE_PAYLOAD_MAX_BYTES": "-1"}, []),
        ({"OTEL_LOGS_BATCH_SIZE": "9" * 5000}, ["OTEL_LOGS_BATCH_SIZE"]),
        ({"OTEL_LOGS_BATCH_SIZE": "20", "III_TRACE_PAYLOAD_MAX_BYTES": "Unlimited", "OTEL_SPANS_FLUSH_INTERVAL_MS": " "}, []),
    ],
)  # fmt: skip
def test_08_20_a_value_that_cannot_be_used_is_named(
    environment: dict[str, str], ignored: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    warn_of_unusable(environment)
    assert [record.__dict__["event"] for record in caplog.records] == ["sdk.variable_ignored"] * len(ignored)
    fields = [record.__dict__["fields"] for record in caplog.records]
    assert [each["variable"] for each in fields] == ignored
    assert all(each["expected"] for each in fields)
