"""What bounds one embedded store."""

from typing import NamedTuple

from iii.protocol.limits import MIB

WAITING_BYTES = 256 * MIB  # Most bytes of writes that wait for the disk in one store; further writes are refused.


class StoreLimits(NamedTuple):
    """The same for every store of an engine; a test takes smaller ones.

    Attributes:
        waiting_bytes: of writes that have not begun; more are refused.
        overdue_s: a batch that is not on disk then is looked after.
        look_s: longest time for which files are taken for those that were opened.
        checkpoint_pages: in the log; then they move to the file.
        log_pages: in the log at most, if checkpoints fail all the time: 1 GiB.
        cache_bytes: of items in memory.
    """

    waiting_bytes: int = WAITING_BYTES
    overdue_s: float = 10.0
    look_s: float = 0.1
    checkpoint_pages: int = 1000
    log_pages: int = 262_144
    cache_bytes: int = 8 * MIB


STORE_LIMITS = StoreLimits()
