"""A RabbitMQ broker; what aio-pika knows stays in here (04 §11.3)."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from iii.net.start_failure import StartFailure

if TYPE_CHECKING:
    from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage

logger = logging.getLogger(__name__)

CONNECT_S = 5.0
_ANY_TEXT = re.compile(".*", re.DOTALL)
_CONFIRM_S = 30.0
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.1, 5.0


class BrokerError(Exception):
    """The broker could not do it, or is not there; the text is for whoever asked."""


class Unroutable(BrokerError):
    """No queue wants the message."""


class Message(NamedTuple):
    """What is published.

    Attributes:
        headers: texts and numbers.
    """

    body: bytes
    headers: Mapping[str, Any]
    message_id: str | None = None
    priority: int | None = None


class Delivery:
    """A message that the broker keeps until it is told what became of it."""

    def __init__(self, incoming: AbstractIncomingMessage) -> None:
        self._incoming = incoming
        self.message = Message(incoming.body, dict(incoming.headers), incoming.message_id, incoming.priority or None)

    async def ack(self) -> None:
        """It is done. If the connection ended meanwhile the broker delivers it again."""
        try:
            await self._incoming.ack()
        except _errors():
            logger.debug("A message could not be acknowledged: its connection ended")

    async def reject(self) -> None:
        """It goes where its queue sends what is rejected."""
        try:
            await self._incoming.nack(requeue=False)
        except _errors():
            logger.debug("A message could not be rejected: its connection ended")

    async def give_back(self) -> None:
        """It comes again, to whoever is next."""
        try:
            await self._incoming.nack(requeue=True)
        except _errors():
            logger.debug("A message comes back by itself: its connection ended")


class Tap:
    """A consumer of one queue, on a channel of its own; it is opened again whenever the broker comes back."""

    def __init__(self, queue: str, prefetch: int, heard: Callable[[Delivery], None]) -> None:
        self.queue = queue
        self.prefetch = prefetch
        self.heard = heard
        self.channel: AbstractChannel | None = None


class Broker:
    """One connection, made again with growing pauses when it is lost.

    Args:
        restore: declares what has to be there, at every new connection.
    """

    def __init__(self, url: str, restore: Callable[[Broker], Awaitable[None]]) -> None:
        self._url = url
        self._restore = restore
        self._taps: set[Tap] = set()
        self._connection: AbstractConnection | None = None
        self._publisher: AbstractChannel | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._reopening: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Raises StartFailure."""
        try:
            from pamqp.constants import DOMAIN_REGEX
        except ImportError:
            text = "the adapter `rabbitmq` needs the library aio-pika: pip install 'iii-py[rabbitmq]'"
            raise StartFailure(text) from None
        for domain in ("queue-name", "exchange-name"):  # brokers take any text, and ours have backslashes (04 §11.3)
            DOMAIN_REGEX[domain] = _ANY_TEXT
        try:
            lost = await self._connected()
        except TimeoutError:
            raise StartFailure(
                f"RabbitMQ connection timed out after {CONNECT_S:g}s. Please ensure RabbitMQ is running at: {self._shown}"
            ) from None
        except _failures() as error:
            raise StartFailure(f"Failed to connect to RabbitMQ at {self._shown}: {error}") from None
        self._keeper = asyncio.create_task(self._keep(lost))

    async def close(self) -> None:
        """What was not acknowledged is delivered again."""
        tasks = [*self._reopening] if self._keeper is None else [self._keeper, *self._reopening]
        self._taps.clear()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        connection, self._connection, self._publisher = self._connection, None, None
        if connection is not None:
            await connection.close()

    # -- publishing -----------------------------------------------------------------------------------------------

    async def publish(self, exchange: str, routing_key: str, message: Message) -> None:
        """Returns when the broker has it. Raises BrokerError; Unroutable if no queue took it."""
        import aio_pika

        channel = self._publisher
        if channel is None or channel.is_closed:
            raise BrokerError("RabbitMQ is not connected")
        outgoing = aio_pika.Message(
            message.body,
            content_type="application/json",
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            headers=dict(message.headers),
            message_id=message.message_id,
            priority=message.priority,
        )
        target = await channel.get_exchange(exchange, ensure=False) if exchange else channel.default_exchange
        try:
            await target.publish(outgoing, routing_key, mandatory=True, timeout=_CONFIRM_S)
        except aio_pika.exceptions.PublishError:
            raise Unroutable("no queue took the message") from None
        except _failures() as error:
            raise BrokerError(str(error) or type(error).__name__) from None

    # -- consuming ------------------------------------------------------------------------------------------------

    async def consume(self, queue: str, prefetch: int, heard: Callable[[Delivery], None]) -> Tap:
        """Hear of the messages of a queue, so many at a time. Raises BrokerError."""
        tap = Tap(queue, prefetch, heard)
        self._taps.add(tap)
        if self._connection is not None:
            try:
                await self._turn_on(tap)
            except _errors() as error:
                raise BrokerError(str(error)) from None
        return tap

    async def cancel(self, tap: Tap) -> None:
        """Hear no more; what is unacknowledged goes back."""
        self._taps.discard(tap)
        channel, tap.channel = tap.channel, None
        if channel is not None and not channel.is_closed:
            await channel.close()

    async def _turn_on(self, tap: Tap) -> None:
        connection = self._connection
        assert connection is not None
        tap.channel = channel = await connection.channel(publisher_confirms=False)
        channel.close_callbacks.add(lambda *_: self._closed(tap, channel, connection))
        await channel.set_qos(prefetch_count=tap.prefetch)
        queue = await channel.get_queue(tap.queue, ensure=False)

        async def arrived(incoming: AbstractIncomingMessage) -> None:
            tap.heard(Delivery(incoming))

        await queue.consume(arrived)

    def _closed(self, tap: Tap, channel: AbstractChannel, connection: AbstractConnection) -> None:
        """A broker closes a channel whose consumer does what it must not, such as keeping a message for half an hour."""
        if tap in self._taps and tap.channel is channel and self._connection is connection and not connection.is_closed:
            logger.warning("RabbitMQ closed the channel of queue %s; opening it again", tap.queue)
            task = asyncio.get_running_loop().create_task(self._reopen(tap, connection))
            self._reopening.add(task)
            task.add_done_callback(self._reopening.discard)

    async def _reopen(self, tap: Tap, connection: AbstractConnection) -> None:
        wait_s = _FIRST_WAIT_S
        while tap in self._taps and self._connection is connection:  # a new connection opens it anyway
            try:
                await self._turn_on(tap)
            except _errors() as error:
                logger.warning("RabbitMQ queue %s: %s; trying again", tap.queue, error)
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, _LONGEST_WAIT_S)
            else:
                return

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
        import aio_pika

        try:
            async with self._aside() as channel:
                found = await channel.declare_queue(queue, passive=True)
                result = found.declaration_result
                return result.message_count or 0, result.consumer_count or 0
        except NoSuchQueue:
            return 0, 0
        except aio_pika.exceptions.AMQPError as error:
            raise BrokerError(str(error)) from None

    async def look_through(self, queue: str, at_most: int, look: Callable[[Delivery], Awaitable[bool]]) -> None:
        """Look at what waits, the oldest first, until `look` says that it is enough.

        What it neither acknowledged nor rejected is put back in its place. Raises BrokerError.
        """
        try:
            async with self._aside() as channel:
                found = await channel.declare_queue(queue, passive=True)
                for _ in range(min(at_most, found.declaration_result.message_count or 0)):
                    incoming = await found.get(fail=False)
                    if incoming is None or await look(Delivery(incoming)):
                        return
        except NoSuchQueue:
            return

    @asynccontextmanager
    async def _aside(self) -> AsyncIterator[AbstractChannel]:
        """A channel that may break without harm to others."""
        import aio_pika

        if self._connection is None or self._connection.is_closed:
            raise BrokerError("RabbitMQ is not connected")
        try:
            channel = await self._connection.channel(publisher_confirms=False)
            try:
                yield channel
            finally:
                if not channel.is_closed:
                    await channel.close()
        except aio_pika.exceptions.ChannelNotFoundEntity as error:
            raise NoSuchQueue(str(error)) from None
        except _errors() as error:
            raise BrokerError(str(error) or type(error).__name__) from None

    # -- the connection -------------------------------------------------------------------------------------------

    async def _connected(self) -> asyncio.Event:
        """Connect and have everything there again; the event is set when the connection is lost."""
        import aio_pika

        lost = asyncio.Event()
        async with asyncio.timeout(CONNECT_S):
            connection = await aio_pika.connect(self._url)
        try:
            connection.close_callbacks.add(lambda *_: lost.set())
            self._publisher = await connection.channel(publisher_confirms=True, on_return_raises=True)
            self._publisher.close_callbacks.add(lambda *_: lost.set())
            self._connection = connection
            await self._restore(self)
            for tap in list(self._taps):
                await self._turn_on(tap)
        except BaseException:
            self._connection = None
            await connection.close()
            raise
        return lost

    async def _keep(self, lost: asyncio.Event) -> None:
        while True:
            await lost.wait()
            logger.error("RabbitMQ at %s: the connection is lost; connecting again", self._shown)
            connection, self._connection, self._publisher = self._connection, None, None
            if connection is not None and not connection.is_closed:
                await connection.close()
            wait_s = _FIRST_WAIT_S
            while True:
                try:
                    lost = await self._connected()
                except _failures() as error:
                    logger.warning("RabbitMQ at %s: %s; trying again", self._shown, error)
                    await asyncio.sleep(wait_s)
                    wait_s = min(2 * wait_s, _LONGEST_WAIT_S)
                else:
                    logger.info("RabbitMQ at %s is there again", self._shown)
                    break

    @property
    def _shown(self) -> str:
        """Without its password."""
        scheme, separator, rest = self._url.partition("://")
        _, at, host = rest.rpartition("@")
        return f"{scheme}{separator}***@{host}" if at else self._url


class NoSuchQueue(BrokerError):
    """It has not been declared."""


def _errors() -> tuple[type[Exception], ...]:
    import aio_pika

    return (aio_pika.exceptions.AMQPError, OSError, RuntimeError, ValueError)  # the last: a name that is too long


def _failures() -> tuple[type[Exception], ...]:
    return (*_errors(), BrokerError, TimeoutError)
