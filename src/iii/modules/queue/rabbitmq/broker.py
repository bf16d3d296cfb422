"""A RabbitMQ broker; what aio-pika knows stays in here (04 §11.3)."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from iii.protocol.log_event import LogEvent
from iii.protocol.start_failure import StartFailure
from iii.storage.items import StoreError

if TYPE_CHECKING:
    from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage

CONNECTION_LOST = LogEvent(
    __name__, "rabbitmq.connection_lost", logging.ERROR, "Connection to RabbitMQ lost; reconnecting",
    means="Until it is made again jobs are refused; those that ran are delivered again.",
    do="If it does not come back, look after the server that `amqp_url` of `iii-queue` names.",
)  # fmt: skip
RECONNECT_FAILED = LogEvent(
    __name__, "rabbitmq.reconnect_failed", logging.WARNING, "Connection to RabbitMQ failed; retrying",
    means="The broker did not answer or refused the connection; jobs are refused meanwhile.",
    do="Look after the server that `amqp_url` of `iii-queue` names.",
)  # fmt: skip
RECONNECTED = LogEvent(
    __name__, "rabbitmq.reconnected", logging.INFO, "Reconnected to RabbitMQ",
    means="Jobs are accepted and delivered again.",
)  # fmt: skip
NOT_ACKNOWLEDGED = LogEvent(
    __name__, "rabbitmq.message_not_acknowledged", logging.DEBUG, "Message not acknowledged; it is redelivered",
    means="The connection was lost before the broker knew the outcome of a message.",
)  # fmt: skip

CONNECT_S = 5.0
NAME_BYTES = 255  # of a queue, an exchange, a message's id
_HEADER_BYTES = 64 * 1024  # they have to fit into one frame, of 128 KiB by default
_ANY_TEXT = re.compile(".*", re.DOTALL)
_CONFIRM_S = 30.0
FIRST_WAIT_S, LONGEST_WAIT_S = 0.1, 5.0


class BrokerError(StoreError):
    """The broker could not do it, or is not there; the text is for whoever asked."""


class Unroutable(BrokerError):
    """No queue wants the message."""


class NoSuchQueue(BrokerError):
    """It has not been declared."""


class BrokerMessage(NamedTuple):
    """What is published.

    Attributes:
        headers: texts and numbers.
    """

    body: bytes
    headers: Mapping[str, Any]
    message_id: str | None = None
    priority: int | None = None


class Delivery:
    """A message that the broker keeps until it is told what became of it; told once.

    When its channel is lost the broker delivers it again: what is done about this one is in vain.
    """

    def __init__(self, incoming: AbstractIncomingMessage, settled: Callable[[Delivery], None]) -> None:
        self._incoming = incoming
        self._settled = settled
        self.message = BrokerMessage(
            incoming.body, dict(incoming.headers), incoming.message_id, incoming.priority or None
        )
        self.over = False  # settled, or lost
        self.on_lost: Callable[[], None] = lambda: None

    async def ack(self) -> None:
        """It is done."""
        await self._settle(self._incoming.ack)

    async def reject(self) -> None:
        """It goes where its queue sends what is rejected."""
        await self._settle(lambda: self._incoming.nack(requeue=False))

    async def give_back(self) -> None:
        """It comes again, to whoever is next."""
        await self._settle(lambda: self._incoming.nack(requeue=True))

    def lose(self) -> None:
        """Its channel is gone."""
        if not self.over:
            self.over = True
            self.on_lost()

    async def _settle(self, how: Callable[[], Awaitable[None]]) -> None:
        if self.over:
            return
        self.over = True
        try:
            await how()
        except errors():
            NOT_ACKNOWLEDGED()
        self._settled(self)


class Broker:
    """One connection, made again with growing pauses when it is lost."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.connection: AbstractConnection | None = None  # while there is one
        self._publisher: AbstractChannel | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._there = asyncio.Event()
        self.connections = 0  # so far

    async def open(self) -> None:
        """Raises StartFailure."""
        try:
            from pamqp.constants import DOMAIN_REGEX
        except ImportError:
            text = "the adapter `rabbitmq` needs the library aio-pika; install it: pip install 'aio-pika>=10.2,<11'"
            raise StartFailure(text) from None
        for domain in ("queue-name", "exchange-name"):  # brokers take any text, and ours have backslashes (04 §11.3)
            DOMAIN_REGEX[domain] = _ANY_TEXT
        try:
            lost = await self._connect()
        except TimeoutError:
            raise StartFailure(
                f"RabbitMQ connection timed out after {CONNECT_S:g}s. Please ensure RabbitMQ is running at: {self._shown}"
            ) from None
        except failures() as error:
            raise StartFailure(f"Failed to connect to RabbitMQ at {self._shown}: {error}") from None
        self._keeper = asyncio.create_task(self._keep(lost))

    async def close(self) -> None:
        """What was not acknowledged is delivered again."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
        self._there.clear()
        connection, self.connection, self._publisher = self.connection, None, None
        if connection is not None:
            await connection.close()

    async def connected(self) -> AbstractConnection:
        """As soon as there is a connection."""
        while self.connection is None or self.connection.is_closed:
            self._there.clear()
            await self._there.wait()
        return self.connection

    @property
    def is_connected(self) -> bool:
        return self.connection is not None and not self.connection.is_closed

    # -- publishing -----------------------------------------------------------------------------------------------

    async def publish(self, exchange: str, routing_key: str, message: BrokerMessage) -> None:
        """Returns when the broker has it. Raises BrokerError; Unroutable if no queue took it."""
        import aio_pika

        channel = self._publisher
        if channel is None or channel.is_closed:
            raise BrokerError("RabbitMQ is not connected")
        _check_sizes(message)
        try:
            outgoing = aio_pika.Message(
                message.body,
                content_type="application/json",
                delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
                headers=dict(message.headers),
                message_id=message.message_id,
                priority=message.priority,
            )
            target = await channel.get_exchange(exchange, ensure=False) if exchange else channel.default_exchange
            await target.publish(outgoing, routing_key, mandatory=True, timeout=_CONFIRM_S)
        except aio_pika.exceptions.PublishError:
            raise Unroutable("RabbitMQ could not route the message to a queue") from None
        except _unpublishable() as error:
            raise BrokerError(str(error) or type(error).__name__) from None

    # -- topology and inspection ----------------------------------------------------------------------------------

    async def exchange(self, name: str, kind: str) -> None:
        """Declare a durable one. Raises BrokerError."""
        async with self._aside() as channel:
            await channel.declare_exchange(name, kind, durable=True)

    async def queue(self, name: str, arguments: Mapping[str, Any] | None = None) -> None:
        """Declare a durable one. Raises BrokerError: one with other arguments is there."""
        async with self._aside() as channel:
            await channel.declare_queue(name, durable=True, arguments=dict(arguments or {}))

    async def bind(self, queue: str, exchange: str, routing_key: str) -> None:
        """Raises BrokerError."""
        async with self._aside() as channel:
            found = await channel.get_queue(queue, ensure=False)
            await found.bind(exchange, routing_key)

    async def unbind(self, queue: str, exchange: str, routing_key: str) -> None:
        """Raises BrokerError."""
        async with self._aside() as channel:
            found = await channel.get_queue(queue, ensure=False)
            await found.unbind(exchange, routing_key)

    async def delete_if_empty(self, queue: str) -> None:
        """Raises BrokerError: it is not."""
        async with self._aside() as channel:
            await channel.queue_delete(queue, if_unused=True, if_empty=True)

    async def counts(self, queue: str) -> tuple[int, int]:
        """Messages that wait and consumers; zeros if there is no such queue. Raises BrokerError."""
        try:
            async with self._aside() as channel:
                result = (await channel.declare_queue(queue, passive=True)).declaration_result
                return result.message_count or 0, result.consumer_count or 0
        except NoSuchQueue:
            return 0, 0

    async def look_through(
        self, queue: str, look: Callable[[Delivery], Awaitable[bool]], at_most: int | None = None
    ) -> None:
        """Look at what waits, the oldest first, until `look` says that it is enough.

        What it neither acknowledged nor rejected is put back in its place. Raises BrokerError.
        """
        try:
            async with self._aside() as channel:
                found = await channel.declare_queue(queue, passive=True)
                waiting = found.declaration_result.message_count or 0
                for _ in range(waiting if at_most is None else min(at_most, waiting)):
                    incoming = await found.get(fail=False)
                    if incoming is None or await look(Delivery(incoming, lambda _: None)):
                        return
        except NoSuchQueue:
            return

    @asynccontextmanager
    async def _aside(self) -> AsyncIterator[AbstractChannel]:
        """A channel that may break without harm to others."""
        import aio_pika

        if self.connection is None or self.connection.is_closed:
            raise BrokerError("RabbitMQ is not connected")
        try:
            channel = await self.connection.channel(publisher_confirms=False)
            try:
                yield channel
            finally:
                if not channel.is_closed:
                    await channel.close()
        except aio_pika.exceptions.ChannelNotFoundEntity as error:
            raise NoSuchQueue(str(error)) from None
        except errors() as error:
            raise BrokerError(str(error) or type(error).__name__) from None

    # -- the connection -------------------------------------------------------------------------------------------

    async def _connect(self) -> asyncio.Event:
        """The event is set when the connection is lost."""
        import aio_pika

        lost = asyncio.Event()
        async with asyncio.timeout(CONNECT_S):
            connection = await aio_pika.connect(self._url)
            try:
                connection.close_callbacks.add(lambda *_: lost.set())
                self._publisher = await connection.channel(publisher_confirms=True, on_return_raises=True)
                self._publisher.close_callbacks.add(lambda *_: lost.set())
            except BaseException:
                await connection.close()
                raise
        self.connection = connection
        self.connections += 1
        self._there.set()
        return lost

    async def _keep(self, lost: asyncio.Event) -> None:
        while True:
            await lost.wait()
            CONNECTION_LOST(server=self._shown)
            connection, self.connection, self._publisher = self.connection, None, None
            if connection is not None and not connection.is_closed:
                await connection.close()
            wait_s = FIRST_WAIT_S
            while True:
                try:
                    lost = await self._connect()
                except failures() as error:
                    text = str(error) or type(error).__name__
                    RECONNECT_FAILED(server=self._shown, reason=text, retry_in_s=wait_s)
                    await asyncio.sleep(wait_s)
                    wait_s = min(2 * wait_s, LONGEST_WAIT_S)
                else:
                    RECONNECTED(server=self._shown)
                    break

    @property
    def _shown(self) -> str:
        """Without its password."""
        scheme, separator, rest = self._url.partition("://")
        _, at, host = rest.rpartition("@")
        return f"{scheme}{separator}***@{host}" if at else self._url


def _check_sizes(message: BrokerMessage) -> None:
    """One frame that is too large would end the connection for everybody. Raises BrokerError."""
    if message.message_id is not None and len(message.message_id.encode()) > NAME_BYTES:
        raise BrokerError(f"the message id exceeds RabbitMQ's limit of {NAME_BYTES} bytes")
    size = sum(
        len(key) + (len(value.encode()) if isinstance(value, str) else 8) for key, value in message.headers.items()
    )
    if size > _HEADER_BYTES:
        raise BrokerError(f"baggage and metadata of {size} bytes exceed RabbitMQ's limit of {_HEADER_BYTES} bytes")


def errors() -> tuple[type[Exception], ...]:
    import aio_pika

    return (aio_pika.exceptions.AMQPError, OSError, RuntimeError, ValueError)  # the last: a name that is too long


def _unpublishable() -> tuple[type[Exception], ...]:
    return (*failures(), TypeError, ArithmeticError)  # these two: what cannot be put into a frame


def failures() -> tuple[type[Exception], ...]:
    return (*errors(), BrokerError, TimeoutError)
