"""How the jobs of a queue are delivered: what can be set, and what must not (04 §2.2, §10.3)."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct

from iii.protocol.errors import InvocationError
from iii.protocol.without_effect import without_effect

DEFAULT_QUEUE = "default"  # always there
TIMEOUT_MS = 1_800_000  # Longest time of one attempt, if the queue does not set `timeout_ms`.
NAME_CHARACTERS = 255  # Longest name of a queue or a topic.

Positive: TypeAlias = Annotated[int, Meta(ge=1, le=2**53)]


class QueueOptions(Struct, frozen=True, kw_only=True):
    """What a consumer goes by; every form of settings comes down to these.

    Attributes:
        fifo: one job of a group at a time, in order.
        concurrency: jobs that run at a time; 0 pauses.
        max_attempts, backoff_ms: of jobs that were not given their own when they were accepted.
        backoff_jitter: random jitter added to each retry delay, as a fraction of it.
        timeout_ms: of one attempt.
        message_group_field, delay_ms: of a topic's messages; those of a named queue's jobs are looked at when they come.
        hold: a job whose target is missing waits for it; otherwise the attempt fails.
        hold_ms: longest wait for a missing target; 0 is no limit.
        keep_results_ms, keep_results_max: of a named queue: how long results are kept, and how many; 0: none is.
    """

    fifo: bool = False
    concurrency: int = 10
    max_attempts: int = 3
    backoff_ms: int = 1000
    backoff_jitter: float = 0.0
    timeout_ms: int = TIMEOUT_MS
    message_group_field: str | None = None
    delay_ms: int = 0
    hold: bool = True
    hold_ms: int = 0
    keep_results_ms: int = 0
    keep_results_max: int = 0


Wanted: TypeAlias = dict[str, Any]
"""Some of the options, by name; the others are those of the adapter."""


class NamedQueueConfig(Struct, frozen=True, kw_only=True):
    """One named queue."""

    type: Annotated[
        str, Meta(description="Kind of queue: `standard`, or `fifo`, which handles the jobs of each group in order.")
    ] = "standard"
    max_retries: Annotated[
        int, Meta(ge=0, le=2**32 - 1, description="Most attempts for a job, then it is a dead letter; 0 counts as 1.")
    ] = 3
    concurrency: Annotated[
        int, Meta(ge=0, le=2**32 - 1, description="Jobs that are handled at a time, at least 1.")
    ] = 10
    message_group_field: Annotated[
        str | None, Meta(description="Member of the payload that holds the group; required for `fifo`.")
    ] = None
    backoff_ms: Annotated[
        int,
        Meta(
            ge=0,
            le=2**63 - 1,
            description="Delay before the first retry, in milliseconds; doubled for each further retry, at most 24 h.",
        ),
    ] = 1000
    backoff_jitter: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="Random jitter added to each retry delay, as a fraction of it, 0 to 1; 0 disables it.",
        ),
    ] = 0.0
    poll_interval_ms: Annotated[int, Meta(ge=0, le=2**63 - 1), without_effect("queues are not polled")] = 100
    max_priority: Annotated[
        Annotated[int, Meta(ge=0, le=255)] | None,
        Meta(description="Highest priority of a job, 1 to 255; absent: jobs have no priorities."),
    ] = None
    priority_field: Annotated[str | None, Meta(description="Member of the payload that holds the priority.")] = None
    timeout_ms: Annotated[
        Positive | None, Meta(description="Longest time of one attempt, in milliseconds; absent: 1800000.")
    ] = None
    dispatch_timeout_ms: Annotated[Positive | None, Meta(description="Older name of `timeout_ms`.")] = None
    missing_target: Annotated[
        Literal["hold", "fail"],
        Meta(
            description="What happens to a job whose function is not registered: `hold`, it waits for the function; `fail`, the attempt fails."
        ),
    ] = "hold"
    missing_target_timeout_ms: Annotated[
        int,
        Meta(
            ge=0, le=2**53, description="Longest time that a job waits for its function, in milliseconds; 0: no limit."
        ),
    ] = 0
    parallel_groups: Annotated[
        bool,
        Meta(
            description="For `fifo`: whether up to `concurrency` groups are handled at a time; false: one job at a time."
        ),
    ] = False
    delay_ms: Annotated[
        int, Meta(ge=0, le=2**53, description="Delay before the first attempt of each job, in milliseconds.")
    ] = 0
    deduplication_field: Annotated[
        str | None, Meta(description="Member of the payload that holds the deduplication id.")
    ] = None
    deduplication_window_ms: Annotated[
        int,
        Meta(
            ge=1,
            le=2**53,
            description="Time in which a second job with the same deduplication id is refused, in milliseconds.",
        ),
    ] = 300_000
    keep_results_s: Annotated[
        int,
        Meta(
            ge=0,
            le=31_622_400,
            description="Time for which the result of a job is kept, in seconds, at most 366 days; 0: results are not kept.",
        ),
    ] = 0
    keep_results_max: Annotated[
        int, Meta(ge=1, le=10_000_000, description="Results that are kept; beyond that the oldest are dropped.")
    ] = 10_000
    redeliver_on_engine_restart: Annotated[
        bool,
        without_effect("jobs that were being handled when the engine exited are always redelivered"),
    ] = False

    @property
    def fifo(self) -> bool:
        return self.type == "fifo"

    @property
    def attempt_ms(self) -> int:
        """Longest time of one attempt."""
        return self.timeout_ms or self.dispatch_timeout_ms or TIMEOUT_MS

    @property
    def options(self) -> QueueOptions:
        return QueueOptions(
            fifo=self.fifo,
            concurrency=self.concurrency
            if self.parallel_groups or not self.fifo
            else 1,  # a fifo queue runs one job at a time (C10)
            max_attempts=self.max_retries,
            backoff_ms=self.backoff_ms,
            backoff_jitter=self.backoff_jitter,
            timeout_ms=self.attempt_ms,
            hold=self.missing_target == "hold",
            hold_ms=self.missing_target_timeout_ms,
            keep_results_ms=self.keep_results_s * 1000,
            keep_results_max=self.keep_results_max,
        )


class NamedQueue(Struct, frozen=True):
    """A named queue and how it is set."""

    name: str
    config: NamedQueueConfig


class InvalidQueueConfig(InvocationError):
    """The definition of a queue was refused.

    Do: correct the setting that the message names.
    Retry: no.
    """

    code = "invalid_queue_config"  # a promise of `queue::define` (O10)

    def __init__(self, message: str) -> None:
        super().__init__(message=message)


_FIFO = "Queue '{name}' is of type 'fifo', which keeps the order of its jobs and does not support "
_NOT_ZERO = ("concurrency", "timeout_ms", "poll_interval_ms", "max_priority")
_NOT_EMPTY = ("message_group_field", "priority_field")


def problem(name: str, config: NamedQueueConfig) -> tuple[str, str] | None:
    """The key that is to blame and what is wrong with the settings of a queue, if something is."""
    for key, wrong, text in (
        ("", not 0 < len(name) <= NAME_CHARACTERS,
         f"a queue name must have 1 to {NAME_CHARACTERS} characters, got {len(name)}"),
        ("type", config.type not in ("standard", "fifo"),
         "Queue '{name}' has invalid type '{type}'. Must be 'standard' or 'fifo'"),
        ("type", config.fifo and not config.message_group_field,
         "Queue '{name}' is of type 'fifo' but 'message_group_field' is not set"),
        ("concurrency", config.concurrency == 0, "Queue '{name}' has 'concurrency' 0; it must be at least 1"),
        ("max_priority", config.max_priority == 0,
         "Queue '{name}' has 'max_priority' 0; it must be between 1 and 255"),
        ("delay_ms", config.fifo and config.delay_ms, f"{_FIFO}'delay_ms'"),
        ("max_priority", config.fifo and (config.max_priority, config.priority_field) != (None, None),
         f"{_FIFO}priorities"),
        ("priority_field", config.priority_field is not None and config.max_priority is None,
         "Queue '{name}' has 'priority_field' but not 'max_priority'; set both"),
        ("dispatch_timeout_ms", config.timeout_ms and config.dispatch_timeout_ms not in (None, config.timeout_ms),
         "Queue '{name}' has both 'timeout_ms' and 'dispatch_timeout_ms', which are the same setting; keep one"),
    ):  # fmt: skip
        if wrong:
            return key, text.format(name=name, type=config.type)
    return None


def defined(name: str, given: dict[str, Any]) -> NamedQueueConfig:
    """Settings that come while the engine runs; of some faults `queue::define` speaks in its own words. Raises InvalidQueueConfig."""
    if not name:
        raise InvalidQueueConfig("queue name is required")
    if len(name) > NAME_CHARACTERS or not name.isprintable():
        raise InvalidQueueConfig(f"queue name must be printable and have at most {NAME_CHARACTERS} characters")
    if name != name.strip():
        raise InvalidQueueConfig("queue name must not have leading or trailing whitespace")
    for field, value in given.items():
        if field not in NamedQueueConfig.__struct_fields__:
            known = ", ".join(NamedQueueConfig.__struct_fields__)
            raise InvalidQueueConfig(f"queue '{name}' has no setting '{field}' (known: {known})")
        if field in _NOT_ZERO and value == 0 and not isinstance(value, bool):
            raise InvalidQueueConfig(f"queue '{name}' {field} must be greater than zero")
        if field in _NOT_EMPTY and value == "":
            raise InvalidQueueConfig(f"queue '{name}' {field} must not be empty")
    try:
        config = msgspec.convert(given, NamedQueueConfig)
    except msgspec.ValidationError as error:
        raise InvalidQueueConfig(f"queue '{name}': {error}") from None
    if config.type not in ("standard", "fifo"):
        raise InvalidQueueConfig(f"queue '{name}' type must be either 'standard' or 'fifo', got {config.type!r:.100}")
    if config.fifo and config.message_group_field is None:
        raise InvalidQueueConfig(f"queue '{name}' with type 'fifo' requires message_group_field")
    wrong = problem(name, config)
    if wrong is not None:
        raise InvalidQueueConfig(wrong[1])
    return config
