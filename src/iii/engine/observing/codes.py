"""The codes of observers: refusals, and reasons of their states (21 §5, 21 §6)."""

from iii.protocol.errors import ErrorCode
from iii.protocol.observe_codes import OBSERVER_DISCONNECTED as OBSERVER_DISCONNECTED
from iii.protocol.observe_codes import UNOBSERVED as UNOBSERVED
from iii.protocol.observe_codes import UNSUPPORTED as UNSUPPORTED

OBSERVER_ID_CONFLICT = ErrorCode(
    "OBSERVER_ID_CONFLICT",
    means="Another connection has an observer with this id.",
    do="Give each observer an id of its own.",
)
SELF_TARGET = ErrorCode(
    "SELF_TARGET",
    means="An observer names the same function as source and as target.",
    do="Let another function be called.",
)
LIMIT_EXCEEDED = ErrorCode(
    "LIMIT_EXCEEDED",
    means="An observer, or all of a connection or function together, exceed a limit; the text names it.",
    do="Dispose observers that are not needed, or make args and metadata smaller.",
)
INVALID_FILTER = ErrorCode(
    "INVALID_FILTER",
    means="The filter of an observer is not one.",
    do="Correct what the text names.",
)
INVALID_FILTER_PATH = ErrorCode(
    "INVALID_FILTER_PATH",
    means="The filter of an observer looks at a member that the schema of the function excludes.",
    do="Correct the path, or the schema of the function.",
)
INVALID_ARGS = ErrorCode(
    "INVALID_ARGS",
    means="What an observer gives along is not what the function takes: `args`, `capture`, `on`, `deliver` or a policy.",
    do="Correct what the text names; `engine::functions::info` shows `args_format`.",
)
NOT_OBSERVABLE = ErrorCode(
    "NOT_OBSERVABLE",
    means="The function is registered as one that must not be observed, or is the engine's own.",
    do="Observe another function.",
)
OBSERVER_NOT_FOUND = ErrorCode(
    "OBSERVER_NOT_FOUND",
    means="No observer has this id.",
    do="Look at `engine::observers::list`; a disposed observer has no record.",
)
NOT_FUNCTION_OWNER = ErrorCode(
    "NOT_FUNCTION_OWNER",
    means="A worker calls through an observer of a function that it does not host.",
    do="Call through observers of own functions only.",
)
OBSERVER_NOT_ACTIVE = ErrorCode(
    "OBSERVER_NOT_ACTIVE",
    means="A call through an observer, while that is pending, suspended or refused.",
    do="Wait until the observer is active.",
    retry="later",
)
LOOP_GUARD = ErrorCode(
    "LOOP_GUARD",
    means="Observers have caused each other to run more than 8 levels deep.",
    do="Break the loop: a target must not cause the call that its observer observes.",
)
OVERFLOW = ErrorCode(
    "OVERFLOW",
    means="An observer has as many activations as it may: its target is too slow.",
    do="Make the target faster, or raise `max_in_flight`.",
    retry="later",
)
OWNER_TIMEOUT = ErrorCode(
    "OWNER_TIMEOUT",
    means="The host of the observed function did not acknowledge the observer within 30 s.",
    do="Look at the worker that hosts the function, and at the hooks that it runs for new observers.",
    retry="later",
)
OWNER_UNAVAILABLE = ErrorCode(
    "OWNER_UNAVAILABLE",
    means="No worker hosts the observed function now.",
    do="Nothing: the observer goes on when one does.",
    retry="later",
)
TARGET_UNAVAILABLE = ErrorCode(
    "TARGET_UNAVAILABLE",
    means="No worker serves the target of the observer now.",
    do="Nothing: the observer goes on when one does.",
    retry="later",
)
MAX_FIRES = ErrorCode(
    "MAX_FIRES",
    means="The observer has had as many activations as its `max_fires` allows, and is disposed.",
    do="Nothing.",
)
EXPIRED = ErrorCode(
    "EXPIRED",
    means="The time of the observer, `expires_in_ms`, is over, and it is disposed.",
    do="Nothing.",
)
INVALID_ARGS_FORMAT = ErrorCode(
    "INVALID_ARGS_FORMAT",
    means="A function was not registered: its `args_format` is not a JSON Schema.",
    do="Correct the schema.",
)
NOT_CALLABLE = ErrorCode(
    "NOT_CALLABLE",
    means="A function of the engine that is only there to be observed was called.",
    do="Observe it instead.",
)
