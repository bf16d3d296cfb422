"""Codes of refusals of `engine::channels::create` (07 §2.6)."""

from iii.protocol.errors import ErrorCode

TOO_MANY_CHANNELS = ErrorCode(
    "too_many_channels",
    means="The caller, or sessions of its identity, have as many channels at once as `max_channels` of their listener allows.",
    do="Use both ends of each channel, or raise `max_channels` of `iii-worker-manager`.",
    retry="later",
)
