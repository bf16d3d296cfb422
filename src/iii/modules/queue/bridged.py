"""The adapter `bridge`: jobs and topics of another engine (27 §4)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import msgspec
from msgspec import UNSET

from iii.engine.answer import answer
from iii.engine.engine import Engine
from iii.engine.enqueue import EnqueueRequest
from iii.engine.functions import Function
from iii.engine.invocation import Invocation, Trace
from iii.engine.observing.origin import trace_of
from iii.modules.queue.bridged_topics import BridgedTopics
from iii.modules.queue.keeps_nothing import KeepsNothing, Why
from iii.modules.queue.requests import WaitInput
from iii.protocol.errors import PUBLISH_FAILED, EnqueueFailed, InvocationError
from iii.protocol.json_text import BAD_JSON
from iii.protocol.names import ENQUEUE_PROVIDER
from iii.remote.codes import BRIDGE_ERROR
from iii.remote.config import BridgeAdapterConfig
from iii.remote.forwarding import Forwarding

_THERE = "the other engine answers"  # whatever is asked: `answers` is asked first
_REFUSALS: dict[str, tuple[Callable[[str], InvocationError], str]] = {
    ENQUEUE_PROVIDER: (EnqueueFailed, "The job was not taken via bridge"),
    "iii::durable::publish": (PUBLISH_FAILED, "The message was not taken via bridge"),
    "enqueue": (PUBLISH_FAILED, "The message was not taken via bridge"),
}
_wait = msgspec.json.Decoder(WaitInput)
_OTHERS: tuple[Callable[[str], InvocationError], str] = (BRIDGE_ERROR, "The other engine did not answer")


class BridgeAdapter(KeepsNothing):
    """Every function goes to the one of the same name there; subscribers here are subscribers there."""

    broker_type = "bridge"

    def __init__(self, engine: Engine, config: BridgeAdapterConfig) -> None:
        """Raises StartFailure."""
        super().__init__(Why(_THERE, _THERE, _THERE))
        self._forwarding = Forwarding(config, "iii-queue-bridge")
        self.topics = BridgedTopics(engine, self._forwarding.remote, config.worker_name)
        self.answers = self._deliver

    @property
    def disconnected(self) -> str | None:
        return self._forwarding.disconnected

    async def open(self) -> None:
        await self._forwarding.open()

    async def quiet(self) -> None:
        await self._forwarding.quiet()

    async def close(self) -> None:
        await self._forwarding.close()

    def _deliver(self, invocation: Invocation, function: Function) -> None:
        request = invocation.request
        if isinstance(request, EnqueueRequest):  # of the action, in this process
            data = msgspec.json.encode(request)
            trace = Trace(
                None if request.traceparent is UNSET else request.traceparent,
                None if request.baggage is UNSET else request.baggage,
            )
        else:
            data, trace = bytes(invocation.data), trace_of(invocation)
        refusal, text = _REFUSALS.get(function.id, _OTHERS)
        self._forwarding.ask(function.id, data, trace, answer(invocation, refusal, text), _waits_ms(function.id, data))


def _waits_ms(function_id: str, data: bytes) -> int:
    """How long the function waits for a job to end; what is no request is answered at once."""
    if function_id == "engine::queue::wait":
        with suppress(*BAD_JSON):
            return _wait.decode(data).timeout_ms
    return 0
