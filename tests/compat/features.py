"""What a published client can do with the engine: each test here proves a cell of docs/reference/clients.md (house S2)."""

from collections.abc import Callable

import pytest

from tests.compat.environments import Client

FUNCTIONS = "sync and async functions, nested calls"
CALLS = "calls, void calls, errors, timeouts, calls without a payload"
METADATA = "metadata of calls"
UNREGISTER = "unregister a function"
TRIGGER_TYPES = "provide a trigger type, refuse a binding"
TRIGGER_METADATA = "metadata of triggers"
UNBOUND = "provider hears that a binding was removed"
HTTP = "HTTP routes: JSON, upload, streamed response"
STATE = "state: values, updates, triggers"
STREAMS = "streams, followed by browsers"
OWN_STREAMS = "streams that the worker itself stores"
QUEUES = "named queues, dead letters, durable topics"
ENQUEUE = "enqueue to a worker that provides the queue"
PUBSUB_AND_CRON = "pub/sub topics, cron schedules"
CHANNELS = "channels"
LISTS = "list functions, workers and triggers"
AVAILABLE = "callback for available functions"
SERVICES = "services (accepted, without effect on calls)"
RECONNECT = "reconnects after a stop or `kill -9` of the engine"
PENDING = "calls made while the engine is stopped are answered later"
HALF_OPEN = "serves again after a half-open connection"
NAMESPACES = "namespaces, unique names, standby on conflict"
NEWEST_WINS = "newest registration of an id serves, the older one stands by"
RECEIVES = "receives messages up to"
TELEMETRY = "runs with telemetry on, its default"
METRICS = "worker metrics in the worker list"
OBSERVE = "`observe`"

ROWS = (
    FUNCTIONS, CALLS, METADATA, UNREGISTER, TRIGGER_TYPES, TRIGGER_METADATA, UNBOUND, HTTP, STATE, STREAMS, OWN_STREAMS,
    QUEUES, ENQUEUE, PUBSUB_AND_CRON, CHANNELS, LISTS, AVAILABLE, SERVICES, RECONNECT, PENDING, HALF_OPEN, NAMESPACES,
    NEWEST_WINS, RECEIVES, TELEMETRY, METRICS, OBSERVE,
)  # fmt: skip

Cell = str | Callable[[Client], str]


def feature(row: str, cell: Cell = "yes") -> pytest.MarkDecorator:
    """The test proves the row for each client that it runs with.

    Args:
        cell: what the page shows; of a later test it replaces that of an earlier one, an empty text changes nothing.
    """
    assert row in ROWS
    return pytest.mark.feature(row, cell)
