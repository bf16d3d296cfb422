"""A worker's inside: what belongs together behind the methods that users see (08 §4.4-4.11).

Made on any thread, started and stopped on its loop.
"""

import asyncio
import logging
from typing import Any

from iii.protocol.messages import (
    InvokeFunction,
    Reattach,
    Void,
    WorkerRegistered,
)
from iii.protocol.messages import RegistrationRejected as Rejection
from iii.protocol.names import DEFAULT_NAMESPACE, REGISTER_WORKER
from iii.sdk.announcement import announcement
from iii.sdk.caller import Caller
from iii.sdk.channels import ChannelDoor
from iii.sdk.connection import Connection
from iii.sdk.encoding import encode_outgoing
from iii.sdk.executor import Executor
from iii.sdk.framing import BINARY
from iii.sdk.inbound import Inbound
from iii.sdk.options import InitOptions, ReconnectionConfig, handshake_headers
from iii.sdk.registrar import Registrar
from iii.sdk.rejection import RegistrationRejected
from iii.sdk.reporting import Reporting
from iii.sdk.threads import HandlerThreads

logger = logging.getLogger("iii.sdk")

NAME_TAKEN = "WORKER_NAMESPACE_CONFLICT"


class WorkerCore:
    """The parts of one worker, wired.

    Attributes:
        name: as announced.
        worker_id: what the engine calls the last connection; None before the first.
    """

    def __init__(self, url: str, options: InitOptions, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.name = options.effective_name
        self._registered: WorkerRegistered | None = None
        namespace = options.effective_namespace
        payload: Any = announcement(options)
        self._announcement = encode_outgoing(
            InvokeFunction(REGISTER_WORKER, payload, action=Void(), namespace=DEFAULT_NAMESPACE)
        )
        reconnection = options.reconnection_config or ReconnectionConfig()
        headers = handshake_headers(options.headers)
        self.connection = Connection(url, headers, reconnection, self, loop)
        self.channels = ChannelDoor(url, headers)
        self._threads = HandlerThreads()
        self.caller = Caller(self.connection, loop, options.invocation_timeout_ms, namespace)
        self.registrar = Registrar(self.connection, namespace, self.channels)
        self._executor = Executor(
            self.registrar.registrations.functions,
            loop,
            self._threads,
            self.connection.send,
            # a thread with more to do leaves the writing to the loop, which does it for all at once
            lambda message: self.connection.send(message, urgent=not self._threads.waiting),
        )
        self._inbound = Inbound(
            self.caller.pending,
            self._executor,
            self.registrar.registrations,
            self.connection.send,
            self._on_registered,
            self._on_rejected,
        )
        self.received = self._inbound.receive
        self._reporting = Reporting(url, options, loop, self._send_gauges, self._gauges_worker_id)
        if self._reporting.telemetry is not None:
            self.caller.new_span = self._reporting.telemetry.call_span
            self._executor.new_span = self._reporting.telemetry.handler_span
        self._stopping: asyncio.Task[None] | None = None

    @property
    def worker_id(self) -> str | None:
        return self._registered.worker_id if self._registered is not None else None

    def start(self) -> None:
        """Begin to connect. On the loop."""
        self.connection.start()
        self._reporting.start()

    async def stop(self) -> None:
        """Leave, once, however often it is called. On the loop."""
        if self._stopping is None:
            self._stopping = self.loop.create_task(self._stop(asyncio.current_task()))
        await asyncio.shield(self._stopping)

    async def _stop(self, caller: asyncio.Task[Any] | None) -> None:
        self._threads.close()
        await self._executor.stop(caller)
        await self._inbound.stop()
        self.caller.pending.fail_all()
        await self.connection.stop()
        await self._reporting.stop()

    def raise_if_unusable(self) -> None:
        """Raises RegistrationRejected, or ConnectionError if connecting was given up."""
        if self.caller.rejected is not None:
            raise self.caller.rejected
        if self.connection.states.state == "failed":
            raise ConnectionError(f"Connection to {self.connection.url} failed after max retries")

    # -- what is said on a connection (ConnectionUser) ------------------------------------------------------------

    def greeting(self) -> list[bytes]:
        messages = self.registrar.registrations.replay()
        if self._registered is not None:
            last = self._registered
            messages.insert(0, encode_outgoing(Reattach(last.worker_id, last.reattach_token)))
        return messages

    def farewell(self) -> list[bytes]:
        return [self._announcement]

    def _send_gauges(self, frame: bytes) -> None:
        self.connection.send_if_connected(frame, opcode=BINARY)

    def _gauges_worker_id(self) -> str | None:
        return self.worker_id if self.connection.connected else None

    def _on_registered(self, message: WorkerRegistered) -> None:
        self._registered = message

    def _on_rejected(self, message: Rejection) -> None:
        rejected = RegistrationRejected(message.code, message.namespace, message.worker_name, message.owner_worker_id)
        remedy = ". A live worker has this name: give this one another, or end that one"
        logger.error("%s%s", rejected, remedy if message.code == NAME_TAKEN else "")
        self.caller.rejected = rejected
        self.caller.pending.fail_all(rejected)
        self.connection.fail()
