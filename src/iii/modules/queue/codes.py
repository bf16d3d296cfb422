"""The codes of queues and topics, in answers and in dead letters (04)."""

from iii.protocol.errors import ErrorCode

_SEE_THE_STORE = "See the log for `store.*` events, or of the broker's connection."

DEFINE_FAILED = ErrorCode(
    "define_failed",
    means="A definition of a queue was not kept: the store or the broker failed.",
    do=_SEE_THE_STORE,
    retry="later",
)
QUEUE_NOT_SET = ErrorCode("queue_not_set", means="No queue or topic was named.", do="Name it in `queue`.")
MESSAGE_ID_NOT_SET = ErrorCode(
    "message_id_not_set", means="No dead letter was named.", do="Name its `id` of `engine::queue::dlq_messages`."
)
TOPIC_REQUIRED = ErrorCode("topic_required", means="No topic or queue was named.", do="Name it in `topic` or `queue`.")
TOPIC_STATS_FAILED = ErrorCode(
    "topic_stats_failed", means="The store or the broker failed to count jobs.", do=_SEE_THE_STORE, retry="later"
)
DLQ_MESSAGES_FAILED = ErrorCode(
    "dlq_messages_failed",
    means="The store or the broker failed to list dead letters.",
    do=_SEE_THE_STORE,
    retry="later",
)
REDRIVE_FAILED = ErrorCode(
    "redrive_failed",
    means="The store or the broker failed to redrive dead letters; some may have been redriven.",
    do=_SEE_THE_STORE,
    retry="later",
)
REDRIVE_MESSAGE_FAILED = ErrorCode(
    "redrive_message_failed",
    means="The store or the broker failed to redrive a dead letter.",
    do=_SEE_THE_STORE,
    retry="later",
)
DISCARD_MESSAGE_FAILED = ErrorCode(
    "discard_message_failed",
    means="The store or the broker failed to discard a dead letter.",
    do=_SEE_THE_STORE,
    retry="later",
)
DISPATCH_TIMEOUT = ErrorCode(
    "dispatch_timeout",
    means="In a dead letter or its history: an attempt took longer than `timeout_ms` of its queue.",
    do="Raise `timeout_ms`, or make the function faster; then redrive the job.",
    retry="if it may run twice",
)
DAMAGED = ErrorCode(
    "damaged",
    means="In a dead letter: the payload of a job is not valid JSON, so the store is damaged.",
    do="Repair the store, or restore a backup.",
)
JOB_ID_NOT_SET = ErrorCode("job_id_not_set", means="No job was named.", do="Name the id of its receipt in `id`.")
JOB_NOT_FOUND = ErrorCode(
    "job_not_found",
    means="The job is done and its queue keeps no results, it was removed, or it never existed.",
    do="Set `keep_results_s` of the queue to ask for jobs that are done.",
)
JOB_LOOKUP_FAILED = ErrorCode(
    "job_lookup_failed", means="The store failed to look up a job.", do=_SEE_THE_STORE, retry="later"
)
JOB_WAIT_FAILED = ErrorCode(
    "job_wait_failed",
    means="Waiting for a job failed: too many callers wait, the engine stops, or the store failed.",
    do="Wait again; the job goes on.",
    retry="later",
)
RESULTS_NOT_KEPT = ErrorCode(
    "results_not_kept",
    means="A caller wants to wait for a job of a queue that keeps no results.",
    do="Set `keep_results_s` of the queue.",
)
NOT_SUPPORTED = ErrorCode(
    "not_supported",
    means="The adapter of the queue has no such function.",
    do="Use the adapter `builtin`.",
)
QUEUE_NOT_FOUND = ErrorCode(
    "queue_not_found",
    means="No queue and no topic has the name.",
    do="Correct the name; `iii queue list` shows those that exist.",
)
PAUSE_FAILED = ErrorCode(
    "pause_failed", means="The store failed to keep that a queue is paused.", do=_SEE_THE_STORE, retry="later"
)
RESUME_FAILED = ErrorCode(
    "resume_failed", means="The store failed to keep that a queue is resumed.", do=_SEE_THE_STORE, retry="later"
)
PURGE_FAILED = ErrorCode(
    "purge_failed",
    means="The store failed to remove the jobs of a queue; some may have been removed.",
    do=_SEE_THE_STORE,
    retry="later",
)
JOB_CANCEL_FAILED = ErrorCode(
    "job_cancel_failed",
    means="The store failed to remove a job that was to be cancelled; one that ran has been stopped.",
    do=_SEE_THE_STORE,
    retry="later",
)
