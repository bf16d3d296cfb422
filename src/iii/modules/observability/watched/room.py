"""Who watches spans as they come, and how the engine learns of it (19 §1, §2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct

from iii.engine.builtin import builtin
from iii.modules.observability.watched.activity import SpanActivity
from iii.modules.observability.watched.deliveries import Deliveries
from iii.modules.observability.watched.observed import ObservedSpans
from iii.modules.observability.watched.streams import LiveStreams
from iii.modules.observability.watched.triggers import TraceTriggers

if TYPE_CHECKING:
    from iii.engine.bindings import Binding
    from iii.engine.engine import Engine
    from iii.modules.observability.spans.kept import KeptSpans
    from iii.modules.observability.spans.row import Row
    from iii.modules.observability.steps import Steps


class FollowInput(Struct):
    """A group of a live stream, and whether anybody follows it."""

    stream_name: Annotated[str, Meta(description="`iii:devtools:trace-rows`, `all-spans` or `trace-spans`.")]
    group_id: Annotated[str, Meta(description="`all`, or of `trace-spans` the id of a trace.")]
    followed: Annotated[bool, Meta(description="Whether the group has subscribers.")]


class WatchedSpans:
    """Triggers and live streams; the store tells of spans only while there are any.

    Attributes:
        deliveries: the traces that these begin.
    """

    def __init__(self, engine: Engine, kept: KeptSpans) -> None:
        self._kept = kept
        self._signals = kept.signals
        self.deliveries = Deliveries()
        self._triggers = TraceTriggers(engine, self.deliveries)
        self._streams = LiveStreams(engine, kept.collapse)
        self._activity = SpanActivity(engine, kept, self._look)
        self._observed = ObservedSpans(self._wanted, self.deliveries)
        self.source = self._observed.source
        self.trigger_type = self._triggers.trigger_type

    def bind(self, binding: Binding) -> None:
        """Raises TriggerRegistrationFailed."""
        self._triggers.bind(binding)
        self._wanted()

    def unbind(self, binding: Binding) -> None:
        """Nothing more for it."""
        self._triggers.unbind(binding)
        self._wanted()

    def stop(self) -> None:
        """Nobody is told any more."""
        self._activity.stop()

    @builtin("engine::traces::follow", spec="19 §2")
    def follow(self, request: FollowInput) -> None:
        """Feed a group of a live stream, or no longer; the stream port says so of its subscribers."""
        self._streams.follow(request.stream_name, request.group_id, request.followed)
        self._wanted()

    @property
    def active(self) -> bool:
        """Whether anybody wants to know of spans as they come."""
        return bool(len(self._triggers) or len(self._streams) or len(self._observed))

    def _wanted(self) -> None:
        self._activity.want(self.active)
        self._signals.watched = self.active

    def _look(self, rows: Sequence[Row]) -> Steps[None]:
        if self._kept.store is not None:
            traces = self._kept.store.traces
            if len(self._triggers):
                yield from self._triggers.tell(rows, traces)
            if len(self._streams):
                yield from self._streams.tell(rows, traces)
            if len(self._observed):
                yield from self._observed.tell(rows, traces)
