"""Ids, names and namespaces: what is reserved, what is blank, what is shown (01 §6, 02 §1.1)."""

from collections.abc import Mapping

from iii.protocol.late_pattern import late_pattern
from iii.protocol.limits import NAME_CODE_POINTS

DEFAULT_NAMESPACE = "default"
SEPARATOR = "::"
ENGINE_PREFIX = "engine::"

REGISTER_WORKER = "engine::workers::register"
DRAIN_WORKER = "engine::workers::drain"
DISCONNECT_WORKER = "engine::workers::disconnect"
LIST_FUNCTIONS = "engine::functions::list"
LIST_WORKERS = "engine::workers::list"
LIST_TRIGGERS = "engine::triggers::list"
LIST_METRICS = "engine::metrics::list"
LIST_OBSERVERS = "engine::observers::list"
OBSERVER = "engine::observers::get"
ON_REQUEST = "http::on-request"  # each observer of it is a route
HEALTH_CHECK = "engine::health::check"
LIST_REGISTERED_TRIGGERS = "engine::registered-triggers::list"
FUNCTION_INFO = "engine::functions::info"
LIST_OBSERVERS = "engine::observers::list"
OBSERVER = "engine::observers::get"
FIRE_TRIGGER = "engine::fire_trigger"
CREATE_CHANNEL = "engine::channels::create"
ENQUEUE_PROVIDER = "engine::queue::enqueue"  # whoever holds it serves the enqueue action (04 §3.4)
FUNCTIONS_AVAILABLE = "engine::functions-available"
WORKERS_AVAILABLE = "engine::workers-available"

SUBSCRIBE = "subscribe"  # the trigger type of which each owner may get every event: `"deliver": "each"` (P9)
EACH = "each"

CANCEL_INVOCATION = "engine::invocations::cancel"

CANCEL_FEATURE = "cancel.v1"  # a feature: the worker understands `cancelinvocation`, and is told deadlines (P7, P11)
DRAIN_FEATURE = "drain.v1"  # a feature: the worker understands `drainworker`, and leaves by itself (P12)
LARGE_MESSAGES = "large-messages.v1"  # a feature: the receiver takes 64 MiB (L13)
BATCH_V1 = "batch.v1"  # a feature: the receiver takes several messages in one frame (29 §1)
OBSERVE_V1 = "observe.v1"  # a feature: observers, and the messages about them (21 §1)
OBSERVE_V2 = "observe.v2"  # a feature: hosts say which observers a call is for
LOCAL_DISPATCH = "local-dispatch.v1"  # a feature: the worker calls functions of its own by itself where it may
TRACES_V1 = "traces.v1"  # a feature: compact frames of spans, and answers without trace context (17 §9)
TRACES_V2 = "traces.v2"  # a feature: short spans in compact frames (17 §9)
FEATURES = (
    OBSERVE_V1,
    OBSERVE_V2,
    LOCAL_DISPATCH,
    TRACES_V1,
    TRACES_V2,
    BATCH_V1,
)  # of this engine: parts of the protocol that it has as a whole (N12)
REPLICA = "replica.v1"  # a feature: the worker is one of several copies, which may share a name (P10)

_BUILTIN_PREFIXES = (
    "engine::", "state::", "stream::", "configuration::", "iii::", "iii-http::", "iii-state::", "iii-pubsub::",
    "iii-stream::", "iii-cron::", "iii-queue::", "iii-observability::", "bridge.", "motia::", "steps::", "queue::",
)  # fmt: skip
# What adapters `bridge` register at another engine: in the vocabulary of builtins, and the place of none (27 §1)
TOPIC_RELAY, STREAM_RELAY = "queue::bridge::on_message::", "stream::bridge::on_pub::"
CONFIGURATION_RELAY = "configuration::__bridge_relay::"
_BUILTIN_IDS = frozenset({"publish", "motia_step_get", "enqueue"})

_HOSTILE_CHARACTERS = late_pattern("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029]")

# Which module to list in the config when a trigger type has no provider (01 §7.2, W10)
TRIGGER_TYPE_MODULES: Mapping[str, str] = {
    "http": "iii-http",
    "cron": "iii-cron",
    SUBSCRIBE: "iii-pubsub",
    "state": "iii-state",
    "durable:subscriber": "iii-queue",
    "queue": "iii-queue",
    "stream": "iii-stream",
    "stream:join": "iii-stream",
    "stream:leave": "iii-stream",
    "log": "iii-observability",
    "trace": "iii-observability",
    "configuration": "configuration",
}


def is_builtin_id(function_id: str) -> bool:
    """Whether the id belongs to the vocabulary of builtins, provided or not (02 §1.1, 00 §5.1)."""
    return function_id.startswith(_BUILTIN_PREFIXES) or function_id in _BUILTIN_IDS


def is_relay_id(function_id: str) -> bool:
    """Whether an engine serves it for an adapter `bridge`."""
    return function_id.startswith((TOPIC_RELAY, STREAM_RELAY, CONFIGURATION_RELAY))


def is_blank(name: str | None) -> bool:
    """Named, and left blank; absent is not blank (N3)."""
    return name is not None and not name.strip()


def first_segment(identifier: str) -> str:
    """The text before the first `::`, all of it when there is none."""
    return identifier.partition(SEPARATOR)[0]


def without_control_characters(text: str) -> str:
    """Drop control characters, bidi overrides and line separators, which could forge a terminal line (01 §6.1, 07 §8.2)."""
    return text if text.isprintable() else _HOSTILE_CHARACTERS.sub("", text)


def clean_name(text: str | None) -> str | None:
    """A worker name or description as it is stored: no control characters, 280 code points, trimmed; None if empty."""
    if text is None:
        return None
    return without_control_characters(text)[:NAME_CODE_POINTS].strip() or None
