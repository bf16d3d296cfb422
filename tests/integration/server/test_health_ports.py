"""`/healthz`, `/readyz` and `/metrics` of a running engine (16 §5, 06 §13)."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

import iii
from tests.processes import EngineProcess, free_port

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)"
)
FOLDER = Path(iii.__file__).parents[2] / "docs" / "how-to"

CONFIG = """
workers:
  - {name: iii-worker-manager, config: {port: {port}}}
  - {name: iii-observability, config: {prometheus_port: PROMETHEUS}}
"""


def get(port: int, path: str) -> tuple[int, str, str]:
    """Status, type and text."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as response:
            return response.status, response.headers["Content-Type"], response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers["Content-Type"], error.read().decode()


@pytest.fixture(scope="module")
def ports() -> Iterator[tuple[int, int]]:
    """The worker port, and the one for Prometheus."""
    other = free_port()
    with EngineProcess(config=CONFIG.replace("PROMETHEUS", str(other))) as engine:
        yield engine.port, other


def test_both_ports_tell_health(ports: tuple[int, int]) -> None:
    for port in ports:
        for path in ("/healthz", "/readyz"):
            assert (get(port, path)[0], get(port, path)[2].strip()) == (200, "ok")


def test_prometheus_gets_the_engines_metrics(ports: tuple[int, int]) -> None:
    status, kind, text = get(ports[1], "/metrics")
    assert (status, kind.partition(";")[0]) == (200, "text/plain")
    assert re.search(r"^iii_workers_active \d", text, re.MULTILINE)
    assert get(ports[0], "/metrics")[0] == 404
    assert get(ports[1], "/")[0] == 404


def test_a_port_that_is_taken_is_named_with_its_key() -> None:
    with EngineProcess() as holder:
        second = EngineProcess(config=CONFIG.replace("PROMETHEUS", str(holder.port)))
        second.start(wait=False)
        assert second.wait() == 1
        assert "prometheus_port" in second.log()


@needs_promtool
def test_prometheus_takes_the_rules_of_the_how_to() -> None:
    checked = subprocess.run(
        ["promtool", "check", "rules", str(FOLDER / "prometheus-rules.yml")], capture_output=True, text=True, timeout=60
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


MISSING = """
rule_files: [RULES]
tests:
  - interval: 1m
    input_series:
      - {series: 'iii_invocations_total{job="iii",instance="a",function_id="gone",status="not_found"}', values: 0+6x20}
      - {series: 'iii_invocations_total{job="iii",instance="a",function_id="engine::queue::list_topics",status="not_found"}', values: 0+6x20}
      - {series: 'iii_invocations_total{job="iii",instance="a",function_id="f",status="ok"}', values: 0+60x20}
    alert_rule_test:
      - {eval_time: 15m, alertname: IiiCallsFail}
      - eval_time: 15m
        alertname: IiiFunctionsMissing
        exp_alerts:
          - exp_labels: {instance: a, function_id: gone}
            exp_annotations: {summary: "gone is called, and no worker of a serves it."}
"""


@needs_promtool
def test_calls_of_functions_that_are_not_there_have_a_rule_of_their_own(tmp_path: Path) -> None:
    file = tmp_path / "test.yml"
    file.write_text(MISSING.replace("RULES", str(FOLDER / "prometheus-rules.yml")))
    tested = subprocess.run(["promtool", "test", "rules", str(file)], capture_output=True, text=True, timeout=60)
    assert tested.returncode == 0, tested.stdout + tested.stderr


STORES = """
workers:
  - {name: iii-worker-manager, config: {port: {port}}}
  - {name: iii-state, config: {adapter: {name: kv, config: {store_method: file_based, file_path: data}}}}
  - {name: iii-stream, config: {port: 0, adapter: {name: kv, config: {store_method: file_based, file_path: data}}}}
  - {name: iii-queue, config: {adapter: {name: builtin, config: {store_method: file_based, file_path: data}}}}
"""
WRITES = {
    "iii-state": ("state::set", {"scope": "s", "key": "k", "value": 1}),
    "iii-stream": ("stream::set", {"stream_name": "s", "group_id": "g", "item_id": "i", "data": 1}),
    "iii-queue": ("iii::durable::publish", {"topic": "t", "data": 1}),
}


@pytest.mark.parametrize("module", WRITES)
def test_an_engine_whose_store_is_lost_is_not_ready(module: str) -> None:
    function, payload = WRITES[module]
    with EngineProcess(config=STORES) as engine:
        write = [sys.executable, "-m", "iii.cli", "trigger", function, "--json", json.dumps(payload)]
        where = {**os.environ, "III_URL": engine.url}
        assert subprocess.run(write, env=where, capture_output=True, timeout=60).returncode == 0
        assert get(engine.port, "/readyz")[0] == 200
        for file in engine.folder.rglob("store.db"):
            file.rename(file.with_name("moved"))
        deadline = time.monotonic() + 60
        while (answer := get(engine.port, "/readyz"))[0] == 200:
            assert time.monotonic() < deadline
            subprocess.run(write, env=where, capture_output=True, timeout=60)
        assert (answer[0], answer[2].strip()) == (503, f"not well: {module}")
        assert get(engine.port, "/healthz")[0] == 200
