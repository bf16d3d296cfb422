"""Configuration files as people have them, rebuilt in our own words: they start, or one line says what they need (bugs.md)."""

from __future__ import annotations

from pathlib import Path

import pytest

from iii.engine.engine import Engine
from iii.protocol.start_failure import StartFailure
from iii.server import config_file
from iii.testing import FakeClock

EXEC_OLD = """\
modules:
  - class: modules::api::RestApiModule
    config: {port: 3111, host: 0.0.0.0, default_timeout: 30000, concurrency_request_limit: 1024, cors: {allowed_origins: ["*"], allowed_methods: [GET, POST]}}
  - class: modules::state::StateModule
    config: {adapter: {class: modules::state::adapters::KvStore, config: {store_method: file_based, file_path: ./data/state}}}
  - class: modules::queue::QueueModule
    config: {adapter: {class: modules::queue::BuiltinQueueAdapter}}
  - class: modules::pubsub::PubSubModule
    config: {adapter: {class: modules::pubsub::LocalAdapter}}
  - class: modules::cron::CronModule
    config: {adapter: {class: modules::cron::KvCronAdapter}}
  - class: modules::observability::OtelModule
    config: {enabled: true, service_name: shop, exporter: memory, prometheus_port: 9464}
  - class: modules::shell::ExecModule
    config: {watch: ["src/**/*.ts"], exec: ["bun run src/main.ts"]}
"""
EXEC_NEW = """\
workers:
  - name: iii-http
    config: {port: ${HTTP_PORT:3111}, host: 127.0.0.1}
  - name: iii-queue
    config: {queue_configs: {default: {concurrency: 5, max_retries: 3, type: standard}}, adapter: {name: builtin}}
  - name: iii-stream
    config: {port: 3112, host: 127.0.0.1, adapter: {name: kv, config: {store_method: in_memory}}}
  - name: iii-exec
    config: {exec: ["npm run build", "node dist/worker.js"]}
  - name: iii-exec
    config: {exec: ["uv run worker.py"], watch: ["workers/**/*.py"]}
"""
ACCESS = """\
workers:
  - name: iii-worker-manager
    config: {port: 49134}
  - name: iii-worker-manager
    config:
      port: 49135
      middleware_function_id: gate::check
      rbac:
        auth_function_id: gate::who
        expose_functions: [match("public::*"), {metadata: {public: true}}]
        on_function_registration_function_id: gate::register
"""
CONFIGURATION = (
    "workers: [{name: configuration, config: {adapter: {name: fs, config: {directory: ./config}}}}, {name: iii-state}]"
)
TELEMETRY = "workers: [{name: iii-telemetry, config: {enabled: false}}, {name: iii-observability, config: {exporter: memory, logs_enabled: true}}]"
BRIDGE = """\
modules:
  - class: modules::bridge_client::BridgeClientModule
    config:
      url: ws://127.0.0.1:49198
      service_id: bridge
      service_name: bridge
      expose: [{local_function: logger::info, remote_function: remote::log}]
      forward: [{local_function: remote::save, remote_function: store::save, timeout_ms: 5000}]
"""
REDIS = "workers: [{name: iii-state, config: {adapter: {name: redis, config: {redis_url: 'redis://${REDIS_HOST:localhost}:6379'}}}}]"
ELSEWHERE = """\
modules:
  - class: modules::state::StateModule
    config: {adapter: {class: 'modules::state::adapters::Bridge', config: {bridge_url: ws://localhost:49198}}}
  - class: modules::stream::StreamModule
    config: {adapter: {class: 'modules::stream::adapters::Bridge', config: {bridge_url: ws://localhost:49198}}}
  - class: modules::queue::QueueModule
    config: {adapter: {class: 'modules::queue::adapters::Bridge', config: {bridge_url: ws://localhost:49198}}}
"""
STARTING = {
    "exec, old form": EXEC_OLD, "exec, new form": EXEC_NEW, "access rules and middleware": ACCESS, "configuration": CONFIGURATION,
    "telemetry": TELEMETRY, "bridge": BRIDGE, "stores in another engine": ELSEWHERE, "redis": REDIS, "empty": "{}", "no modules": "workers: []",
}  # fmt: skip
REFUSED = {
    "a store that nobody has": (
        "modules: [{class: 'modules::kv_server::KvServer', config: {}}]",
        "Unknown worker 'modules::kv_server::KvServer'",
    ),
    "exec without commands": ("workers: [{name: iii-exec}]", "iii-exec requires a config with exec"),
}  # fmt: skip


@pytest.mark.parametrize("text", STARTING.values(), ids=STARTING)
def test_bugs_real_configurations_are_read_whole(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text(text)
    config = config_file.load(Path("config.yaml"), environment={})
    assert all(entry.known.load() is not None for entry in config.entries)


@pytest.mark.parametrize(("text", "told"), REFUSED.values(), ids=REFUSED)
def test_bugs_what_cannot_run_is_one_line(
    text: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(StartFailure) as failure:
        make_exec()
    assert told in str(failure.value)
    assert "\n" not in str(failure.value)


def make_exec() -> None:
    config = config_file.load(Path("config.yaml"), environment={})
    [entry] = [entry for entry in config.entries if entry.known.name == "iii-exec"]
    entry.known.load()(Engine(FakeClock()), entry.config, entry.instance)
