"""A trigger on a topic, and what its `queue_config` says (04 §4.2, §4.4)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Struct

from iii.engine.bindings import Binding, config_for_builtin, warn_of_unknown_members
from iii.modules.queue.config import NAME_CHARACTERS
from iii.protocol.errors import TriggerRegistrationFailed

V = TypeVar("V")

logger = logging.getLogger(__name__)


class SubscriberQueueConfig(Struct, kw_only=True):
    """How a subscriber's messages are delivered."""

    type: Annotated[str, Meta(description="`fifo`: in order; anything else: side by side.")] = "standard"
    concurrency: Annotated[int, Meta(description="Messages that run at a time; 0 pauses.")] = 10
    maxRetries: Annotated[int | None, Meta(description="Retries after the first attempt; 2 if absent.")] = None
    backoffDelayMs: Annotated[int, Meta(description="Before the first retry; doubled each time.")] = 1000
    backoffJitter: Annotated[float, Meta(description="Share of each pause that chance adds at most, 0 to 1.")] = 0.0
    timeoutMs: Annotated[int, Meta(description="Longest time of one attempt.")] = 1_800_000
    messageGroupField: Annotated[
        str | None, Meta(description="Member of the message whose value is its group (`fifo`).")
    ] = None
    delayMs: Annotated[int, Meta(description="Before the first delivery of each message.")] = 0
    missingTarget: Annotated[
        str, Meta(description="`hold`: messages wait for a missing function; `fail`: the attempt fails.")
    ] = "hold"


class DurableSubscriberTriggerConfig(Struct, kw_only=True):
    """What a trigger subscribes to."""

    topic: Annotated[str, Meta(description="Exact name; there are no patterns.")] = ""
    condition_function_id: Annotated[
        str | None, Meta(description="Function that gets the message first; only `false` skips it.")
    ] = None
    queue_config: SubscriberQueueConfig | None = None


class SubscriberSettings(Struct, kw_only=True, omit_defaults=True, frozen=True):
    """What a subscriber wants; None where the adapter's own value counts. Kept with its destination."""

    fifo: bool | None = None
    concurrency: int | None = None
    max_retries: int | None = None
    backoff_ms: int | None = None
    backoff_jitter: float = 0.0
    timeout_ms: int | None = None
    message_group_field: str | None = None
    delay_ms: int = 0
    hold: bool = True
    hold_ms: int = 0


class Subscription(Struct, frozen=True, eq=False):
    """One trigger on one topic."""

    id: str
    topic: str
    function_id: str
    namespace: str
    metadata: bytes
    condition: str | None
    settings: SubscriberSettings


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
    if isinstance(sent.queue_config, dict):
        _look_at_settings(binding, sent.queue_config)
    condition = sent.condition_function_id
    return Subscription(
        binding.id,
        topic,
        binding.function_id,
        binding.namespace,
        binding.metadata,
        condition if isinstance(condition, str) and condition else None,
        _settings(sent),
    )


def _look_at_settings(binding: Binding, given: dict[str, Any]) -> None:
    """What does not count is said; it is no reason to refuse a subscription (04 §4.4)."""
    warn_of_unknown_members(binding, (*_KNOWN, *_OF_OTHERS), given)
    for name, value in given.items():
        known = _KNOWN.get(name)
        if known is not None and value is not None and known(value) is None:
            logger.warning(
                "Trigger %s (%s on %s): queue_config.%s cannot be %.100r and is ignored",
                binding.id, binding.trigger_type, binding.function_id, name, value,
            )  # fmt: skip


def _settings(sent: _Sent) -> SubscriberSettings:
    """Members of the wrong kind count as absent."""
    given: Mapping[str, Any] = sent.queue_config if isinstance(sent.queue_config, dict) else {}

    def of(known: Callable[[object], V | None], *names: str) -> V | None:
        return next((value for name in names if (value := known(given.get(name))) is not None), None)

    mode = of(_text, "type")
    outer_retries, outer_backoff_ms = _count(sent.max_retries), _count(sent.backoff_ms)
    retries = of(_count, "maxRetries", "max_retries")
    backoff_ms = of(_count, "backoffDelayMs", "backoff_ms")
    return SubscriberSettings(
        fifo=None if mode is None else mode == "fifo",
        concurrency=of(_count, "concurrency"),
        max_retries=retries if outer_retries is None else outer_retries,
        backoff_ms=backoff_ms if outer_backoff_ms is None else outer_backoff_ms,
        backoff_jitter=of(_share, "backoffJitter", "backoff_jitter") or 0.0,
        timeout_ms=of(_count, "timeoutMs", "timeout_ms") or None,
        message_group_field=of(_text, "messageGroupField", "message_group_field"),
        delay_ms=of(_count, "delayMs", "delay_ms") or 0,
        hold=of(_text, "missingTarget", "missing_target") != "fail",
        hold_ms=of(_count, "missingTargetTimeoutMs", "missing_target_timeout_ms") or 0,
    )


def _count(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0 or value != int(value):
        return None
    return min(int(value), 2**53)


def _share(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        return None
    return float(value)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


_KNOWN: dict[str, Callable[[object], object]] = {
    "type": lambda value: value if value in ("fifo", "standard", "concurrent") else None,
    "concurrency": _count,
    **dict.fromkeys(("maxRetries", "max_retries", "backoffDelayMs", "backoff_ms"), _count),
    **dict.fromkeys(("backoffJitter", "backoff_jitter"), _share),
    **dict.fromkeys(("timeoutMs", "timeout_ms", "delayMs", "delay_ms"), _count),
    **dict.fromkeys(("messageGroupField", "message_group_field"), _text),
    **dict.fromkeys(("missingTarget", "missing_target"), lambda value: value if value in ("hold", "fail") else None),
    **dict.fromkeys(("missingTargetTimeoutMs", "missing_target_timeout_ms"), _count),
}
_OF_OTHERS = (
    "visibilityTimeout",
    "delaySeconds",
    "backoffType",
    "maxPriority",
    "poll_interval_ms",
)  # read by nobody here
