"""A trigger on a topic, and what its `queue_config` says (04 §4.2, §4.4)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from iii.engine.bindings import Binding, config_for_builtin, warn_of_unknown_members
from iii.modules.queue.options import NAME_CHARACTERS, Wanted
from iii.protocol.errors import TriggerRegistrationFailed
from iii.protocol.log_event import LogEvent

SETTING_IGNORED = LogEvent(
    __name__, "queue.setting_ignored", logging.WARNING, "Setting of a subscription ignored: its value is not valid",
    means="A member of a trigger's `queue_config` has a value that does not count; its default is in force.",
    do="Correct it in the program that registers the trigger.",
)  # fmt: skip


class SubscriberQueueConfig(Struct, kw_only=True):
    """How a subscriber's messages are delivered."""

    type: Annotated[str, Meta(description="`fifo`: messages are handled in order; any other text: concurrently.")] = (
        "standard"
    )
    concurrency: Annotated[int, Meta(description="Messages that are handled at a time; 0 pauses the subscriber.")] = 10
    maxRetries: Annotated[int | None, Meta(description="Retries after the first attempt; absent: 2.")] = None
    backoffDelayMs: Annotated[
        int,
        Meta(
            description="Delay before the first retry, in milliseconds; doubled for each further retry, at most 24 h."
        ),
    ] = 1000
    backoffJitter: Annotated[
        float, Meta(description="Random jitter added to each retry delay, as a fraction of it, 0 to 1; 0 disables it.")
    ] = 0.0
    timeoutMs: Annotated[int, Meta(description="Longest time of one attempt, in milliseconds.")] = 1_800_000
    messageGroupField: Annotated[
        str | None, Meta(description="For `fifo`: member of the message that holds its group.")
    ] = None
    delayMs: Annotated[int, Meta(description="Delay before the first attempt of each message, in milliseconds.")] = 0
    missingTarget: Annotated[
        str, Meta(description="`hold`: messages wait for a missing function; `fail`: the attempt fails.")
    ] = "hold"


class DurableSubscriberTriggerConfig(Struct, kw_only=True):
    """What a trigger subscribes to."""

    topic: Annotated[str, Meta(description="Name of the topic; patterns are not supported.")] = ""
    condition_function_id: Annotated[
        str | None,
        Meta(description="Function called with each message first; the message is skipped if it returns `false`."),
    ] = None
    queue_config: SubscriberQueueConfig | None = None


class Subscription(Struct, frozen=True, eq=False):
    """One trigger on one topic."""

    id: str
    topic: str
    function_id: str
    namespace: str
    metadata: bytes
    condition: str | None
    wanted: Wanted


class _Sent(Struct):
    topic: Any = None
    queue: Any = None  # the same in the standalone worker
    condition_function_id: Any = None
    queue_config: Any = None
    max_retries: Any = None
    backoff_ms: Any = None


def subscription_of(binding: Binding) -> Subscription:
    """Raises TriggerRegistrationFailed: it names no topic (T2)."""
    try:
        sent = msgspec.json.decode(config_for_builtin(binding), type=_Sent)
    except msgspec.ValidationError:
        sent = _Sent()
    topic = sent.topic if sent.topic is not None else sent.queue
    if not isinstance(topic, str) or not topic:
        raise TriggerRegistrationFailed(f"topic is required for {binding.trigger_type} triggers")
    if len(topic) > NAME_CHARACTERS:
        raise TriggerRegistrationFailed(
            f"a topic has at most {NAME_CHARACTERS} characters, this one of a {binding.trigger_type} trigger {len(topic)}"
        )
    warn_of_unknown_members(binding, _Sent.__struct_fields__)
    condition = sent.condition_function_id
    return Subscription(
        binding.id,
        topic,
        binding.function_id,
        binding.namespace,
        binding.metadata,
        condition if isinstance(condition, str) and condition else None,
        _wanted(binding, sent),
    )


def _wanted(binding: Binding, sent: _Sent) -> Wanted:
    """What does not count is said; it is no reason to refuse a subscription (04 §4.4)."""
    wanted: Wanted = {}
    given = sent.queue_config if isinstance(sent.queue_config, dict) else {}
    warn_of_unknown_members(binding, (*_MEMBERS, *_OF_OTHERS), given)
    for name, (option, read) in _MEMBERS.items():
        value = read(given.get(name))
        if value is not None:
            wanted.setdefault(option, value)
        if given.get(name) is not None and (value is None or (name == "type" and given[name] not in _TYPES)):
            SETTING_IGNORED(trigger=binding.id, function=binding.function_id, setting=name, value=given[name])
    for option, outer in (("max_attempts", _attempts(sent.max_retries)), ("backoff_ms", _count(sent.backoff_ms))):
        if outer is not None:
            wanted[option] = outer
    return wanted


def _count(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0 or value != int(value):
        return None
    return min(int(value), 2**53)


def _attempts(retries: object) -> int | None:
    count = _count(retries)
    return None if count is None else count + 1


def _positive(value: object) -> int | None:
    return _count(value) or None


def _share(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        return None
    return float(value)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _fifo(value: object) -> bool | None:
    return value == "fifo" if isinstance(value, str) and value else None


def _hold(value: object) -> bool | None:
    return value == "hold" if value in ("hold", "fail") else None


_MEMBERS: dict[str, tuple[str, Callable[[object], object]]] = {  # of a `queue_config`: the option, and its value
    "type": ("fifo", _fifo),
    "concurrency": ("concurrency", _count),
    **dict.fromkeys(("maxRetries", "max_retries"), ("max_attempts", _attempts)),
    **dict.fromkeys(("backoffDelayMs", "backoff_ms"), ("backoff_ms", _count)),
    **dict.fromkeys(("backoffJitter", "backoff_jitter"), ("backoff_jitter", _share)),
    **dict.fromkeys(("timeoutMs", "timeout_ms"), ("timeout_ms", _positive)),
    **dict.fromkeys(("messageGroupField", "message_group_field"), ("message_group_field", _text)),
    **dict.fromkeys(("delayMs", "delay_ms"), ("delay_ms", _count)),
    **dict.fromkeys(("missingTarget", "missing_target"), ("hold", _hold)),
    **dict.fromkeys(("missingTargetTimeoutMs", "missing_target_timeout_ms"), ("hold_ms", _count)),
}
_TYPES = ("fifo", "standard", "concurrent")  # any other counts as these two, and is said
_OF_OTHERS = ("visibilityTimeout", "delaySeconds", "backoffType", "maxPriority", "poll_interval_ms")  # not read here
