"""A trigger on a topic, and what its `queue_config` says (04 §4.2, §4.4)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from iii.engine.bindings import Binding, config_for_builtin
from iii.engine.config_members import warn_of_unknown_members
from iii.modules.queue.jobs.target import Target
from iii.modules.queue.options import NAME_CHARACTERS, Wanted
from iii.protocol.errors import TriggerRegistrationFailed
from iii.protocol.log_event import LogEvent

SETTING_IGNORED = LogEvent(
    __name__, "queue.setting_ignored", logging.WARNING, "Setting of a subscription ignored: its value is not valid",
    means="A member of a trigger's `config` or `queue_config` has a value that does not count; its default is in force.",
    do="Correct it in the program that registers the trigger.",
)  # fmt: skip

WITHOUT_EFFECT = LogEvent(
    __name__, "queue.setting_without_effect", logging.WARNING, "Setting of a subscription has no effect",
    means="`queue_config` has a member that the engine, or the adapter of its queue, does not read.",
    do="Leave it out; `instead` says what holds, or what to use.",
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
    """One trigger on one topic, or one observer of it.

    Attributes:
        deeper: of an observer, as in `Target`.
    """

    id: str
    topic: str
    function_id: str
    namespace: str
    metadata: bytes
    condition: str | None
    wanted: Wanted
    deeper: Callable[[str | None], str] | None = None

    @property
    def target(self) -> Target:
        """Who gets its messages."""
        return Target(self.function_id, self.namespace, self.metadata, self.condition, self.deeper)

    def warn_of_unread(self, adapter: str, unread: Mapping[str, object]) -> None:
        """Say which of its options an adapter does not read, but for those that say what is so anyway."""
        for option in sorted(unread.keys() & self.wanted.keys()):
            if self.wanted[option] != unread[option]:
                instead = f"the adapter {adapter} does not have it"
                WITHOUT_EFFECT(trigger=self.id, function=self.function_id, setting=_NAMES[option], instead=instead)

    def queue_config(self) -> dict[str, object]:
        """What its author asked for, as a trigger says it."""
        return {_NAMES[option]: _said(option, value) for option, value in self.wanted.items()}


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
    return Subscription(
        binding.id,
        topic,
        binding.function_id,
        binding.namespace,
        binding.metadata,
        _text(sent.condition_function_id),
        _wanted(binding, sent),
    )


def _wanted(binding: Binding, sent: _Sent) -> Wanted:
    """What does not count is said; it is no reason to refuse a subscription (04 §4.4)."""
    wanted: Wanted = {}
    given = _mapping(sent.queue_config) or {}
    warn_of_unknown_members(binding, (*_MEMBERS, *_UNREAD), given)
    for name, (anyway, instead) in _UNREAD.items():
        if given.get(name) not in (None, anyway):
            WITHOUT_EFFECT(trigger=binding.id, function=binding.function_id, setting=name, instead=instead)
    for name, (option, read) in _MEMBERS.items():
        value = read(given.get(name))
        if value is not None:
            wanted.setdefault(option, value)
        if given.get(name) is not None and (value is None or (name == "type" and given[name] not in _TYPES)):
            SETTING_IGNORED(trigger=binding.id, function=binding.function_id, setting=name, value=given[name])
    for name, read in _OUTER.items():
        outer = read(getattr(sent, name))
        if outer is None and getattr(sent, name) not in (None, ""):
            SETTING_IGNORED(trigger=binding.id, function=binding.function_id, setting=name, value=getattr(sent, name))
        elif name in _MEMBERS and outer is not None:
            wanted[_MEMBERS[name][0]] = outer
    return wanted


def _said(option: str, value: Any) -> object:
    """The value of an option, in the words of a `queue_config`."""
    match option:
        case "fifo":
            return "fifo" if value else "standard"
        case "hold":
            return "hold" if value else "fail"
        case "max_attempts":
            return value - 1
    return value


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


def _mapping(value: object) -> dict[str, Any] | None:
    return value if isinstance(value, dict) else None


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
_OUTER: dict[str, Callable[[object], object]] = {  # beside it; those that are options win
    "queue_config": _mapping,
    "condition_function_id": _text,
    "max_retries": _attempts,
    "backoff_ms": _count,
}
_NAMES = {option: name for name, (option, _) in _MEMBERS.items()}
_UNREAD: dict[str, tuple[object, str]] = {  # what is so anyway, and what to say of any other value
    "visibilityTimeout": (0, "`timeoutMs` is the longest time of one attempt"),
    "delaySeconds": (0, "`delayMs` is the time before the first delivery"),
    "backoffType": ("exponential", "each pause is twice the one before, from `backoffDelayMs` on"),
    "maxPriority": (0, "messages of topics have no priorities"),
    "poll_interval_ms": (100, "topics are woken by events and do not poll"),
}
