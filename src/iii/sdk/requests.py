"""What is asked of the client, as the dicts that users write: their keys, their defaults, their namespaces (08 §9, §11)."""

import math
from collections.abc import Mapping
from typing import Any, Literal, Required, TypedDict

from iii.protocol.limits import LONGEST_TIMEOUT_MS
from iii.protocol.log_event import WARNING, LogEvent
from iii.protocol.messages import Enqueue, Void
from iii.protocol.names import DEFAULT_NAMESPACE, is_blank
from iii.protocol.replicas import ReplicaPolicy

KEY_IGNORED = LogEvent(
    "iii.sdk", "sdk.key_ignored", WARNING, "Unknown key ignored",
    means="A dict has a key that its receiver does not know; said once for each key.",
    do="Correct the key, or remove it.",
)  # fmt: skip


class VoidAction(TypedDict):
    type: Literal["void"]


class EnqueueAction(TypedDict):
    type: Literal["enqueue"]
    queue: str


class TriggerRequest(TypedDict, total=False):
    """One call.

    Keys:
        payload: absent and None are the same.
        action: `TriggerAction.Void()`, `TriggerAction.Enqueue(queue=…)`, or their dicts; absent waits for the result.
        timeout_ms: longest wait, after which the call is cancelled. 0, None and absent are the client's default, after
            which the function runs on; in a handler whose own caller set a time, at most what is left of that.
        metadata: JSON beside the payload, for a handler that names that parameter.
        namespace: of the function; absent is the worker's own, and `default` for `engine::` ids.
    """

    function_id: Required[str]
    payload: Any
    action: Void | Enqueue | VoidAction | EnqueueAction | None
    timeout_ms: int | None
    metadata: Any
    namespace: str | None


class TriggerInput(TypedDict, total=False):
    """One trigger to register.

    Keys:
        metadata: delivered to the function with each event.
        namespace: of the function; absent is the worker's own.
        trigger_namespace: of the trigger type; absent is the worker's, then the engine's.
    """

    type: Required[str]
    function_id: Required[str]
    config: Any
    metadata: Any
    namespace: str | None
    trigger_namespace: str | None


class TriggerTypeInput(TypedDict, total=False):
    """One trigger type to provide; the formats are JSON Schemas, or types that have one."""

    id: Required[str]
    description: str
    trigger_request_format: Any
    call_request_format: Any


class FunctionInput(TypedDict, total=False):
    """A function in the dict form of `register_function`; its schemas are not taken from the signature."""

    id: Required[str]
    description: str | None
    metadata: Any
    request_format: Any
    response_format: Any
    replicas: ReplicaPolicy | None


class TriggerAction:
    """What should happen to a call, if its caller does not want to wait for the result."""

    @staticmethod
    def Void() -> Void:
        """No result is wanted; `trigger` returns None at once."""
        return Void()

    @staticmethod
    def Enqueue(
        *, queue: str, delay_ms: int | None = None, deduplication_id: str | None = None, priority: int | None = None
    ) -> Enqueue:
        """Run it through the named queue; the result is an `EnqueueResult`, and the job is kept by then: on disk, if the
        engine's queue has a store there (`store_method: file_based`).

        Args:
            queue: one of the engine's `queue_configs`, or ``default``.
            delay_ms: before its first delivery.
            deduplication_id: a second job with it is not accepted within the queue's `deduplication_window_ms`; its
                caller gets the receipt of the first.
            priority: higher goes first, up to the queue's `max_priority`.
        """
        return Enqueue(queue, delay_ms, deduplication_id, priority)


def action_of(value: object) -> Void | Enqueue | None:
    """The action in either form; a dict of an unknown type is an ordinary call, as for published clients."""
    if value is None or isinstance(value, Void | Enqueue):
        return value
    if isinstance(value, Mapping):
        if value.get("type") == "void":
            return Void()
        if value.get("type") == "enqueue":
            options = (value.get(name) for name in ("delay_ms", "deduplication_id", "priority"))
            return Enqueue(required(value, "queue", "the action 'enqueue' of trigger()"), *options)
        return None
    raise TypeError(
        f"action must be TriggerAction.Void(), TriggerAction.Enqueue(queue=…) or a dict, got {value!r:.200}"
    )


def required(given: Mapping[str, Any], key: str, what: str) -> Any:
    """The value of a key that must be there. Raises KeyError, and TypeError: it is no dict."""
    if not isinstance(given, Mapping):
        raise TypeError(f"{what} takes a dict with the key {key!r}, got {given!r:.200}")
    try:
        return given[key]
    except KeyError:
        found = ", ".join(map(repr, given)) or "nothing"
        raise KeyError(f"{what} needs the key {key!r}; it has {found}") from None


def timeout_of(wanted: object, default_ms: int) -> int:
    """A wait in whole ms, at most a year; None and 0 are the default, what is behind the point is rounded up.

    Raises:
        TypeError: it is no number. ValueError: negative, not finite, or less than 1 ms.
    """
    if wanted is None:
        return default_ms
    if isinstance(wanted, bool) or not isinstance(wanted, int | float):
        raise TypeError(f"timeout_ms must be a number of milliseconds, got {wanted!r:.200}")
    if isinstance(wanted, float) and not math.isfinite(wanted):
        raise ValueError(f"timeout_ms must be finite, got {wanted!r}")
    if wanted < 0:
        raise ValueError(f"timeout_ms must not be negative, got {wanted!r}")
    if 0 < wanted < 1:
        raise ValueError(f"timeout_ms must be at least 1, or 0 for the default, got {wanted!r}")
    return math.ceil(min(wanted, LONGEST_TIMEOUT_MS)) or default_ms


def check_wait_s(wanted: float) -> None:
    """Raises TypeError: it is no number of seconds. ValueError: it is negative, or no number at all (nan)."""
    if isinstance(wanted, bool) or not isinstance(wanted, int | float):
        raise TypeError(f"timeout_s must be a number of seconds, got {wanted!r:.200}")
    if not wanted >= 0:
        raise ValueError(f"timeout_s must not be negative, got {wanted!r}")


_warned: set[tuple[str, object]] = set()  # of this process: a misspelt key is one mistake, however many workers make it


def warn_of_unknown_keys(given: Mapping[str, Any], known: frozenset[str], what: str) -> None:
    """Say once for each key that it does nothing; a misspelt `timeout` is hard to find otherwise.

    Raises:
        TypeError: it is no dict.
    """
    if not isinstance(given, Mapping):
        raise TypeError(f"{what} takes one dict with the keys {', '.join(sorted(known))}; got {given!r:.200}")
    for key in given.keys() - known:
        if (what, key) not in _warned:
            _warned.add((what, key))
            KEY_IGNORED(key=key, of=what, known=sorted(known))


OF_THE_ENGINE = (
    "engine::",
    "configuration::",
)  # so begin the ids of its builtins that are in its namespace for everybody


def target_namespace(explicit: str | None, function_id: str, own: str | None, field: str) -> str | None:
    """Where a call goes: the explicit namespace, the engine's for its builtins, else the worker's own.

    Raises:
        ValueError: it was named and left blank. TypeError: it is no text.
    """
    if explicit is not None:
        if not isinstance(explicit, str):
            raise TypeError(f"{field} must be str, got {type(explicit).__name__}")
        if is_blank(explicit):
            raise ValueError(
                f"namespace is empty: {field} was set to {explicit!r}. "
                "Give it a name, or leave it unset to stay in this worker's namespace."
            )
        return explicit
    if function_id.startswith(OF_THE_ENGINE):
        return DEFAULT_NAMESPACE
    return own
