"""The codes of `stream::*` (05 §4)."""

from iii.protocol.errors import ErrorCode


def _failed(code: str, what: str) -> ErrorCode:
    return ErrorCode(
        code,
        f"The store, or the worker that provides the stream, failed to {what}.",
        "Read the message; see the log for `store.*` and `redis.*` events, or the log of the worker.",
        "later",
    )


STREAM_SET_ERROR = _failed("STREAM_SET_ERROR", "set an item; it may have been written")
STREAM_GET_ERROR = _failed("STREAM_GET_ERROR", "read an item")
STREAM_DELETE_ERROR = _failed("STREAM_DELETE_ERROR", "delete an item; it may be deleted")
STREAM_UPDATE_ERROR = ErrorCode(
    "STREAM_UPDATE_ERROR",
    means="The store, or the worker that provides the stream, failed to update an item; the update may have been written.",
    do="Read the item before another update; see the log for `store.*` and `redis.*` events, or the log of the worker.",
    retry="if it may run twice",
)
STREAM_GET_GROUP_ERROR = _failed("STREAM_GET_GROUP_ERROR", "list the items of a group")
STREAM_LIST_GROUPS_ERROR = _failed("STREAM_LIST_GROUPS_ERROR", "list the groups of a stream")
STREAM_LIST_ALL_ERROR = _failed("STREAM_LIST_ALL_ERROR", "list the streams")
STREAM_SEND_ERROR = ErrorCode(
    "STREAM_SEND_ERROR",
    means="The other engine of the adapter `bridge` did not take an event; it may have reached clients.",
    do="See whether the other engine runs and is reached at the address in the message.",
    retry="if it may run twice",
)
JSON_ERROR = ErrorCode(
    "JSON_ERROR",
    means="The worker that provides the stream returned a result of another shape.",
    do="Let its function return what the message asks for.",
)
