"""The codes of `state::*` (05 §1)."""

from iii.protocol.errors import ErrorCode

_SEE_THE_STORE = "See the log for `store.*` events of the engine, or `redis.*` with that adapter."


def _of_the_store(code: str, what: str) -> ErrorCode:
    return ErrorCode(code, f"The store failed to {what}.", _SEE_THE_STORE, "later")


SET_ERROR = _of_the_store("SET_ERROR", "set a value; it may have been written")
GET_ERROR = _of_the_store("GET_ERROR", "read a value")
DELETE_ERROR = _of_the_store("DELETE_ERROR", "delete a value; it may be deleted")
UPDATE_ERROR = ErrorCode(
    "UPDATE_ERROR",
    means="The store failed to update a value; the update may have been written.",
    do=_SEE_THE_STORE,
    retry="if it may run twice",
)
LIST_ERROR = _of_the_store("LIST_ERROR", "list the values of a scope")
LIST_GROUPS_ERROR = _of_the_store("LIST_GROUPS_ERROR", "list the scopes")
LIST_KEYS_ERROR = _of_the_store("LIST_KEYS_ERROR", "list the keys of a scope")
LIST_ENTRIES_ERROR = _of_the_store("LIST_ENTRIES_ERROR", "list the entries of a scope")
VALUE_TOO_LARGE = ErrorCode(
    "VALUE_TOO_LARGE",
    means="A value exceeds `max_value_bytes` of `iii-state`; nothing was written.",
    do="Store less under one key, or raise the limit.",
)
INVALID_PAGE_LIMITS = ErrorCode(
    "INVALID_PAGE_LIMITS",
    means="`limit`, `max_bytes` or `scope` of `state::list_entries` is out of its range.",
    do="Correct the member that the message names.",
)
INVALID_CURSOR = ErrorCode(
    "INVALID_CURSOR",
    means="The cursor is unknown, was used, expired after 120 s, or belongs to another scope, limit or caller.",
    do="Start again without a cursor.",
)
SNAPSHOT_CAPACITY = ErrorCode(
    "SNAPSHOT_CAPACITY",
    means="A listing in pages needs a snapshot that exceeds a limit, or too many snapshots are open.",
    do="Read smaller scopes, or read pages to their end; a snapshot that is not read expires after 2 minutes.",
    retry="later",
)
ROW_TOO_LARGE = ErrorCode(
    "ROW_TOO_LARGE",
    means="One entry is larger than a page of `max_bytes`.",
    do="Raise `max_bytes`, or read the value with `state::get`.",
)
