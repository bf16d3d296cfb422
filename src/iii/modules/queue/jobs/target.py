"""Who does a job (04 §3.6, §4.5)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from iii.protocol.messages import NULL


class Target(NamedTuple):
    """Who is to do the job.

    Attributes:
        deeper: of an observer: makes the baggage of a delivery from that of its job. Raises InvocationError: it is not to be
            called.
    """

    function_id: str
    namespace: str | None = None
    metadata: bytes = bytes(NULL)
    condition: str | None = None
    deeper: Callable[[str | None], str] | None = None
