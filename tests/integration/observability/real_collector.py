"""The OpenTelemetry Collector itself takes what the engine exports (14): run by hand, as Debian has none; CI has `collector.py`.

    .venv/bin/python -m pytest tests/integration/observability/real_collector.py

The one of opentelemetry.io is called `otelcol`. So may be one of three Go modules: `otelcol`, `otlpreceiver`, `debugexporter`.
"""

from __future__ import annotations

import random
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import iii
from tests.processes import EngineProcess

DEADLINE_S = 60.0
COLLECTOR = """\
receivers: {otlp: {protocols: {grpc: {endpoint: "HOST:4317"}, http: {endpoint: "HOST:4318"}}}}
exporters: {debug: {verbosity: detailed, sampling_initial: 1000000}}
service:
  telemetry: {metrics: {level: none}}
  pipelines:
    traces: {receivers: [otlp], exporters: [debug]}
    metrics: {receivers: [otlp], exporters: [debug]}
    logs: {receivers: [otlp], exporters: [debug]}
"""
ENGINE = """\
workers:
  - {name: iii-worker-manager, config: {port: {port}}}
  - name: iii-observability
    config: {endpoint: "http://ENDPOINT", metrics_exporter: otlp, logs_exporter: otlp, service_name: edge, logs_flush_interval_ms: 100}
"""


class Otelcol:
    """A process that prints what it gets."""

    def __init__(self, folder: Path) -> None:
        self.host = f"127.{random.randrange(1, 255)}.{random.randrange(1, 255)}.{random.randrange(1, 255)}"
        self._folder = folder
        (folder / "collector.yaml").write_text(COLLECTOR.replace("HOST", self.host))
        self.start()

    def start(self) -> None:
        with (self._folder / "collector.log").open("ab") as log:
            self._process = subprocess.Popen(
                ["otelcol", "--config=collector.yaml"], cwd=self._folder, stdout=log, stderr=subprocess.STDOUT
            )
        self._until(lambda: "Everything is ready" in self.got())

    def kill(self) -> None:
        """And forget what it got."""
        self._process.kill()
        self._process.wait()
        (self._folder / "collector.log").unlink()

    def got(self) -> str:
        return (self._folder / "collector.log").read_text()

    def wait(self, service: str, kind: str, pattern: str) -> None:
        """Until it has printed this of a service's resource."""

        def printed() -> bool:
            parts = re.split(r"(?=Resource(?:Spans|Log|Metrics) #)", self.got())
            of_service = [part for part in parts if part.startswith(kind) and f"service.name: Str({service})" in part]
            return any(re.search(pattern, part) for part in of_service)

        self._until(printed, service, kind, pattern)

    def _until(self, true: Callable[[], bool], *what: str) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not true():
            assert self._process.poll() is None, self.got()
            assert time.monotonic() < deadline, what
            time.sleep(0.02)


@pytest.fixture
def otelcol(tmp_path: Path) -> Iterator[Otelcol]:
    collector = Otelcol(tmp_path)
    yield collector
    collector.kill()


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_14_the_collector_takes_all_signals_also_after_it_was_killed(
    otelcol: Otelcol, protocol: str, tmp_path: Path
) -> None:
    config = ENGINE.replace("ENDPOINT", f"{otelcol.host}:{4317 if protocol == 'grpc' else 4318}")
    environ = {"OTEL_EXPORTER_OTLP_PROTOCOL": protocol, "OTEL_METRIC_EXPORT_INTERVAL": "200"}
    otel: dict[str, Any] = {
        "enabled": True, "service_name": "shop", "spans_flush_interval_ms": 1, "metrics_export_interval_ms": 100,
    }  # fmt: skip
    with EngineProcess(tmp_path / "engine", config=config, env=environ) as engine:
        worker = iii.register_worker(engine.url, iii.InitOptions(otel=otel, enable_metrics_reporting=True))
        worker.register_function("shop::price", lambda data: iii.Logger().info(f"priced {data}"))
        worker.list_functions()
        for round_ in ("first", "second"):
            worker.trigger({"function_id": "shop::price", "payload": round_})
            otelcol.wait("shop", "ResourceSpans", r"Name +: execute shop::price\n +Kind +: Internal")
            otelcol.wait("shop", "ResourceSpans", r"Name +: call shop::price\n +Kind +: Client")
            otelcol.wait("shop", "ResourceLog", rf"Body: Str\(priced {round_}\)")
            otelcol.wait("shop", "ResourceMetrics", r"Name: iii\.worker\.memory\.rss\n")
            otelcol.wait("edge", "ResourceMetrics", r"Name: iii\.invocations\.total\n")
            if round_ == "first":
                otelcol.wait("edge", "ResourceLog", r"Body: Str\(Engine ready\)")
                otelcol.kill()
                otelcol.start()
        worker.shutdown()
        engine.stop()
        assert "HTTP 4" not in engine.log()  # nothing was refused
