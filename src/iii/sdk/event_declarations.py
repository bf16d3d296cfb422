"""The decorators for what happens in the engine: schedules, messages, jobs, changes of state and of streams."""

from collections.abc import Callable
from typing import Any, TypeVar

from iii.protocol.replicas import ReplicaPolicy
from iii.sdk.declarations import Declarations, given
from iii.sdk.decorator_checks import check_at_least, check_schedule, check_share, named
from iii.sdk.decorator_form import with_parentheses

F = TypeVar("F", bound=Callable[..., Any])


class EventDeclarations(Declarations):
    """Each calls the decorated function with the event. The decorated function stays what it was."""

    @with_parentheses("a schedule", '"0 9 * * *"')
    def cron(
        self,
        expression: str,
        *,
        timezone: str = "UTC",
        timeout_ms: int | None = None,
        condition: str | None = None,
        function_id: str | None = None,
        metadata: Any = None,
        replicas: ReplicaPolicy | None = None,
    ) -> Callable[[F], F]:
        """Call the decorated function on a schedule; it gets the event, and stays what it was.

        Args:
            expression: `minute hour day month weekday`, with a field for seconds before and one for years behind, or
                `@daily`, `@hourly`, …
            timezone: an IANA name, such as ``Europe/Berlin``.
            timeout_ms: how long a tick waits for the function before the next one may come; no limit unless given.
            condition: id of a function that is asked first; only ``false`` skips the tick.
            function_id: ``cron::NAME`` with the function's own name unless given.

        Raises:
            ValueError: the expression or the time zone is not valid, or the timeout is below 1.
        """
        check_schedule(expression, timezone)
        check_at_least(1, {"timeout_ms": timeout_ms})
        config = {"expression": expression, "timezone": timezone} | given(
            timeout_ms=timeout_ms, condition_function_id=condition
        )
        return self._triggered("cron", config, function_id, metadata, replicas)

    @with_parentheses("a topic", '"orders"')
    def subscribe(
        self,
        topic: str,
        *,
        condition: str | None = None,
        function_id: str | None = None,
        metadata: Any = None,
        replicas: ReplicaPolicy | None = None,
        each_replica: bool = False,
    ) -> Callable[[F], F]:
        """Call the decorated function with what is published on a topic, and return it unchanged.

        Args:
            topic: its exact name.
            condition: id of a function that is asked first; only ``false`` skips the message.
            function_id: ``subscribe::NAME`` with the function's own name unless given.
            each_replica: of several workers with the function every one gets each message, not one of them.
        """
        config = {"topic": named("topic", topic)} | given(
            condition_function_id=condition, deliver="each" if each_replica else None
        )
        return self._triggered("subscribe", config, function_id, metadata, replicas)

    @with_parentheses("a topic", '"orders"')
    def on_queue(
        self,
        topic: str,
        *,
        concurrency: int | None = None,
        max_retries: int | None = None,
        backoff_ms: int | None = None,
        backoff_jitter: float | None = None,
        timeout_ms: int | None = None,
        fifo: bool = False,
        group_field: str | None = None,
        condition: str | None = None,
        function_id: str | None = None,
        metadata: Any = None,
        replicas: ReplicaPolicy | None = None,
    ) -> Callable[[F], F]:
        """Call the decorated function with each message of a durable topic until it succeeds, and return it unchanged.

        What is published while no worker is connected waits. A call that raises is repeated; after the last attempt the message
        is a dead letter.

        Args:
            topic: its exact name.
            concurrency: messages that run at a time, 10 unless given; 0 pauses.
            max_retries: after the first attempt, 2 unless given.
            backoff_ms: before the first retry, doubled each time, 1000 unless given.
            backoff_jitter: random jitter added to each retry delay, as a fraction of it, 0 to 1; absent: none.
            timeout_ms: longest time of one attempt, half an hour unless given.
            fifo: in order, the next message when the one before has succeeded or is dead.
            group_field: with `fifo`, the member of the message within whose value order is kept.
            condition: id of a function that is asked first; only ``false`` skips the message.
            function_id: ``on_queue::NAME`` with the function's own name unless given.

        Raises:
            ValueError: a number is negative, the timeout below 1, or the jitter not from 0 to 1.
        """
        check_at_least(0, {"concurrency": concurrency, "max_retries": max_retries, "backoff_ms": backoff_ms})
        check_at_least(1, {"timeout_ms": timeout_ms})
        check_share("backoff_jitter", backoff_jitter)
        queue_config = given(
            type="fifo" if fifo else None,
            concurrency=concurrency,
            maxRetries=max_retries,
            backoffDelayMs=backoff_ms,
            backoffJitter=backoff_jitter,
            timeoutMs=timeout_ms,
            messageGroupField=group_field,
        )
        config = given(topic=named("topic", topic), queue_config=queue_config or None, condition_function_id=condition)
        return self._triggered("durable:subscriber", config, function_id, metadata, replicas, prefix="on_queue")

    @with_parentheses("a scope, or nothing for all of them", '"orders"')
    def on_state(
        self,
        scope: str | None = None,
        key: str | None = None,
        *,
        condition: str | None = None,
        function_id: str | None = None,
        metadata: Any = None,
        replicas: ReplicaPolicy | None = None,
    ) -> Callable[[F], F]:
        """Call the decorated function with each change of shared state, an `iii.StateEvent`, and return it unchanged.

        Args:
            scope: whose changes; all scopes unless given.
            key: in the scope, or in any; all keys unless given.
            condition: id of a function that is asked first; only ``false`` skips the change.
            function_id: ``on_state::NAME`` with the function's own name unless given.
        """
        config = given(scope=scope, key=key, condition_function_id=condition)
        return self._triggered("state", config, function_id, metadata, replicas, prefix="on_state")

    @with_parentheses("the name of a stream", '"orders"')
    def on_stream(
        self,
        stream_name: str,
        group_id: str | None = None,
        item_id: str | None = None,
        *,
        condition: str | None = None,
        function_id: str | None = None,
        metadata: Any = None,
        replicas: ReplicaPolicy | None = None,
    ) -> Callable[[F], F]:
        """Call the decorated function with each event of a stream, an `iii.StreamEvent`, and return it unchanged.

        Args:
            group_id: whose events; all groups unless given.
            item_id: of the item; all items unless given.
            condition: id of a function that is asked first; only ``false`` skips the event.
            function_id: ``on_stream::NAME`` with the function's own name unless given.
        """
        config = {"stream_name": named("stream_name", stream_name)} | given(
            group_id=group_id, item_id=item_id, condition_function_id=condition
        )
        return self._triggered("stream", config, function_id, metadata, replicas, prefix="on_stream")
