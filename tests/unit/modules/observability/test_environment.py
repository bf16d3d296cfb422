"""The block of `iii-observability`, OpenTelemetry's variables and defaults, in this order (14 §4)."""

from pathlib import Path
from typing import Any

import pytest

from iii.modules.observability.config import ObservabilityConfig
from iii.modules.observability.environment import VARIABLES, completed
from iii.modules.observability.export.settings import export_settings
from iii.protocol.start_failure import StartFailure
from iii.server.config_file import load, without_file


def config_of(block: str, folder: Path, **environment: str) -> tuple[ObservabilityConfig, str]:
    path = folder / "iii.yaml"
    path.write_text(f"workers:\n  - name: iii-observability\n    config: {block}\n")
    found = load(path, environment=environment)
    (config,) = [entry.config for entry in found.entries if isinstance(entry.config, ObservabilityConfig)]
    return config, "\n".join(found.warnings)


def test_14_4_a_variable_is_read_with_and_without_a_block(tmp_path: Path) -> None:
    environment = {"OTEL_SERVICE_NAME": "edge", "OTEL_EXPORTER_TYPE": "BOTH", "OTEL_MEMORY_MAX_SPANS": "77"}
    for config in (
        config_of("{}", tmp_path, **environment)[0],
        next(
            entry.config
            for entry in without_file(environment=environment).entries
            if isinstance(entry.config, ObservabilityConfig)
        ),
    ):
        assert (config.service_name, config.exporter, config.memory_max_spans) == ("edge", "both", 77)


def test_14_4_the_block_comes_before_the_variable(tmp_path: Path) -> None:
    block = "{enabled: false, service_name: iii, sampling_ratio: 1.0}"
    variables = {"OTEL_ENABLED": "true", "OTEL_SERVICE_NAME": "edge", "OTEL_TRACES_SAMPLER_ARG": "0.5"}
    config, _ = config_of(block, tmp_path, **variables)
    assert (config.enabled, config.service_name, config.sampling_ratio) == (False, "iii", 1.0)


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("enabled", "1", True),
        ("enabled", "no", False),
        ("exporter", "zipkin", "otlp"),
        ("metrics_exporter", "OTLP", "otlp"),
        ("metrics_exporter", "prometheus", "memory"),
        ("logs_exporter", "none", "memory"),
        ("sampling_ratio", "0.25", 0.25),
        ("logs_batch_size", "5", 5),
    ],
)
def test_14_4_variables_have_their_values(key: str, text: str, value: Any) -> None:
    said: list[Any] = []
    assert completed({}, {VARIABLES[key][0]: text}, lambda *words: said.append(words)) == {key: value}
    assert said == []


@pytest.mark.parametrize(
    ("key", "text"), [("memory_max_spans", "many"), ("metrics_max_count", "0"), ("sampling_ratio", "nan")]
)
def test_14_4_a_variable_that_makes_no_sense_is_ignored_with_a_warning(key: str, text: str) -> None:
    said: list[Any] = []
    assert completed({}, {VARIABLES[key][0]: text}, lambda *words: said.append(words)) == {}
    ((about, problem),) = said
    assert about is None
    assert problem.startswith(f"{VARIABLES[key][0]} is ignored: it should be a")


def test_14_4_old_values_of_the_file_start_with_a_warning_that_names_them(tmp_path: Path) -> None:
    config, warnings = config_of(
        "{memory_max_spans: 0, sampling_ratio: 7, logs_sampling_ratio: -1, logs_batch_size: 0}", tmp_path
    )
    assert (config.memory_max_spans, config.sampling_ratio, config.logs_sampling_ratio) == (None, 1.0, 0.0)
    assert config.logs_batch_size is None
    for key in ("memory_max_spans", "sampling_ratio", "logs_sampling_ratio", "logs_batch_size"):
        assert f" {key}: " in warnings


def test_14_4_old_shares_within_sampling_start_with_a_warning_that_names_them(tmp_path: Path) -> None:
    rules = "[{operation: a, rate: 7}, {service: b, rate: -1}, {rate: 0.5}]"
    config, warnings = config_of(f"{{sampling: {{default: .inf, rules: {rules}}}}}", tmp_path)
    assert config.sampling is not None
    assert (config.sampling.default, [rule.rate for rule in config.sampling.rules]) == (1.0, [1.0, 0.0, 0.5])
    for key in ("sampling.default", "sampling.rules[0].rate", "sampling.rules[1].rate"):
        assert f" {key}: " in warnings


@pytest.mark.parametrize(
    ("sampling", "named"),
    [
        ("{bogus: 1}", "bogus"), ("{rules: [{operation: a}]}", "rate"), ("{rules: [{rate: 1, name: x}]}", "name"),
        ("{rate_limit: {}}", "max_traces_per_second"), ("{rate_limit: {max_traces_per_second: 0}}", "max_traces_per_second"),
    ],
)  # fmt: skip
def test_17_4_what_sampling_does_not_know_stops_the_start_and_is_named(
    sampling: str, named: str, tmp_path: Path
) -> None:
    with pytest.raises(StartFailure, match=named):
        config_of(f"{{sampling: {sampling}}}", tmp_path)


def test_every_variable_belongs_to_a_key_of_the_block() -> None:
    assert set(ObservabilityConfig.__struct_fields__) >= VARIABLES.keys()


@pytest.mark.parametrize(
    ("block", "signals"),
    [
        ({}, None),
        ({"exporter": "memory", "endpoint": "http://c"}, None),
        ({"endpoint": "http://c"}, {"traces"}),
        ({"exporter": "otlp"}, {"traces"}),
        ({"metrics_exporter": "otlp"}, {"metrics"}),
        ({"metrics_exporter": "otlp", "metrics_enabled": False}, None),
        ({"logs_exporter": "both", "exporter": "both"}, {"logs", "traces"}),
        ({"logs_exporter": "otlp", "enabled": False}, None),
    ],
)
def test_14_what_is_exported(block: dict[str, Any], signals: set[str] | None) -> None:
    settings = export_settings(ObservabilityConfig(**block), "1.2", {})
    assert (None if settings is None else set(settings.signals)) == signals


def test_14_who_the_engine_is() -> None:
    config = ObservabilityConfig(exporter="otlp", service_name="edge", service_namespace="prod")
    settings = export_settings(config, "1.2", {})
    assert settings is not None
    assert settings.endpoint == "http://localhost:4317"
    assert {key: settings.resource[key] for key in ("service.name", "service.version", "service.namespace")} == {
        "service.name": "edge",
        "service.version": "1.2",
        "service.namespace": "prod",
    }
    assert len(settings.resource["service.instance.id"]) == 36


@pytest.mark.parametrize(
    ("block", "told"),
    [
        (
            "{endpoint: 'localhost:4317'}",
            'endpoint: expected a URL such as http://localhost:4317, got "localhost:4317"',
        ),
        ("{endpoint: 'http://'}", 'endpoint: expected a URL such as http://localhost:4317, got "http://"'),
        ("{endpoint: 'ftp://x:1'}", 'endpoint: expected a URL such as http://localhost:4317, got "ftp://x:1"'),
        (
            "{alerts: [{name: a, threshold: 1, metric: orders, action: {type: webhook, url: ops.example}}]}",
            'alerts[0].action.url: expected a URL such as https://hooks.example/alerts, got "ops.example"',
        ),
        (
            "{alerts: [{name: a, threshold: 1, metric: iii.invocations.errors}]}",
            "alerts[0]: the engine has no metric 'iii.invocations.errors' for alerts, did you mean 'iii.invocations.error'?",
        ),
        (
            "{alerts: [{name: a, threshold: 1, metric: orders, action: {type: function}}]}",
            "alerts[0].action: an action of type function needs path",
        ),
    ],
)
def test_16_s6_what_could_never_work_is_a_mistake_of_the_file(block: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(StartFailure) as failure:
        config_of(block, tmp_path)
    assert str(failure.value).endswith(f": {told}")


@pytest.mark.parametrize("metric", ["iii.workers.active", "iii.worker.memory.rss", "orders", "iiix.y"])
def test_16_s6_metrics_of_workers_may_have_any_other_name(metric: str, tmp_path: Path) -> None:
    config, warnings = config_of(f"{{alerts: [{{name: a, threshold: 1, metric: {metric}}}]}}", tmp_path)
    assert (config.alerts[0].metric, warnings) == (metric, "")


@pytest.mark.parametrize(
    ("environment", "warning"),
    [
        ({"OTEL_ENABLED": "yes"}, "OTEL_ENABLED='yes' counts as false: it should be true or false"),
        ({"OTEL_METRICS_ENABLED": "ture"}, "OTEL_METRICS_ENABLED='ture' counts as false: it should be true or false"),
        ({"OTEL_ENABLED": "False", "OTEL_LIVE_SPANS": "off", "OTEL_METRIC_EXPORT_INTERVAL": "500"}, None),
        (
            {"OTEL_METRIC_EXPORT_INTERVAL": "10s"},
            "OTEL_METRIC_EXPORT_INTERVAL is ignored: it should be milliseconds, a whole number of at least 1",
        ),
    ],
)
def test_14_4_a_misspelt_flag_or_interval_is_named(environment: dict[str, str], warning: str | None) -> None:
    said: list[Any] = []
    completed({}, environment, lambda *words: said.append(words))
    assert said == ([] if warning is None else [(None, warning)])


@pytest.mark.parametrize("endpoint", ["http://[::1]:4317", "https://user:secret@c.example/v1/traces?a=b"])
def test_14_2_endpoints(endpoint: str, tmp_path: Path) -> None:
    assert config_of(f"{{endpoint: '{endpoint}'}}", tmp_path)[0].endpoint == endpoint


def test_14_4_an_empty_endpoint_counts_as_absent(tmp_path: Path) -> None:
    assert config_of("{endpoint: ''}", tmp_path)[0].endpoint is None


def test_14_4_a_variable_that_is_no_url_is_ignored_with_a_warning(tmp_path: Path) -> None:
    config, warnings = config_of("{}", tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT="localhost:4317")
    assert config.endpoint is None
    assert "OTEL_EXPORTER_OTLP_ENDPOINT is ignored: it should be a URL such as http://localhost:4317" in warnings
