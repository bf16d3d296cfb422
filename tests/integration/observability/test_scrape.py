"""`/metrics` of an engine that works: everything it measures, promtool's opinion, and what rules and dashboard ask for (16 §1, §5)."""

import asyncio
import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

import iii
from tests.integration.observability.prometheus import HOW_TO, Prometheus
from tests.integration.server.raw_socket import BINARY, RawSocket
from tests.processes import EngineProcess, free_port

DEADLINE_S = 60.0
CONFIG = """
workers:
  - {name: iii-worker-manager, config: {port: {port}}}
  - {name: iii-observability, config: {prometheus_port: PROMETHEUS}}
  - {name: iii-http, config: {port: HTTP}}
  - {name: iii-stream, config: {port: 0, adapter: {name: kv, config: {store_method: file_based, file_path: data}}}}
  - {name: iii-state, config: {adapter: {name: kv, config: {store_method: file_based, file_path: data}}}}
  - name: iii-queue
    config:
      queue_configs: {work: {max_retries: 2, backoff_ms: 1}}
      adapter: {name: builtin, config: {store_method: file_based, file_path: data}}
"""
WORKERS_METRICS = {
    "resourceMetrics": [{
        "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
        "scopeMetrics": [{"metrics": [
            {"name": "iii.worker.memory.rss", "unit": "By", "description": "Resident memory.", "gauge": {"dataPoints": [
                {"asDouble": 5, "attributes": [{"key": "worker.id", "value": {"stringValue": "w1"}}]}]}},
            {"name": "orders", "unit": "{order}", "description": "Orders.", "sum": {"isMonotonic": True, "dataPoints": [
                {"asInt": "7"}]}},
            {"name": "took", "unit": "s", "description": "Time.", "histogram": {"dataPoints": [
                {"count": 3, "sum": 1.5, "bucketCounts": [1, 2], "explicitBounds": [0.5]}]}},
            {"name": "waited", "unit": "s", "description": "Time.", "exponentialHistogram": {"dataPoints": [
                {"count": 3, "sum": 1.5, "scale": 4, "positive": {"offset": -9, "bucketCounts": ["1", "2"]}}]}},
            {"name": "size", "unit": "By", "description": "Sizes.", "summary": {"dataPoints": [
                {"count": 3, "sum": 9, "quantileValues": [{"quantile": 0.5, "value": 4}]}]}},
        ]}],
    }]
}  # fmt: skip


LAST = 'iii_queue_dead_letters_total{function_id="",queue="work"} 1.0', "iii_worker_event_loop_lag_seconds"
DASHBOARD = json.loads((HOW_TO / "grafana-dashboard.json").read_text())


class Ports:
    def __init__(self, engine: EngineProcess, metrics: int, http: int) -> None:
        self.engine = engine
        self.metrics = metrics
        self.http = http


@pytest.fixture(scope="module")
def ports() -> Iterator[Ports]:
    metrics, http = free_port(), free_port()
    with EngineProcess(config=CONFIG.replace("PROMETHEUS", str(metrics)).replace("HTTP", str(http))) as engine:
        ports = Ports(engine, metrics, http)
        asyncio.run(traffic(ports))
        yield ports


async def traffic(ports: Ports) -> None:
    """Calls, requests, jobs that succeed and one that dies, writes, and metrics of workers: those of an SDK, and others."""
    options = iii.InitOptions(worker_name="shop", otel={"enabled": False})
    worker = await iii.connect_worker(ports.engine.url, options)
    done = asyncio.Queue[Any]()

    async def works(data: Any) -> Any:
        done.put_nowait(data)
        if data == "bad":
            raise ValueError("bad")
        return {"status_code": 201, "body": {}}

    worker.register_function("shop::works", works)
    worker.register_trigger(
        {"type": "http", "function_id": "shop::works", "config": {"api_path": "orders/:id", "http_method": "GET"}}
    )
    calls: list[Any] = [
        {"function_id": "state::set", "payload": {"scope": "s", "key": "k", "value": 1}},
        {"function_id": "shop::works", "payload": 1, "action": {"type": "enqueue", "queue": "work"}},
        {"function_id": "shop::works", "payload": "bad", "action": {"type": "enqueue", "queue": "work"}},
    ]
    for call in calls:
        await worker.trigger_async(call)
    async with asyncio.timeout(DEADLINE_S):
        async with aiohttp.ClientSession() as browser:
            for path, expected in (("orders/7", 201), ("nowhere", 404)):
                async with browser.get(f"http://127.0.0.1:{ports.http}/{path}") as answer:
                    assert answer.status == expected
        for _ in range(4):
            await done.get()
        async with await RawSocket.upgraded(ports.engine.port, "/otel") as telemetry:
            telemetry.say(b"MTRC" + json.dumps(WORKERS_METRICS).encode(), BINARY)
            assert await telemetry.answers_ping()
    await _scrape(ports)
    await worker.shutdown_async()


def scraped(ports: Ports) -> str:
    return asyncio.run(_scrape(ports))


async def _scrape(ports: Ports) -> str:
    """Once the dead letter is in the store, which is a little after its last attempt, and the worker has sent its gauges."""
    async with asyncio.timeout(DEADLINE_S), aiohttp.ClientSession() as browser:
        while True:
            async with browser.get(f"http://127.0.0.1:{ports.metrics}/metrics") as answer:
                text = await answer.text()
            if all(each in text for each in LAST):
                return text


def value(text: str, series: str) -> float:
    found = re.search(rf"^{re.escape(series)} (\S+)$", text, re.MULTILINE)
    assert found is not None, series
    return float(found[1])


def test_16_1_an_engine_at_work_tells_what_it_does(ports: Ports) -> None:
    text = scraped(ports)
    for series, expected in (
        ('iii_invocations_total{function_id="shop::works",status="error"}', 2),
        ('iii_queue_jobs{function_id="",queue="work",state="dead"}', 1),
        ('iii_queue_jobs{function_id="",queue="work",state="waiting"}', 0),
        ('iii_queue_oldest_job_age_seconds{function_id="",queue="work"}', 0),
        ('iii_queue_attempts_total{function_id="",queue="work"}', 3),
        ('iii_queue_retries_total{function_id="",queue="work"}', 1),
        ('iii_workers_active', 0),
        ('iii_workers_spawns_total', 1),
        ('iii_connections{listener="iii-worker-manager"}', 0),
        ('http_server_active_requests', 0),
        (
            'http_server_request_duration_seconds_count{http_request_method="GET",http_response_status_code="201",'
            'http_route="orders/:id"}', 1,
        ),
        ('http_server_request_duration_seconds_count{http_request_method="GET",http_response_status_code="404",http_route=""}', 1),
        ('iii_worker_memory_rss_bytes{service_name="shop",worker_id="w1"}', 5),
        ('orders_total{service_name="shop"}', 7),
        ('took_seconds_bucket{le="+Inf",service_name="shop"}', 3),
        ('waited_seconds_bucket{le="0.7071067811865476",service_name="shop"}', 1),
        ('size_bytes{quantile="0.5",service_name="shop"}', 4),
        ('size_bytes_count{service_name="shop"}', 3),
    ):  # fmt: skip
        assert value(text, series) == expected, series
    for series in (
        'iii_store_operation_duration_seconds_count{operation="write",store="iii-state"}',
        'iii_store_operation_duration_seconds_count{operation="fsync",store="iii-queue"}',
        'iii_connection_io_bytes_total{direction="in",listener="iii-worker-manager"}',
        'iii_connection_io_bytes_total{direction="out",listener="iii-worker-manager"}',
        "process_resident_memory_bytes",
        "process_open_fds",
    ):
        assert value(text, series) > 0, series


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)")
def test_promtool_is_content_with_all_of_it(ports: Ports) -> None:
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=scraped(ports), capture_output=True, text=True, timeout=60
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_rules_and_dashboard_name_metrics_that_there_are(ports: Ports) -> None:
    shown = scraped(ports)
    known = set(re.findall(r"^# TYPE (\S+)", shown, re.MULTILINE))
    labels = set(re.findall(r'(\w+)="', shown))
    queries = list(panel_queries().values())
    queries += [each["query"] for each in DASHBOARD["templating"]["list"] if each["type"] == "query"]
    text = " ".join(queries) + (HOW_TO / "prometheus-rules.yml").read_text()
    asked = {re.sub(r"_(bucket|sum|count)$", "", name) for name in re.findall(r"\b(?:iii|http|process)_[a-z_]+", text)}
    assert asked <= known | labels, asked - known
    assert len(queries) >= 6


def panel_queries() -> dict[str, str]:
    """By the title of the panel and the name of the query."""
    panels = [each for panel in DASHBOARD["panels"] for each in (panel, *panel.get("panels", ()))]
    return {
        f"{panel['title']} {target['refId']}": target["expr"] for panel in panels for target in panel.get("targets", ())
    }


@pytest.mark.skipif(shutil.which("prometheus") is None, reason="prometheus is not installed (Debian: prometheus)")
def test_each_panel_has_series_and_rules_load_in_a_prometheus(ports: Ports, tmp_path: Path) -> None:
    scraped(ports)
    empty, rules = asyncio.run(_asked(Prometheus(tmp_path, ports.metrics)))
    assert empty == []
    assert len(rules) >= 10
    assert {rule["name"]: rule["lastError"] for rule in rules if rule["health"] != "ok"} == {}


async def _asked(prometheus: Prometheus) -> tuple[list[str], list[dict[str, Any]]]:
    """Panels without series, and the rules."""
    give_up_at = time.monotonic() + DEADLINE_S
    async with prometheus, asyncio.timeout(2 * DEADLINE_S):
        await prometheus.scraped_twice()
        # As Grafana fills it in: all engines, and four scrapes at least.
        empty = {
            name: query.replace("$instance", ".*").replace("$__rate_interval", "1m")
            for name, query in panel_queries().items()
        }
        while (
            empty and time.monotonic() < give_up_at
        ):  # a scrape that takes more than a second fails, and shows nothing
            empty = {name: query for name, query in empty.items() if not await prometheus.series(query)}
        while True:
            rules = [rule for group in await prometheus.groups() for rule in group["rules"]]
            if rules and all(rule["health"] != "unknown" for rule in rules):  # looked at once
                return list(empty), rules
            await asyncio.sleep(0.2)
