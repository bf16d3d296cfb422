"""The worker at the other end of a connection: what is known of it, and how to tell it something."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence
from enum import Enum
from typing import TYPE_CHECKING

import msgspec

from iii.engine.access.audit import EVICTED
from iii.engine.dialect import Dialect
from iii.engine.gauges import Gauges
from iii.engine.observing.origin import caller_base
from iii.engine.session.codes import WORKER_NAMESPACE_CONFLICT
from iii.engine.worker_info import WorkerInfo
from iii.protocol.caller_id import caller_member
from iii.protocol.codec import encode_message
from iii.protocol.errors import ConnectionClosing
from iii.protocol.ids import new_id
from iii.protocol.log_event import LogEvent
from iii.protocol.messages import (
    NULL,
    Message,
    RegisterTrigger,
    RegistrationRejected,
    TriggerRegistrationResult,
    UnregisterTrigger,
    WorkerRegistered,
)
from iii.protocol.names import DEFAULT_NAMESPACE

if TYPE_CHECKING:
    from iii.engine.access.guard import Guard
    from iii.engine.bindings import Binding
    from iii.engine.functions import Deliver
    from iii.engine.invocation import Invocation
    from iii.engine.link import Link
    from iii.engine.ownership import Key
    from iii.engine.session.calling import Calling

NOT_SENT = LogEvent(
    __name__, "worker.message_not_sent", logging.WARNING, "Message not sent: it exceeds the limit of its worker",
    means="The client that the worker uses cannot receive messages of that size.",
    do="Let the worker register or receive less, or update its client.",
)  # fmt: skip
NAME_REFUSED = LogEvent(
    __name__, "worker.name_refused", logging.WARNING, "Worker refused: another connection has its name",
    means="Two workers of one namespace announced the same name; the one that has it still answers, so it keeps it.",
    do="Give each worker a name of its own, or end the process that `holder_pid` names.",
)  # fmt: skip


class Ending(Enum):
    """How a connection ended."""

    LEFT = "left"  # it said so, or was told to go
    LOST = "lost"  # without a Close frame: killed, crashed, cut off
    REFUSED = "refused"  # it never was a worker; the refusal has a line of its own


class Peer(ABC):
    """An owner at the other end of a link.

    Attributes:
        begins_traces: until its client says that it records its calls itself (O1).
        caller_base: who calls, as its targets and observers see it (21 §8).
        calling: the calls that it makes.
        calls_failed: how many it was running when its connection ended.
        deliver: sends it a call.
        guard: judges what it does; None: it is trusted.
        draining: whether it is taken out of service: it registers nothing, and has no name (P12).
        handling: calls that it runs, by the id that it knows; `busy` means not empty (W2).
        is_worker: from its first protocol message on (N1).
        passed_over: set when it leaves or seems stuck.
    """

    __slots__ = (
        "__weakref__", "announced", "begins_traces", "caller_base", "caller_member", "calling", "calls_failed", "connected_at_ms",
        "deliver", "dialect", "draining", "ended", "gauges", "guard", "handling", "info", "is_worker", "link", "namespace",
        "passed_over",
        "reattach_token", "worker_id",
    )  # fmt: skip

    in_process = False

    def __init__(
        self,
        link: Link,
        connected_at_ms: int,
        deliver: Deliver,
        handling: dict[str, Invocation],
        calling: Calling,
        guard: Guard | None,
    ) -> None:
        self.guard = guard
        if guard is not None:
            calling.judge = guard.judge
        self.worker_id = new_id()
        self.reattach_token = new_id()
        self.caller_member = caller_member(self.worker_id)
        self.caller_base = caller_base(self.worker_id, None)
        self.link = link
        self.connected_at_ms = connected_at_ms
        self.calling = calling
        self.deliver = deliver
        self.handling = handling
        self.info = WorkerInfo()
        self.dialect = Dialect()
        self.gauges = Gauges()
        self.namespace = DEFAULT_NAMESPACE
        self.is_worker = False
        self.announced = False
        self.draining = False
        self.ended = False
        self.begins_traces = True
        self.passed_over = False
        self.calls_failed = 0

    @property
    def identity(self) -> str | None:
        """None: it is trusted."""
        return None if self.guard is None else self.guard.identity

    @property
    def display_name(self) -> str | None:
        return self.info.name

    @property
    def observes(self) -> bool:
        """Whether it is told of observers: never before it has said so."""
        return self.announced and self.dialect.observes

    @property
    def label(self) -> str:
        """For log lines."""
        return self.info.name or self.worker_id

    @property
    def status(self) -> str:
        """`connected` until the first announcement, then `busy` or `available` (W1); `draining` (P12)."""
        if self.draining:
            return "draining"
        if not self.announced:
            return "connected"
        return "busy" if self.handling else "available"

    def takes_calls(self) -> bool:
        """As a copy beside others (P8)."""
        self.passed_over = self.ended or self.link.stuck
        return not self.passed_over

    def introduced(self, info: WorkerInfo, dialect: Dialect) -> None:
        """It said who it is, and may be believed."""
        self.info, self.dialect, self.announced = info, dialect, True
        self.begins_traces = not dialect.records_calls
        self.caller_base = caller_base(self.worker_id, info.name)
        self.calling.adapt(dialect)

    @abstractmethod
    def close(self, ending: Ending = Ending.LEFT) -> None:
        """The connection is gone, for whatever reason: clean up, once."""

    def complain(self, event: LogEvent, **fields: object) -> None:
        """Log that this worker did something wrong."""
        event(worker=self.label, **fields)

    def unguard(self) -> None:
        """Its connection has ended: nothing more is judged."""
        if self.guard is not None:
            self.calling.judge = None
            self.guard.end()

    def evicted(self, key: Key) -> None:
        """A trusted owner has taken an id that it had."""
        guard = self.guard
        if guard is not None:
            self.complain(EVICTED, id=key[1], namespace=key[0], **guard.origin)
            guard.registering.lost(self, key)

    def distrusted(self, key: Key) -> None:
        """An id that it has decides about access from now on; what one has that has ended goes anyway."""
        if self.guard is not None and not self.ended:
            self.guard.registering.distrust(self, key[1])

    def slow_down(self, seconds: float) -> None:
        """It calls somebody who reads too slowly (P5)."""
        self.link.slow_down(seconds)

    def pause_reading(self) -> None:
        """What it causes is more than one turn of the loop takes."""
        self.link.pause_reading()

    def resume_reading(self) -> None:
        """That is done."""
        self.link.resume_reading()

    # -- what it is told ------------------------------------------------------------------------------------------

    def greet(self, features: Sequence[str] = ()) -> None:
        """Always the first message on the socket (01 §3.1)."""
        self.say(WorkerRegistered(self.worker_id, self.reattach_token, list(features) or None))

    def say(self, message: Message) -> None:
        """Send a message, unless it is larger than this client survives (L13)."""
        if self.ended:
            return
        frame = encode_message(message)
        limit = self.dialect.receive_limit_bytes
        if len(frame) > limit:
            NOT_SENT(worker=self.label, type=type(message).__name__, bytes=len(frame), limit_bytes=limit)
            return
        self.link.send(frame, True)

    def bind(self, binding: Binding) -> None:
        """As a provider (01 §5.5)."""
        if self.ended:
            raise ConnectionClosing
        metadata = binding.metadata
        if self.dialect.object_trigger_metadata_only and metadata[:1] != b"{":
            metadata = b"null"
        provider = binding.provider
        self.say(
            RegisterTrigger(
                id=binding.id,
                trigger_type=binding.trigger_type,
                function_id=binding.function_id,
                config=msgspec.Raw(binding.config),
                metadata=NULL if metadata == b"null" else msgspec.Raw(metadata),
                namespace=_unless_default(binding.namespace),
                trigger_namespace=_unless_default(provider.namespace) if provider is not None else None,
            )
        )

    def unbind(self, binding: Binding) -> None:
        """As a provider."""
        self.say(UnregisterTrigger(id=binding.id, trigger_type=binding.trigger_type))

    def binding_refused(self, binding: Binding, registered_id: str, error: bytes) -> None:
        """As an owner of triggers."""
        if self.guard is not None:
            registered_id = self.guard.registering.triggers.given(registered_id)
        self.refuse_trigger(binding, registered_id, error)

    def refuse_trigger(self, trigger: RegisterTrigger | Binding, registered_id: str, error: bytes) -> None:
        """Its trigger is not bound (T1)."""
        self.say(
            TriggerRegistrationResult(
                id=registered_id,
                trigger_type=trigger.trigger_type,
                function_id=trigger.function_id,
                error=msgspec.Raw(error),
            )
        )

    def refuse_name(self, namespace: str, info: WorkerInfo, holder: Peer) -> None:
        """The name that it wants is another worker's (N8)."""
        NAME_REFUSED(
            worker=info.name, namespace=namespace, worker_id=self.worker_id, pid=info.pid,
            holder_id=holder.worker_id, holder_pid=holder.info.pid,
        )  # fmt: skip
        self.say(
            RegistrationRejected(
                code=WORKER_NAMESPACE_CONFLICT.code,
                namespace=namespace,
                worker_name=info.name,
                owner_worker_id=holder.worker_id,
            )
        )


def _unless_default(namespace: str) -> str | None:
    return None if namespace == DEFAULT_NAMESPACE else namespace
