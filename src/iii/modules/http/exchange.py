"""One request that matched a route, from its acceptance to the end of its response (03 §A5, §A6)."""

from __future__ import annotations

import asyncio
import logging
import math
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from iii.engine.bindings import Binding
from iii.modules.http.answer import Answer
from iii.modules.http.body_memory import BodyEvicted
from iii.modules.http.client import DRAIN_S, BodyTooLarge, Client, ClientGone
from iii.modules.http.failure import Failures, body_too_late, internal_error, too_large, too_late, unavailable
from iii.modules.http.gate import Gate, Refused
from iii.modules.http.json_body import LARGE_BYTES, json_or_null, judged
from iii.modules.http.request_body import RequestBody
from iii.modules.http.request_object import request_object
from iii.modules.http.response_stream import ResponseStream
from iii.modules.http.result import answer_from, answer_of, answer_parts
from iii.modules.http.trigger_config import HttpTriggerConfig
from iii.modules.http.wakeup import Wakeup
from iii.protocol.errors import InvocationError
from iii.protocol.media_types import is_json

if TYPE_CHECKING:
    from iii.engine.channels import Channel, ChannelRef
    from iii.engine.engine import Engine
    from iii.engine.invocation import Invocation
    from iii.modules.http.request import Request
    from iii.modules.http.routes import Match
    from iii.modules.http.settings import Settings
    from iii.modules.http.slots import Slots
    from iii.modules.http.stream_head import StreamHead
    from iii.net.elsewhere import Elsewhere

logger = logging.getLogger(__name__)

NULL_GRACE_S = 2.0  # a handler that returned nothing may still open the response channel (03 §A6.2)
FAILED_STREAM_GRACE_S = 2.0  # a handler that failed may still close what it was streaming
ABORT_GRACE_S = 0.5  # for the reason why a worker aborted what it was streaming, which comes by another way
_WATCH_AFTER_S = 1.0  # most calls end sooner: only then is it worth watching whether the client is still there
_UPLOAD_WATCH_S = 0.1  # how long a function may wait for its client and keep others from their turn
_NO_HEAD = "the response head is not valid in HTTP, or it exceeds the limits"
_NULL_RESULT = Answer(200, [(b"content-type", b"application/json")], b"{}")


class Endpoint(NamedTuple):
    """What a route leads to."""

    binding: Binding
    config: HttpTriggerConfig


class StreamCut(Exception):
    """A streamed response ended before its end: the connection is to be aborted, so that it never looks complete."""


class Exchange:
    """Calls middleware, condition and handler, and finds out which kind of response it is.

    First `receive`, then `begin` with a slot, then `stream` if that says so, and `close` whatever happened.
    """

    __slots__ = (
        "_answer", "_body", "_body_task", "_call", "_channel_ids", "_client", "_content", "_deadline", "_done", "_elsewhere",
        "_endpoint", "_engine", "_error", "_gone", "_held_bytes", "_json", "_loop", "_match", "_null_until", "_request",
        "_response", "_result", "_settings", "_slots", "_streams", "_timer", "_wakeup",
    )  # fmt: skip

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        request: Request,
        match: Match[Endpoint],
        client: Client,
        elsewhere: Elsewhere,
    ) -> None:
        self._engine = engine
        self._elsewhere = elsewhere
        self._settings = settings
        self._request = request
        self._match = match
        self._endpoint = match.route.target
        self._client = client
        self._slots: Slots | None = None  # while one of them is taken
        self._held_bytes = 0  # of a JSON body
        self._loop = asyncio.get_running_loop()
        self._deadline = math.inf  # of the response's head, once it has begun
        self._wakeup = Wakeup(self._loop)
        self._channel_ids: tuple[str, ...] = ()  # of the request, of the response
        self._content: bytes | None = b""  # of the request; None: it is not read as a whole
        self._json = b"null"  # what handlers get of it
        self._body: RequestBody | None = None  # once the function reads it
        self._body_task: asyncio.Task[None] | None = None
        self._gone = False  # the client
        self._response: ResponseStream | None = None  # once the function writes one
        self._timer: asyncio.TimerHandle | None = None
        self._null_until: float | None = None  # the handler returned nothing: how long a writer may still come
        self._call: Invocation | None = None
        self._done = False  # the handler's call, with:
        self._result: bytes | None = None
        self._answer: Answer | None = None  # of a large result
        self._error: InvocationError | None = None
        self._streams = False  # the head of a streamed response was sent

    async def receive(self) -> Answer | None:
        """Read a JSON body as a whole; the answer if that is not possible.

        Before there is a slot: those who send slowly keep none (http M4). Raises ClientGone.
        """
        settings, request = self._settings, self._request
        if not is_json(request.headers.get("content-type")):
            self._content = None  # it flows through the channel (03 §A5.1)
            return None
        if request.content_length > settings.json_limit_bytes:
            return too_large()
        try:
            self._content = await settings.bodies.read(self._client, settings.json_limit_bytes)
        except TimeoutError:
            return body_too_late()
        except BodyTooLarge:
            return too_large()
        except BodyEvicted:
            return unavailable("Too many request bodies at once")
        self._held_bytes = size = len(self._content)
        if size > LARGE_BYTES:
            self._json = self._content if await self._elsewhere.ask(judged, self._content) else b"null"
        elif size:
            self._json = json_or_null(self._content)
        return None

    def take_slot(self) -> bool:
        """Take one now; False: `wait_for_slot`."""
        slots = self._settings.slots
        if slots.take():
            self._slots = slots
            return True
        return False

    async def wait_for_slot(self) -> None:
        """Wait for a turn, no longer than the client does where that can be seen. Raises ClientGone."""
        slots = self._settings.slots
        await (slots.wait() if self._content is None else _turn_or_gone(slots, self._client))
        self._slots = slots

    def give_back_slot(self) -> None:
        """Others may begin: the response has begun, or the function waits for what the client is still to send."""
        slots, self._slots = self._slots, None
        if slots is not None:
            slots.give_back()

    async def begin(self) -> Answer | None:
        """Everything up to the head of the response: the whole answer, or None for a streamed one.

        Raises ClientGone.
        """
        endpoint, settings = self._endpoint, self._settings
        now = self._loop.time()
        self._deadline = now + settings.timeout_s
        condition, middleware = endpoint.config.condition_function_id, endpoint.config.middleware_function_ids
        try:
            if condition is None and not middleware and not settings.middleware:  # nearly all
                return await self._handle(now)
            gate = Gate(
                self._engine.router, endpoint.binding.namespace, self._request, self._failures, self._remaining_s
            )
            for function_id in settings.middleware:
                await gate.pass_global_middleware(function_id, self._match.path_params)
            if condition is not None:
                await gate.check_condition(condition, self._request_object(None, None))
            for function_id in middleware:
                await gate.pass_middleware(function_id, self._match.path_params)
            return await self._handle(self._loop.time())
        except Refused as refused:
            return refused.answer

    @property
    def _failures(self) -> Failures:
        name = self._settings.request_id_header
        request_id = None if name is None else self._request.headers.get(name)
        return Failures(self._settings.expose_errors, request_id, self._endpoint.binding)

    @property
    def head(self) -> StreamHead:
        """Of a streamed response."""
        assert self._response is not None
        return self._response.head

    async def stream(self) -> None:
        """Send the body of a streamed response, without a limit of time.

        Raises:
            StreamCut: the handler died, failed without closing it, or wrote another length than it had declared.
            ClientGone: nobody is there any more.
        """
        response, client = self._response, self._client
        assert response is not None
        self._look_again_at(None)
        self._deadline = math.inf
        self._streams = True
        self._watch_client()
        declared, sent = response.head.length, 0
        while True:
            while (piece := response.next_piece()) is not None:
                await client.write(piece)
                sent += len(piece)
                self._raise_if_gone()  # before the next one: what nobody receives is taken without end
            self._raise_if_gone()
            if response.ended:
                break
            if response.aborted:
                await self._outcome()
                self._cut("its worker did not complete it")
            if self._overdue():
                self._cut("it failed")
            if self._error is not None and self._deadline == math.inf:
                self._deadline = self._loop.time() + FAILED_STREAM_GRACE_S
                self._look_again_at(self._deadline)
            await self._wakeup.wait()
        if declared is not None and declared != sent:
            self._cut(f"its content-length is {declared}, but {sent} bytes were written")
        if self._error is not None:
            self._failures.of_function(self._endpoint.binding.function_id, self._error)
        elif not self._done:  # its failure would still be one, though nobody can be told any more
            self._call, self._content, self._json = None, b"", b"null"
        await client.end()

    async def _outcome(self) -> None:
        """Wait a moment for how the handler's call ended."""
        self._deadline = self._loop.time() + ABORT_GRACE_S
        self._look_again_at(self._deadline)
        while not (self._done or self._overdue()):
            await self._wakeup.wait()

    def _cut(self, why: str) -> NoReturn:
        """Raises StreamCut."""
        error = self._error
        self._failures.of_stream(self._endpoint.binding.function_id, why if error is None else error.message, error)
        raise StreamCut

    async def drain(self) -> None:
        """Read what the client still sends, within limits: one that is cut off while it sends may lose the answer."""
        if self._body is None:
            if not self._client.body_ended:
                await self._client.drain()
            return
        self._body.discard()
        try:
            async with asyncio.timeout(DRAIN_S):
                while not self._body.over:
                    await self._wakeup.wait()
        except TimeoutError:
            pass

    def close(self) -> None:
        """Let go of the call, the channels and the client; the function runs on."""
        if self._timer is not None:
            self._timer.cancel()
        if self._body_task is not None:
            self._body_task.cancel()
        if self._call is not None:
            self._call.withdraw()
        for channel_id in self._channel_ids:
            self._engine.channels.forget(channel_id)
        self._settings.bodies.release(self._held_bytes)

    def _request_object(self, request_ref: ChannelRef | None, response_ref: ChannelRef | None) -> bytes:
        request, route = self._request, self._match.route
        return request_object(
            api_path=route.api_path,
            method=request.method,
            path_params=self._match.path_params,
            query=request.query,
            headers=request.headers,
            body=self._json,
            request_ref=request_ref,
            response_ref=response_ref,
        )

    # -- the handler ----------------------------------------------------------------------------------------------

    async def _handle(self, now: float) -> Answer | None:
        """Call the function; what comes first decides (03 §A6.2)."""
        self._start_call(now)
        while True:
            if self._response is not None and self._response.is_committed():
                return None
            if self._error is not None:
                return self._failures.of_function(self._endpoint.binding.function_id, self._error, self._call)
            if self._done and (answer := self._buffered()) is not None:
                return answer
            self._raise_if_gone()
            if self._body is not None and self._body.too_large:
                return too_large()
            if self._overdue():
                return body_too_late() if self._awaits_client else too_late()
            await self._wakeup.wait()

    def _start_call(self, now: float) -> None:
        channels = self._engine.channels
        inbound = channels.promise("read", self._body_wanted)
        outbound = channels.promise("write", self._response_begun)
        self._channel_ids = (inbound.channel_id, outbound.channel_id)
        if self._content is None and self._settings.body_limit_bytes is not None:
            channels.keep(inbound.channel_id)  # a body that turns out too large is refused even if nobody reads it
        binding, request = self._endpoint.binding, self._request
        self._look_again_at(min(self._deadline, now + self._watch_after_s))
        self._call = self._engine.router.call(
            binding.function_id,
            binding.namespace,
            self._request_object(inbound, outbound),
            self._answered,
            metadata=binding.metadata,
            traceparent=request.traceparent,
            baggage=request.baggage,
        )

    def _body_wanted(self, channel: Channel) -> None:
        self._body = RequestBody(channel, self._client, self._loop, self._wakeup.wake, self._body_moved)
        if self._content is not None:
            self._body.put_whole(self._content)
        else:
            self._body_task = self._loop.create_task(self._body.carry())

    def _response_begun(self, channel: Channel) -> None:
        self._response = ResponseStream(channel, self._wakeup.wake)

    def _answered(self, result: bytes | None, error: InvocationError | None) -> None:
        if self._call is None and self._streams and error is not None:
            self._failures.of_function(self._endpoint.binding.function_id, error)
        self._error = error
        if result is not None and len(result) > LARGE_BYTES:
            self._elsewhere.do(answer_parts, result, self._made, answer_from)
            return
        self._result = result
        self._done = True
        self._wakeup.wake()

    def _made(self, answer: Answer | None) -> None:
        """Out of a large result."""
        self._answer = answer or internal_error(_NO_HEAD)
        self._done = True
        self._wakeup.wake()

    def _buffered(self) -> Answer | None:
        """The answer that the handler's result is; None while a writer may still come, or is at work."""
        if self._answer is not None:
            return self._answer
        if self._result is not None:
            return answer_of(self._result) or internal_error(_NO_HEAD)
        now = self._loop.time()
        if self._null_until is None:
            self._null_until = min(self._deadline, now + NULL_GRACE_S)
            self._look_again_at(self._null_until)
        if self._response is not None or now < self._null_until:
            return None
        return _NULL_RESULT

    # -- time and the client --------------------------------------------------------------------------------------

    def _remaining_s(self) -> float:
        return max(0.0, self._deadline - self._loop.time())

    @property
    def _awaits_client(self) -> bool:
        return self._body is not None and self._body.awaits_client

    def _body_moved(self) -> None:
        """The clock of the response stands while its request is still being received (http M5)."""
        if not self._streams:
            self._deadline = self._loop.time() + self._settings.timeout_s

    def _overdue(self) -> bool:
        return self._loop.time() >= self._deadline

    def _look_again_at(self, when: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if when is None else self._loop.call_at(when, self._look_again)

    def _look_again(self) -> None:
        self._watch_client()
        if self._awaits_client:
            self.give_back_slot()
        if not self._overdue():
            uploads = self._content is None and not self._streams
            soon = self._loop.time() + self._watch_after_s
            self._look_again_at(min(self._deadline, soon) if uploads else self._deadline)
        self._wakeup.wake()

    @property
    def _watch_after_s(self) -> float:
        return _UPLOAD_WATCH_S if self._content is None and self._slots is not None else _WATCH_AFTER_S

    def _watch_client(self) -> None:
        """Notice when it leaves. Whoever carries its body does so anyway; a body that nobody reads hides it."""
        if self._body_task is None and self._content is not None:
            self._body_task = self._loop.create_task(self._watch())

    async def _watch(self) -> None:
        await self._client.left()
        self._gone = True
        self._wakeup.wake()

    def _raise_if_gone(self) -> None:
        if self._gone or (self._body is not None and self._body.gone):
            raise ClientGone


async def _turn_or_gone(slots: Slots, client: Client) -> None:
    """Wait for a slot, but no longer than the client does. Raises ClientGone."""
    turn, left = asyncio.ensure_future(slots.wait()), asyncio.ensure_future(client.left())
    try:
        await asyncio.wait((turn, left), return_when=asyncio.FIRST_COMPLETED)
        if left.done():
            raise ClientGone
    except (ClientGone, asyncio.CancelledError):
        if turn.done():
            slots.give_back()
        raise
    finally:
        turn.cancel()
        left.cancel()
