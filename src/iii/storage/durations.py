"""How long the steps of a store take (16 §1)."""

from __future__ import annotations

from collections.abc import Sequence

from iii.protocol.measurement import SHORT_SECONDS, Distribution, Measurement


class StoreDurations:
    """Of one store, in seconds.

    Attributes:
        write: a batch of writes, as a transaction.
        fsync: until the disk has a batch.
        checkpoint: the log's pages are moved into the file.
    """

    __slots__ = ("checkpoint", "fsync", "write")

    def __init__(self) -> None:
        self.write = Distribution(SHORT_SECONDS)
        self.fsync = Distribution(SHORT_SECONDS)
        self.checkpoint = Distribution(SHORT_SECONDS)

    def measured(self, store: str) -> Sequence[Measurement]:
        """As a metric."""
        points = [
            ((("store", store), ("operation", operation)), getattr(self, operation))
            for operation in ("write", "fsync", "checkpoint")
        ]
        text = "Batches of writes in SQLite, their fsyncs, and checkpoints."
        return (Measurement("iii.store.operation.duration", "s", "histogram", text, points),)
