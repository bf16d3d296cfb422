"""What the functions of the queue take and give (04 §3.4, §4.1, §8, §9)."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple, TypeAlias

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType


class EnqueueInput(Struct, rename="camel", kw_only=True):
    """As documented."""

    queue: str
    function_id: str = msgspec.field(name="function_id")
    data: Any = None
    message_receipt_id: str
    namespace: str | None = None
    traceparent: str | None = None
    baggage: str | None = None
    metadata: Any = None
    delay_ms: Annotated[
        int | None, Meta(description="Delay before the first attempt, in milliseconds; absent: the queue's `delay_ms`.")
    ] = msgspec.field(name="delay_ms", default=None)
    deduplication_id: Annotated[
        str | None, Meta(description="Id of which the queue accepts one job within its `deduplication_window_ms`.")
    ] = msgspec.field(name="deduplication_id", default=None)
    priority: Annotated[
        int | None, Meta(description="Priority, 0 to the queue's `max_priority`; higher ones are handled first.")
    ] = None


class EnqueueResult(Struct, rename="camel"):
    message_receipt_id: str


class DurablePublishInput(Struct, kw_only=True):
    """As documented."""

    topic: str
    data: Raw


class QueueInput(Struct, kw_only=True):
    """Which queue or topic."""

    queue: str


class Paused(NamedTuple):
    """Whether that is new, and how many jobs still run."""

    changed: bool
    in_flight: int


class PauseResult(Struct, kw_only=True):
    queue: str
    paused: bool
    changed: Annotated[bool, Meta(description="False if it was so already.")]
    in_flight: Annotated[int, Meta(description="Jobs that are being handled; they go on.")]


class PurgeResult(Struct, kw_only=True):
    queue: str
    purged: Annotated[int, Meta(description="Number of jobs that were removed.")]


class RedriveInput(Struct, kw_only=True):
    """Of which queue or topic."""

    queue: str


class RedriveResult(Struct, kw_only=True):
    queue: str
    redriven: int


class MessageInput(Struct, kw_only=True):
    """Which dead letter, of which queue or topic."""

    queue: str
    message_id: str


class EditedMessageInput(MessageInput, kw_only=True):
    """Which dead letter, and what its function is to get this time."""

    payload: Annotated[Raw, Meta(description="Payload in place of the one that failed, whole.")]


class MessageResult(Struct, kw_only=True):
    queue: str
    message_id: str
    redriven: int


class AnyInput(Struct):
    """Nothing is asked for."""


class TopicRow(Struct, kw_only=True):
    name: str
    broker_type: str
    subscriber_count: int


class TopicStatsInput(Struct, kw_only=True):
    """Which queue or topic; `queue` is the same member."""

    topic: Any = None
    queue: Any = None


class DestinationRow(Struct, order=True):
    """A function that gets what is published."""

    function_id: str
    namespace: str
    triggers: Annotated[
        int,
        Meta(
            description="Number of triggers that bind the function; 0: its worker is not connected, and its messages wait."
        ),
    ]


class UnsubscribeInput(Struct, kw_only=True):
    """Which function is not to get a topic's messages any more."""

    topic: str
    function_id: str
    namespace: str = "default"


class UnsubscribeResult(Struct, kw_only=True):
    topic: str
    function_id: str
    unsubscribed: Annotated[bool, Meta(description="False if no such subscription is left without a worker.")]


class Stats(Struct, kw_only=True):
    """Numbers that an adapter knows of a queue, a topic, or both under one name."""

    depth: Annotated[int, Meta(description="Jobs that are not finished.")]
    dlq_depth: int
    in_flight: Annotated[int, Meta(description="Jobs of `depth` that are being handled.")] = 0
    delayed: Annotated[int, Meta(description="Jobs of `depth` whose delay or backoff has not ended.")] = 0
    waiting_for: Annotated[
        list[str], Meta(description="Functions that jobs wait for because no worker serves them.")
    ] = []
    delivered: Annotated[int, Meta(description="Attempts since the engine started.")] = 0
    failed: Annotated[int, Meta(description="Attempts that failed since the engine started.")] = 0
    paused: Annotated[
        bool,
        Meta(description="Whether no jobs begin: until it is resumed, or since `concurrency` of its triggers is 0."),
    ] = False
    unreadable: Annotated[int, Meta(description="Jobs that are skipped because the store is damaged.")] = 0


class TopicStats(Stats, kw_only=True):
    consumer_count: int
    config: Any = None
    destinations: Annotated[
        list[DestinationRow], Meta(description="For a topic: functions that get its messages.")
    ] = []


class DeadLetterTopicRow(Struct, kw_only=True):
    topic: str
    broker_type: str
    message_count: int


class DeadLettersInput(Struct, kw_only=True):
    """Which queue or topic; `queue` is the same member."""

    topic: Any = None
    queue: Any = None
    offset: Annotated[int, Meta(ge=0, le=2**53)] = 0
    limit: Annotated[int, Meta(ge=0, le=2**53)] = 50


class DeadLetterRow(Struct, kw_only=True):
    id: str
    payload: Any
    error: str
    failed_at: Annotated[int, Meta(description="Unix seconds.")]
    retries: Annotated[int, Meta(description="Number of failed attempts.")]
    size_bytes: int
    max_attempts: int | None = None
    function_id: str | None = None
    namespace: str | None = None
    created_at: Annotated[int, Meta(description="Unix milliseconds.")] = 0
    stacktrace: str | None = None
    history: Annotated[Any, Meta(description="Last failures: time in Unix milliseconds, and error text.")] = None
    payload_bytes: Annotated[
        int | None,
        Meta(
            description="Size of a payload that is too large to be shown whole: `payload` is its beginning, as text. Else absent."
        ),
    ] = None


JobState: TypeAlias = Literal["waiting", "delayed", "active", "done", "cancelled", "dead"]
ENDED = frozenset({"done", "cancelled", "dead"})


class JobInput(Struct, kw_only=True):
    """Which job."""

    id: Annotated[str, Meta(description="Receipt of the job.")]


class JobStatus(Struct, kw_only=True):
    """Times are Unix milliseconds."""

    id: str
    state: Annotated[
        JobState,
        Meta(
            description="`waiting`: for its turn or its function; `delayed`: until `ready_at`; `active`: an attempt runs; "
            "`done`: it succeeded; `cancelled`: it was cancelled; `dead`: a dead letter."
        ),
    ]
    queue: Annotated[str, Meta(description="Name of the queue or topic.")]
    function_id: str | None
    namespace: str | None
    attempts: Annotated[int, Meta(description="Number of attempts that have ended.")]
    max_attempts: int | None
    created_at: int
    ready_at: Annotated[int | None, Meta(description="End of the delay or backoff of a delayed job.")] = None
    started_at: Annotated[int | None, Meta(description="Begin of the attempt of an active job.")] = None
    finished_at: Annotated[int | None, Meta(description="Time at which it was done, cancelled or dead.")] = None
    expires_at: Annotated[int | None, Meta(description="Time until which its queue keeps the result.")] = None
    error: Annotated[str | None, Meta(description="Error of the last attempt that failed.")] = None
    result_bytes: Annotated[
        int | None, Meta(description="Size of the result of a job that is done; absent: it had none.")
    ] = None
    trace_id: Annotated[
        str | None, Meta(description="Trace that it was enqueued in, while it has not ended or is dead.")
    ] = None
    result: Annotated[
        Raw | UnsetType, Meta(description="Result of a job that is done; absent: it had none, or it was too large.")
    ] = UNSET


class JobPayload(Struct, kw_only=True):
    """What a job gives to its function."""

    id: str
    payload: Annotated[Any, Meta(description="Absent: it is larger than 64 KiB, or damaged.")] = UNSET
    payload_bytes: int
    hides_secrets: Annotated[bool, Meta(description="Whether values of secrets in it are hidden.")] = False


BacklogState: TypeAlias = Literal["waiting", "active", "delayed"]


class BacklogInput(Struct, kw_only=True):
    """Jobs of which queue or topic, in which state, and how many."""

    queue: str
    state: BacklogState = "waiting"
    after: Annotated[str | None, Meta(description="`next` of the page before; absent: the first page.")] = None
    limit: Annotated[int, Meta(ge=1, le=200)] = 50


class BacklogRow(Struct, kw_only=True):
    """A job that has not ended; times are Unix milliseconds."""

    id: str
    function_id: str | None
    namespace: str | None
    attempts: Annotated[int, Meta(description="Number of attempts that have ended.")]
    max_attempts: int | None
    created_at: int
    size_bytes: Annotated[int, Meta(description="Size of the payload, which is not shown.")]
    priority: int = 0
    ready_at: Annotated[int | None, Meta(description="End of the delay or backoff of a delayed job.")] = None
    started_at: Annotated[int | None, Meta(description="Begin of the attempt of an active job.")] = None
    error: Annotated[str | None, Meta(description="Error of the last attempt that failed.")] = None


class BacklogPage(Struct, kw_only=True):
    jobs: Annotated[list[BacklogRow], Meta(description="In the order in which they begin, or began.")]
    next: Annotated[str | None, Meta(description="`after` of the next page; absent at the end.")] = None


class PastInput(Struct, kw_only=True):
    """Of which queue or topic; absent: of all together."""

    queue: str | None = None


class Past(Struct, kw_only=True):
    """One value of each list for each time in `at`, the latest last."""

    at: Annotated[list[int], Meta(description="Unix milliseconds; the last is now.")]
    waiting: list[int | None]
    active: list[int | None]
    delayed: list[int | None]
    dead: list[int | None]
    oldest_age_s: Annotated[
        list[float | None],
        Meta(
            description="Age of the oldest job that waits or is active, 0 without any; null if the adapter cannot tell."
        ),
    ]


class CancelInput(Struct, kw_only=True):
    """Which job, of which queue or topic."""

    id: Annotated[str, Meta(description="Receipt of the job.")]
    queue: Annotated[str | None, Meta(description="Name of its queue or topic; absent: whatever it is.")] = None


class CancelResult(Struct, kw_only=True):
    id: str
    cancelled: Annotated[bool, Meta(description="False if it had ended already.")]


class WaitInput(Struct, kw_only=True):
    """For which job, and how long."""

    id: Annotated[str, Meta(description="Receipt of the job.")]
    timeout_ms: Annotated[
        int, Meta(ge=0, le=600_000, description="Longest wait, in milliseconds; then the answer is how the job stands.")
    ] = 30_000


class DefineQueueInput(Struct, kw_only=True, forbid_unknown_fields=True):
    """A named queue; absent settings have their defaults."""

    queue: str = ""
    config: Annotated[
        dict[str, Any] | UnsetType | None,
        Meta(
            description="Settings of the queue, those absent have their defaults; null removes an earlier definition."
        ),
    ] = UNSET
    _caller_worker_id: str | None = None


class DefineQueueResult(Struct, kw_only=True):
    queue: str
    changed: bool
