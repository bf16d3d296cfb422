"""A handler at work on one request: its call, its two channels, the client that waits for it (03 §A5.1, §A6)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from iii.engine.invocation import Trace
from iii.modules.http.client import REST_OF_BODY_S, ClientGone
from iii.modules.http.failure import invalid_head
from iii.modules.http.json_body import LARGE_BYTES
from iii.modules.http.request_body import RequestBody
from iii.modules.http.response_stream import ResponseStream
from iii.modules.http.result import answer_from, answer_parts
from iii.modules.http.wakeup import Wakeup

if TYPE_CHECKING:
    from iii.engine.channels import Channel
    from iii.engine.engine import Engine
    from iii.engine.invocation import Invocation
    from iii.modules.http.answer import Answer
    from iii.modules.http.client import Client
    from iii.modules.http.request import Request
    from iii.modules.http.trigger_config import Endpoint
    from iii.net.decoding import DecodingProcesses
    from iii.protocol.errors import InvocationError


class RunningHandler:
    """Notes what happens, and wakes the one coroutine that waits for it.

    Attributes:
        done: the call is over, with a result, with an error, or with neither.
        result: JSON as it came, or the answer that a large one was found to be.
        body: once the function reads it.
        response: once the function writes one.
        changed: woken at each of these.
    """

    __slots__ = (
        "_call",
        "_cancels",
        "_client",
        "_content",
        "_decoding",
        "_engine",
        "_failed_late",
        "_left",
        "_loop",
        "_request",
        "_task",
        "body",
        "changed",
        "done",
        "error",
        "request_ref",
        "response",
        "response_ref",
        "result",
    )  # fmt: skip

    def __init__(
        self, engine: Engine, decoding: DecodingProcesses, client: Client, content: bytes | None, request: Request
    ) -> None:
        """`content`: the body of the request; None if it is not read as a whole, but flows through the channel."""
        self._loop = asyncio.get_running_loop()
        self._engine = engine
        self._decoding = decoding
        self._client = client
        self._content = content
        self._request = request
        self.changed = Wakeup(self._loop)
        self._task: asyncio.Task[None] | None = None  # carries the body, or watches the client
        self._left = False  # the client
        self._call: Invocation | None = None
        self._cancels = False
        self._failed_late: Callable[[InvocationError], object] | None = None
        self.done = False
        self.result: bytes | Answer | None = None
        self.error: InvocationError | None = None
        self.body: RequestBody | None = None
        self.response: ResponseStream | None = None
        self.request_ref = engine.channels.promise("read", self._body_wanted)
        self.response_ref = engine.channels.promise("write", self._response_opened)

    def call(self, endpoint: Endpoint, payload: bytes) -> None:
        """Once; the function may answer within."""
        self._cancels = endpoint.cancel_on_disconnect
        if endpoint.observed is not None:
            trace = Trace(self._request.traceparent, self._request.baggage)
            self._call = endpoint.observed.call(payload, self._answered, trace)
            return
        self._call = self._engine.router.call(
            endpoint.function_id,
            endpoint.namespace,
            payload,
            self._answered,
            metadata=endpoint.metadata,
            traceparent=self._request.traceparent,
            baggage=self._request.baggage,
        )

    # -- what has happened ----------------------------------------------------------------------------------------

    def has_outcome(self) -> bool:
        return self.done or self.streams()

    def streams(self) -> bool:
        """The head of a streamed response is final."""
        return self.response is not None and self.response.is_committed()

    @property
    def returned_nothing(self) -> bool:
        return self.done and self.result is None and self.error is None

    @property
    def reached_no_worker(self) -> bool:
        return self._call is not None and self._call.runner is None

    @property
    def awaits_client(self) -> bool:
        """The function reads the body, and the client does not send on."""
        return self.body is not None and self.body.awaits_client

    def raise_if_client_left(self) -> None:
        """Raises ClientGone."""
        if self._left:
            raise ClientGone

    # -- what is to happen ----------------------------------------------------------------------------------------

    def watch_client(self) -> None:
        """Notice when it leaves. Whoever carries its body does so anyway; a body that nobody reads hides it."""
        if self._task is None and self._content is not None:
            self._task = self._loop.create_task(self._watch())

    def give_up(self) -> None:
        """Its time is over: it is cancelled when it is closed (P7)."""
        self._cancels = True

    def leave_running(self, failed: Callable[[InvocationError], object]) -> None:
        """The response is complete; a failure of the function would still be one, though no client can be told."""
        self._call, self._content, self._failed_late = None, b"", failed

    async def drain(self) -> None:
        """Read what the client still sends, within limits: one that is cut off while it sends may lose the answer."""
        if self.body is None:
            await self._client.drain()
            return
        self.body.discard()
        try:
            async with asyncio.timeout(REST_OF_BODY_S):
                while not (self.body.at_end or self._left):
                    await self.changed.wait()
        except TimeoutError:
            pass

    def close(self) -> None:
        """Let go of the call, the channels and the client; it runs on unless its time is over or its route cancels it (P11)."""
        if self._task is not None:
            self._task.cancel()
        if self._call is not None:
            self._call.withdraw(self._cancels)
        self._engine.channels.forget(self.request_ref.channel_id)
        self._engine.channels.forget(self.response_ref.channel_id)

    # -- callbacks ------------------------------------------------------------------------------------------------

    def _body_wanted(self, channel: Channel) -> None:
        self.body = RequestBody(channel, self._client, self._loop, self.changed.wake)
        if self._content is not None:
            self.body.put_whole(self._content)
        else:
            self._task = self._loop.create_task(self._watch(self.body))

    def _response_opened(self, channel: Channel) -> None:
        self.response = ResponseStream(channel, self.changed.wake)
        self.changed.wake()

    def _answered(self, result: bytes | None, error: InvocationError | None) -> None:
        if error is not None and self._failed_late is not None:
            self._failed_late(error)
        self.error = error
        if result is not None and len(result) > LARGE_BYTES:
            self._decoding.do(
                answer_parts, result, lambda answer: self._returned(answer or invalid_head(self._request)), answer_from
            )
        else:
            self._returned(result)

    def _returned(self, result: bytes | Answer | None) -> None:
        self.result = result
        self.done = True
        self.changed.wake()

    async def _watch(self, body: RequestBody | None = None) -> None:
        """Carry the body if it is not here yet, then notice when the client leaves."""
        with suppress(ClientGone):
            if body is not None:
                await body.carry()
            await self._client.left()
        self._left = True
        self.changed.wake()
