"""A response that a handler writes into its channel: sent on as it comes, without a limit of time (03 §A6)."""

from __future__ import annotations

import asyncio
import math
from http import HTTPStatus
from typing import TYPE_CHECKING, NoReturn

from iii.modules.http.answer import Answer
from iii.modules.http.failure import HANDLER_FAILED
from iii.modules.http.headers import without_content_type, without_length
from iii.modules.http.result import NO_BODY

if TYPE_CHECKING:
    from iii.modules.http.client import Client
    from iii.modules.http.failure import Failures
    from iii.modules.http.handler import RunningHandler
    from iii.modules.http.response_stream import ResponseStream
    from iii.protocol.errors import InvocationError

FAILED_STREAM_GRACE_S = 2.0  # Time in which a handler that failed may still end what it was streaming.
ABORT_GRACE_S = 0.5  # for the reason why a worker aborted what it was streaming, which comes by another way
_LENGTHLESS = (HTTPStatus.NO_CONTENT, HTTPStatus.RESET_CONTENT)


class StreamCut(Exception):
    """A streamed response ended before its end: the connection is to be aborted, so that it never looks complete."""


class StreamedResponse:
    """First its `head`, then `send`."""

    __slots__ = ("_client", "_failures", "_function_id", "_handler", "_loop", "_response")

    def __init__(
        self, handler: RunningHandler, response: ResponseStream, client: Client, failures: Failures, function_id: str
    ) -> None:
        self._handler = handler
        self._response = response
        self._client = client
        self._failures = failures
        self._function_id = function_id
        self._loop = asyncio.get_running_loop()

    @property
    def head(self) -> Answer:
        head = self._response.head
        lengthless = head.status in _LENGTHLESS
        return Answer(
            head.status, without_content_type(without_length(head.headers)) if lengthless else head.headers, b""
        )

    async def send(self, method: str) -> None:
        """The body, if a response to that method has one.

        Raises:
            StreamCut: the handler died, failed without closing it, or wrote another length than it had declared.
            ClientGone: nobody is there any more.
        """
        head = self._response.head
        if method != "HEAD" and head.status not in NO_BODY:
            declared = head.length
            sent = await self._send_pieces()
            if declared is not None and declared != sent:
                self._cut(f"content-length is {declared}, but {sent} bytes were written")
            if self._handler.error is not None:
                self._failed(self._handler.error)
            elif not self._handler.done:
                self._handler.leave_running(self._failed)
        await self._client.end()

    async def _send_pieces(self) -> int:
        """Until the handler closes its channel; how many bytes. Raises StreamCut, ClientGone."""
        handler, response, client = self._handler, self._response, self._client
        handler.watch_client()
        until, sent = math.inf, 0
        while True:
            while (piece := response.next_piece()) is not None:
                await client.write(piece)
                sent += len(piece)
                handler.raise_if_client_left()  # before the next one: what nobody receives is taken without end
            handler.raise_if_client_left()
            if response.ended:
                return sent
            if response.aborted:
                await self._end_of_call()
                self._cut("the worker did not complete the response")
            if self._loop.time() >= until:
                self._cut("it failed")
            if handler.error is not None and until == math.inf:
                until = self._loop.time() + FAILED_STREAM_GRACE_S
            await handler.changed.wait(until)

    async def _end_of_call(self) -> None:
        """Wait a moment for how the handler's call ended."""
        until = self._loop.time() + ABORT_GRACE_S
        while not self._handler.done and self._loop.time() < until:
            await self._handler.changed.wait(until)

    def _cut(self, why: str) -> NoReturn:
        """Raises StreamCut."""
        error = self._handler.error
        self._failures.of_stream(self._function_id, why if error is None else error.message, error)
        raise StreamCut

    def _failed(self, error: InvocationError) -> None:
        self._failures.of_function(self._function_id, error, HANDLER_FAILED)
