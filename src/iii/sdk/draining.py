"""How a worker stops serving: other owners get its functions, and what it runs may end (P12)."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from iii.protocol.ids import new_id
from iii.protocol.limits import LONGEST_DRAIN_S
from iii.protocol.log_event import LogEvent
from iii.protocol.messages import NULL, InvokeFunction, UnregisterFunction, UnregisterTrigger, UnregisterTriggerType
from iii.protocol.names import DEFAULT_NAMESPACE, DRAIN_WORKER
from iii.sdk.calls import Outcome, PendingCalls
from iii.sdk.connection import EngineConnection
from iii.sdk.encoding import encode_outgoing
from iii.sdk.executor import Executor
from iii.sdk.in_process import ClientLink
from iii.sdk.registrations import Registrations

DRAINING = LogEvent(
    "iii.sdk", "sdk.draining", logging.INFO, "Worker draining",
    means="It gets no further call, and shuts down when its handlers have ended.",
)  # fmt: skip
HANDLERS_CUT_OFF = LogEvent(
    "iii.sdk", "sdk.handlers_cut_off", logging.WARNING, "Worker stops while handlers run; their calls fail",
    means="Handlers did not end within the time that a stopping worker gives them.",
    do="Make them shorter, drain with a longer limit, or let them stop at SIGTERM.",
)  # fmt: skip

ANSWER_S = 10.0  # for the engine to take the functions away; then the worker unregisters them by itself
LONGER_S = 5.0  # has the engine patience: the worker leaves before it is cut off
LOOK_S = 0.02  # between two looks whether anything runs


class Draining:
    """Of one worker, once. On its loop."""

    def __init__(
        self,
        name: str,
        loop: asyncio.AbstractEventLoop,
        connection: EngineConnection,
        pending: PendingCalls,
        registrations: Registrations,
        executor: Executor,
        worker_id: Callable[[], str | None],
    ) -> None:
        self._name = name
        self._loop = loop
        self._connection = connection
        self._pending = pending
        self._registrations = registrations
        self._executor = executor
        self._worker_id = worker_id
        self._task: asyncio.Task[bool] | None = None
        self._unreached = False  # by calls, from now on
        self._asked_on: ClientLink | None = None
        self._heard = asyncio.Event()
        self._cut_short = False

    @property
    def begun(self) -> bool:
        """From then on a new connection registers nothing."""
        return self._task is not None

    async def finish(self, limit_s: float) -> bool:
        """Take no more calls, and let what runs end. False: something still runs after the limit.

        A later call waits for the same, with the limit of the first.
        """
        if self._task is None:
            self._task = self._loop.create_task(self._finish(limit_s), name="iii drain")
        return await asyncio.shield(self._task)

    def cut_short(self) -> None:
        """The worker stops now: whoever waits for the handlers is told at once."""
        self._cut_short = True
        self._heard.set()

    def no_more_calls(self) -> None:
        """The engine has said so; those that it sent before are here."""
        self._unreached = True
        self._heard.set()

    async def _finish(self, limit_s: float) -> bool:
        DRAINING(worker=self._name, limit_s=limit_s)
        now = self._loop.time
        until, answer_until = now() + limit_s, now() + min(limit_s, ANSWER_S)
        asked = None if self._unreached else self._ask(limit_s)
        began = now()
        while now() < until and not self._cut_short:
            if self._is_alone(answer_until) and not self._executor.busy:
                break
            await self._next_look()
        if asked is not None:
            self._pending.forget(asked)
        if self._executor.busy:
            functions = self._executor.functions()
            HANDLERS_CUT_OFF(worker=self._name, waited_s=round(now() - began, 1), functions=functions)
            return False
        return True

    async def _next_look(self) -> None:
        """What handlers do tells nobody; what the engine says comes at once."""
        if self._cut_short:
            return
        self._heard.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_S):
                await self._heard.wait()

    def _ask(self, limit_s: float) -> str | None:
        """Let the engine take the functions away. None: there is nothing to take, or no engine."""
        if self._connection.link is None or self._pending.ended or not self._registrations.replay():
            self._unreached = True
            return None
        self._asked_on = self._connection.link
        asked = _Asked(new_id(), self._answered)
        request: Any = {
            "worker_id": self._worker_id(),
            "timeout_ms": int(min(limit_s + LONGER_S, LONGEST_DRAIN_S) * 1000),
        }
        self._pending.add(asked)
        self._connection.send_if_connected(
            encode_outgoing(InvokeFunction(DRAIN_WORKER, request, asked.invocation_id, namespace=DEFAULT_NAMESPACE))
        )
        return asked.invocation_id

    def _answered(self, outcome: Outcome) -> None:
        """A refusal comes from an engine that has no such function, or whose worker this is no more."""
        if isinstance(outcome, BaseException) or outcome.error is NULL:
            self._unreached = True
        else:
            self._unregister()
        self._heard.set()

    def _is_alone(self, answer_until: float) -> bool:
        """Whether no call can come any more."""
        if not self._unreached and self._loop.time() >= answer_until:
            self._unregister()
        return self._unreached or self._connection.link is not self._asked_on

    def _unregister(self) -> None:
        registrations = self._registrations
        for message in (
            *map(UnregisterTrigger, registrations.triggers),
            *map(UnregisterFunction, registrations.functions),
            *map(UnregisterTriggerType, registrations.trigger_types),
        ):
            self._connection.send_if_connected(encode_outgoing(message))
        self._unreached = True


class _Asked:
    """Waits for what the engine says."""

    function_id = DRAIN_WORKER

    def __init__(self, invocation_id: str, complete: Callable[[Outcome], None]) -> None:
        self.invocation_id = invocation_id
        self.complete = complete
