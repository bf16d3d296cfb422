"""What the built-in modules say of themselves: published clients compare these texts (P21, 02 §3.4, 02 check 22)."""

from iii.engine.engine import Engine
from iii.server.catalogue import CATALOGUE, WORKER_MANAGER
from iii.testing import FakeClock

TEXTS = {
    "iii-engine-functions": "Core engine introspection (engine::*) and platform authoring reference.",
    "iii-worker-manager": "WebSocket listener that SDK workers connect to. "
    "Supports RBAC, middleware, registration hooks, and channels.",
    "iii-observability": "OpenTelemetry-based traces, metrics, logs, alerts, and sampling.",
    "iii-telemetry": "Accepted for compatibility: no product telemetry is ever sent.",  # the one of our own (O9)
    "configuration": "Register, store, and watch typed configuration values for the engine.",
    "iii-http": "Expose functions as HTTP endpoints.",
    "iii-state": "Distributed key-value state management with reactive change triggers.",
    "iii-stream": "Build durable streams for real-time data subscriptions.",
    "iii-console": "Web console UI and observability dashboard for the iii engine.",
    "iii-cron": "Schedule functions with cron expressions.",
    "iii-pubsub": "Topic-based publish/subscribe messaging for real-time event distribution.",
    "iii-queue": "Async job processing with named queues, retries, and dead-letter support.",
    "iii-exec": "Execute shell commands as part of engine startup.",
    "iii-bridge": "Connect to another iii instance over iii-sdk to expose and forward functions.",
    "iii-http-functions": "Expose external HTTP endpoints from config as callable functions.",
}


def test_P21_every_provided_module_says_what_the_table_says() -> None:
    assert {row.name: row.load().description for row in CATALOGUE} == TEXTS


def test_T8_the_trigger_types_of_all_modules() -> None:
    engine = Engine(FakeClock())
    modules = [row.load()(engine) for row in CATALOGUE if row is not WORKER_MANAGER]
    assert {each.id for module in modules for each in module.trigger_types()} == {
        "http", "cron", "durable:subscriber", "queue", "subscribe", "state", "stream", "stream:join", "stream:leave", "log", "trace",
        "configuration", "engine::functions-available", "engine::workers-available",
    }  # fmt: skip
