"""What a queue provider is asked to accept (01 §8.4, 04 §3.4, I9)."""

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from iii.protocol.messages import NULL


class EnqueueRequest(Struct, rename="camel", gc=False):
    """A job for a named queue. Members that are UNSET are not said: older providers refuse what they do not know."""

    queue: str = ""
    function_id: str = msgspec.field(name="function_id", default="")
    data: Raw = NULL
    message_receipt_id: str = ""
    traceparent: str | UnsetType | None = UNSET
    baggage: str | UnsetType | None = UNSET
    namespace: str | UnsetType | None = UNSET
    metadata: Raw | UnsetType = UNSET
    delay_ms: int | UnsetType | None = msgspec.field(name="delay_ms", default=UNSET)
    deduplication_id: str | UnsetType | None = msgspec.field(name="deduplication_id", default=UNSET)
    priority: int | UnsetType | None = UNSET
