"""One request that matched a route, up to its response: whole, or the head of a streamed one (03 §A5, §A6)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING

from iii.modules.http.answer import JSON_TYPE, Answer, Answered, body_too_late, too_large, too_late, unavailable
from iii.modules.http.body_memory import BodyEvicted
from iii.modules.http.client import BodyTooLarge, Client, ClientGone
from iii.modules.http.failure import HANDLER_FAILED, Failures, invalid_head
from iii.modules.http.gate import Gate
from iii.modules.http.handler import RunningHandler
from iii.modules.http.json_body import LARGE_BYTES, json_or_null, judged
from iii.modules.http.request_object import request_object
from iii.modules.http.result import answer_of
from iii.modules.http.streamed import StreamedResponse
from iii.protocol.errors import PayloadTooLarge
from iii.protocol.media_types import is_json

if TYPE_CHECKING:
    from iii.engine.channel_refs import ChannelRef
    from iii.engine.engine import Engine
    from iii.modules.http.request import Request
    from iii.modules.http.settings import Settings
    from iii.modules.http.trigger_config import Endpoint
    from iii.net.decoding import DecodingProcesses

NULL_GRACE_S = 2.0  # a handler that returned nothing may still open the response channel (03 §A6.2)
_WATCH_AFTER_S = 1.0  # most calls end sooner: only then is it worth watching whether the client is still there
_UPLOAD_WATCH_S = 0.1  # how long a function may wait for its client and keep others from their turn


class Exchange:
    """Receives, waits for its turn, asks middleware and condition, calls the handler: `response`, then `close`."""

    __slots__ = (
        "_begun_at", "_client", "_content", "_decoding", "_endpoint", "_engine", "_handler", "_has_slot", "_held_bytes", "_json",
        "_loop", "_path_params", "_request", "_settings",
    )  # fmt: skip

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        request: Request,
        endpoint: Endpoint,
        path_params: dict[str, str],
        client: Client,
        decoding: DecodingProcesses,
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._request = request
        self._endpoint = endpoint
        self._path_params = path_params
        self._client = client
        self._decoding = decoding
        self._loop = asyncio.get_running_loop()
        self._content: bytes | None = b""  # of the request; None: it is not read as a whole
        self._json = b"null"  # what handlers get of it
        self._held_bytes = 0  # of the memory for bodies
        self._has_slot = False
        self._begun_at = 0.0
        self._handler: RunningHandler | None = None

    async def response(self) -> Answer | StreamedResponse:
        """Raises ClientGone, and Answered where no handler answers."""
        if self._request.has_body:  # before there is a slot: those who send slowly keep none (http M4)
            await self._receive()
        if not self._settings.slots.take():
            await self._turn()
        self._has_slot = True
        self._begun_at = self._loop.time()  # the clock of the response starts with its turn (03 §A11)
        try:
            condition, middleware = self._endpoint.condition_function_id, self._endpoint.middleware_function_ids
            if condition is not None or middleware or self._settings.middleware:
                await self._pass_gate()
            handler = self._call_handler()
            in_time = await self._until(handler, handler.has_outcome)  # what comes first decides (03 §A6.2)
            if in_time and handler.returned_nothing:
                await self._until(handler, lambda: handler.response is not None, self._loop.time() + NULL_GRACE_S)
                if handler.response is None:
                    return Answer(200, [JSON_TYPE], b"{}")
                in_time = await self._until(handler, handler.streams)
            if not in_time:
                handler.give_up()
                return body_too_late() if handler.awaits_client else too_late()
            return self._response_of(handler)
        finally:
            self._give_back_slot()

    async def drain(self) -> None:
        """Read what the client still sends, within limits."""
        await (self._client.drain() if self._handler is None else self._handler.drain())

    def close(self) -> None:
        """Let go of everything; the function runs on, unless its time is over or its route cancels it."""
        if self._handler is not None:
            self._handler.close()
        if self._held_bytes:
            self._settings.bodies.release(self._held_bytes)

    # -- the request ----------------------------------------------------------------------------------------------

    async def _receive(self) -> None:
        """Read a JSON body as a whole. Raises ClientGone, Answered."""
        settings, request = self._settings, self._request
        if not is_json(request.headers.get("content-type")):
            self._content = None  # it flows through the channel (03 §A5.1)
            return
        if request.content_length > settings.json_limit_bytes:
            raise Answered(too_large())
        try:
            self._content = content = await settings.bodies.read(self._client, settings.json_limit_bytes)
        except TimeoutError:
            raise Answered(body_too_late()) from None
        except BodyTooLarge:
            raise Answered(too_large()) from None
        except BodyEvicted:
            raise Answered(unavailable("Too many request bodies in memory; retry later")) from None
        self._held_bytes = len(content)
        if len(content) > LARGE_BYTES:
            self._json = content if await self._decoding.ask(judged, content) else b"null"
        elif content:
            self._json = json_or_null(content)

    async def _turn(self) -> None:
        """Wait for a slot, no longer than the client does where that can be seen. Raises ClientGone."""
        slots = self._settings.slots
        if self._content is None:
            await slots.wait()
            return
        turn, left = asyncio.ensure_future(slots.wait()), asyncio.ensure_future(self._client.left())
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

    def _give_back_slot(self) -> None:
        """Others may begin: the response has begun, or the function waits for what the client is still to send."""
        if self._has_slot:
            self._has_slot = False
            self._settings.slots.give_back()

    async def _pass_gate(self) -> None:
        """Raises Answered."""
        settings, endpoint = self._settings, self._endpoint
        gate = Gate(
            self._engine, endpoint.namespace, self._request, self._path_params, self._failures,
            self._begun_at + settings.timeout_s,
        )  # fmt: skip
        for function_id in settings.middleware:
            await gate.pass_global_middleware(function_id)
        if endpoint.condition_function_id is not None:
            await gate.check_condition(endpoint.condition_function_id, self._request_object(None, None))
        for function_id in endpoint.middleware_function_ids:
            await gate.pass_middleware(function_id)

    def _request_object(self, request_ref: ChannelRef | None, response_ref: ChannelRef | None) -> bytes:
        request = self._request
        return request_object(
            api_path=self._endpoint.api_path,
            method=request.method,
            path_params=self._path_params,
            query=request.query,
            headers=request.headers,
            body=self._json,
            request_ref=request_ref,
            response_ref=response_ref,
        )

    # -- the response ---------------------------------------------------------------------------------------------

    def _call_handler(self) -> RunningHandler:
        request = self._request
        handler = self._handler = RunningHandler(self._engine, self._decoding, self._client, self._content, request)
        if self._content is None and self._settings.body_limit_bytes is not None:
            # a body that turns out too large is refused even if nobody reads it
            self._engine.channels.keep(handler.request_ref.channel_id)
        payload = self._request_object(handler.request_ref, handler.response_ref)
        if self._endpoint.observed is not None:
            self._endpoint.observed.check(payload)
        handler.call(self._endpoint, payload)
        return handler

    def _response_of(self, handler: RunningHandler) -> Answer | StreamedResponse:
        function_id, error, result = self._endpoint.function_id, handler.error, handler.result
        if handler.response is not None and handler.streams():
            return StreamedResponse(handler, handler.response, self._client, self._failures, function_id)
        if error is not None:
            if error.code == PayloadTooLarge.code and handler.reached_no_worker:
                return too_large()
            if self._endpoint.observed is not None and (refusal := self._endpoint.observed.refusal(error)) is not None:
                return refusal
            return self._failures.of_function(function_id, error, HANDLER_FAILED)
        assert result is not None
        return result if isinstance(result, Answer) else answer_of(result) or invalid_head(self._request)

    async def _until(self, handler: RunningHandler, happened: Callable[[], bool], limit: float = inf) -> bool:
        """Look after the client meanwhile. False: there is no more time. Raises ClientGone, Answered."""
        timeout_s, look_at = self._settings.timeout_s, self._begun_at + self._watch_after_s
        while not happened():
            handler.raise_if_client_left()
            deadline = self._begun_at + timeout_s
            if (body := handler.body) is not None:
                if body.too_large:
                    raise Answered(too_large())
                # the clock stands while the request is still being received (http M5)
                deadline = max(deadline, body.moved_at + timeout_s)
            now = self._loop.time()
            if now >= deadline or now >= limit:
                return False
            if now >= look_at:
                handler.watch_client()
                if handler.awaits_client:
                    self._give_back_slot()
                look_at = now + self._watch_after_s if self._content is None else inf
            await handler.changed.wait(min(deadline, look_at, limit))
        return True

    @property
    def _watch_after_s(self) -> float:
        return _UPLOAD_WATCH_S if self._content is None and self._has_slot else _WATCH_AFTER_S

    @property
    def _failures(self) -> Failures:
        name = self._settings.request_id_header
        request_id = None if name is None else self._request.headers.get(name)
        return Failures(self._settings.expose_errors, self._request, request_id, self._endpoint.owner)
