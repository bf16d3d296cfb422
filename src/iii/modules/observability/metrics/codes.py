"""The codes of the metric functions."""

from iii.protocol.errors import ErrorCode

TIME_VALUE_OVERFLOW = ErrorCode(
    "time_value_overflow",
    means="A time of the request is beyond 64 bits of nanoseconds.",
    do="Send Unix milliseconds, and seconds for `aggregate_interval`.",
)
INVALID_AGGREGATE_INTERVAL = ErrorCode(
    "invalid_aggregate_interval",
    means="`aggregate_interval` is 0.",
    do="Send seconds, 1 or more.",
)
ALERT_EXISTS = ErrorCode(
    "alert_exists",
    means="`engine::alerts::set` with `replace: false` names a rule that is there already; nothing has changed.",
    do="Choose another name, or replace the rule.",
)
ALERTS_NOT_CHANGED = ErrorCode(
    "alerts_not_changed",
    means="The rules of alerts cannot be changed one by one: there are too many, `alerts` is not a list, the settings have a secret, others change them all the time, or the configuration does not answer.",
    do="Look at the text; change `alerts` of `iii-observability` as a whole where it says so.",
)
