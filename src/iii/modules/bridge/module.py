"""`iii-bridge`: a client of another engine, which forwards calls to it and serves its calls (07 §6.2)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from typing import Annotated, ClassVar

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from iii.engine.builtin import BUILTIN_FAILED
from iii.engine.builtin_request import RequestDecoder
from iii.engine.engine import Engine
from iii.engine.functions import Deliver, Function
from iii.engine.invocation import Invocation, Trace
from iii.engine.module import Module
from iii.engine.observing.origin import trace_of
from iii.engine.schema import late_schema
from iii.modules.bridge.config import BridgeConfig, ForwardRule
from iii.protocol.errors import DeserializationFailed, InvocationError
from iii.protocol.names import DEFAULT_NAMESPACE
from iii.protocol.start_failure import StartFailure
from iii.protocol.task_set import TaskSet
from iii.remote.codes import BRIDGE_ERROR
from iii.remote.config import CALL_TIMEOUT_MS
from iii.remote.engine import LinkFailed, RemoteEngine, name_on_remote
from iii.remote.hops import across

INVOKE, INVOKE_ASYNC = "bridge.invoke", "bridge.invoke_async"


class InvokeRequest(Struct):
    """What both functions take."""

    function_id: Annotated[
        str, Meta(min_length=1, description="Function of the other engine, in its namespace `default`.")
    ]
    data: Annotated[Raw | UnsetType, Meta(description="Its payload; null by default.")] = UNSET
    timeout_ms: Annotated[int, Meta(ge=0, description="Longest wait for its answer, in milliseconds.")] = (
        CALL_TIMEOUT_MS
    )


class Bridge(Module):
    name = "iii-bridge"
    description = "Connect to another iii instance over iii-sdk to expose and forward functions."
    Config: ClassVar = BridgeConfig

    def __init__(self, engine: Engine, config: BridgeConfig | None = None, instance: str | None = None) -> None:
        super().__init__(engine, instance)
        self.config = config or BridgeConfig()
        self._remote: RemoteEngine | None = None
        self._tasks = TaskSet(BUILTIN_FAILED)

    @property
    def disconnected(self) -> str | None:
        return None if self._remote is None else self._remote.disconnected

    def functions(self) -> Iterator[Function]:
        """`bridge.invoke`, `bridge.invoke_async` of the first bridge, and what it forwards."""
        if self.instance == self.name:
            yield self._invoking(INVOKE, self._invoke, "Call a function of the other engine.")
            yield self._invoking(
                INVOKE_ASYNC, self._invoke_async, "Call a function of the other engine without an answer."
            )
        for rule in self.config.forward:
            yield Function(
                DEFAULT_NAMESPACE, rule.local_function, self, partial(self._forward, rule),
                description=f"Forward to remote function {rule.remote_function}",
            )  # fmt: skip

    def _invoking(self, function_id: str, deliver: Deliver, description: str) -> Function:
        request = late_schema(InvokeRequest)
        return Function(DEFAULT_NAMESPACE, function_id, self, deliver, description=description, request_format=request)

    async def start(self) -> None:
        """Connect in the background: the other engine may be down. Raises StartFailure."""
        number = self.instance.removeprefix(self.name)
        name = self.config.worker_name or name_on_remote(f"iii-bridge-client{number}")
        url = self.config.address()
        tls = None if self.config.tls is None else self.config.tls.options()
        try:
            remote = self._remote = RemoteEngine(url, name, "Bridge of another engine.", tls=tls)
        except ValueError as error:
            if str(error).startswith("tls:"):
                raise StartFailure(str(error), ("tls",)) from None
            raise StartFailure(f"III_URL: {error}") from None
        for rule in self.config.expose:
            remote.offer(
                rule.remote_function or rule.local_function,
                partial(self._serve, rule.local_function),
                f"{rule.local_function} of another engine",
            )
        remote.open()

    async def quiet(self) -> None:
        """The other engine calls no more; calls to it are still made."""
        if self._remote is not None:
            await self._remote.finish()

    async def stop(self) -> None:
        """Leave."""
        if self._remote is not None:
            await self._remote.close()
        self._tasks.cancel()
        await self._tasks.wait()

    # -- calls of the other engine --------------------------------------------------------------------------------

    async def _serve(self, function_id: str, data: bytes, trace: Trace) -> bytes:
        answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        def reply(result: bytes | None, error: InvocationError | None) -> None:
            if answered.done():
                return
            if error is None:
                answered.set_result(b"null" if result is None else result)
            else:
                answered.set_exception(error)

        invocation = self.engine.router.call(
            function_id, None, data, reply, traceparent=trace.traceparent, baggage=trace.baggage
        )
        try:
            return await answered
        except asyncio.CancelledError:
            invocation.withdraw(cancels=True)
            raise

    # -- calls to it ----------------------------------------------------------------------------------------------

    def _forward(self, rule: ForwardRule, invocation: Invocation, function: Function) -> None:
        self._tasks.spawn(self._call(invocation, rule.remote_function, bytes(invocation.data), rule.timeout_ms))

    def _invoke(self, invocation: Invocation, function: Function) -> None:
        request = _read(_decode_invoke, invocation)
        if request is not None:
            self._tasks.spawn(self._call(invocation, request.function_id, _sent(request), request.timeout_ms))

    def _invoke_async(self, invocation: Invocation, function: Function) -> None:
        request = _read(_decode_invoke_async, invocation)
        if request is not None:
            self._tasks.spawn(self._tell(invocation, request.function_id, _sent(request)))

    async def _call(self, invocation: Invocation, function_id: str, data: bytes, timeout_ms: int) -> None:
        try:
            invocation.complete(
                await self._other.call(
                    function_id,
                    data,
                    timeout_ms=timeout_ms,
                    metadata=_copied(invocation.metadata),
                    trace=across(trace_of(invocation), function_id),
                )
            )
        except LinkFailed as error:
            invocation.refuse(BRIDGE_ERROR(str(error)))
        except InvocationError as error:
            invocation.refuse(error)
        except asyncio.CancelledError:
            invocation.refuse(BRIDGE_ERROR("the engine is stopping"))
            raise

    async def _tell(self, invocation: Invocation, function_id: str, data: bytes) -> None:
        try:
            await self._other.tell(function_id, data, across(trace_of(invocation), function_id))
        except LinkFailed as error:
            invocation.refuse(BRIDGE_ERROR(str(error)))
        except InvocationError as error:
            invocation.refuse(error)
        else:
            invocation.complete(b"null")

    @property
    def _other(self) -> RemoteEngine:
        """Raises LinkFailed: nobody can have asked before the module has started but another module."""
        if self._remote is None:
            raise LinkFailed("not connected yet")
        return self._remote


_decode_invoke = RequestDecoder(INVOKE, InvokeRequest, InvokeRequest, {}).decode
_decode_invoke_async = RequestDecoder(INVOKE_ASYNC, InvokeRequest, InvokeRequest, {}).decode


def _read(decode: Callable[[bytes | Raw | memoryview], InvokeRequest], invocation: Invocation) -> InvokeRequest | None:
    """None: it is answered."""
    try:
        request = decode(invocation.data)
    except DeserializationFailed as error:
        detail = error.message.partition(": ")[2]
        invocation.refuse(InvocationError(error.code, f"Failed to parse invoke input: {detail}"))
        return None
    except InvocationError as error:
        invocation.refuse(error)
        return None
    return request


def _sent(request: InvokeRequest) -> bytes:
    return b"null" if request.data is UNSET else bytes(request.data)


def _copied(metadata: bytes | Raw | memoryview) -> bytes | Raw:
    return bytes(metadata) if isinstance(metadata, memoryview) else metadata
