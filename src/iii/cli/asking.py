"""The connection of a command that only asks: it announces itself, calls, and leaves.

On the socket of the SDK, and without the rest of it, which takes as long to load as everything else that a command needs.
"""

from __future__ import annotations

import asyncio
import os
import platform
import re
from typing import TYPE_CHECKING, Any

import msgspec

from iii.cli.parser import CommandFailed
from iii.protocol.address import masked, without_secrets
from iii.protocol.close_codes import CloseCode
from iii.protocol.codec import Undecodable, encode, engine_message_decoder
from iii.protocol.errors import FunctionNotFound, InvocationTimeout
from iii.protocol.ids import new_id
from iii.protocol.json_text import BAD_JSON, mend_json
from iii.protocol.messages import NULL, InvocationResult, RegistrationRejected, WorkerRegistered
from iii.protocol.names import CANCEL_INVOCATION, DEFAULT_NAMESPACE, LARGE_MESSAGES, REGISTER_WORKER
from iii.protocol.versions import COMPATIBILITY_LEVEL, PACKAGE_VERSION
from iii.protocol.wire_errors import UNKNOWN, error_from_wire
from iii.sdk.backlog import Backlog
from iii.sdk.engine_address import handshake_headers
from iii.sdk.link import CLOSE_S, EngineLink
from iii.sdk.outbox import Outgoing

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from iii.cli.address import Address
    from iii.sdk.client_tls import ClientTls
    from iii.sdk.in_process import ClientBox, ClientLink

WHERE = "Is the engine running at the given address and port?"
_OTHER_PORT = (
    "If something else answers there, such as its stream port: commands and workers connect to the worker port."
)
_decode_plain = msgspec.json.Decoder().decode


class EngineUnreachable(CommandFailed):
    """There is nobody, or nobody who lets us in, or the connection broke; text for people."""


class EngineSilent(CommandFailed):
    """No answer within the wait; text for people, its first sentence promised (07 §8.2)."""

    def __init__(self, explanation: str) -> None:
        super().__init__(f"Timed out waiting for the engine (no response within the timeout). {explanation}")


class Asking:
    """One connection, for as long as a command needs it: `async with Asking(address, command) as asking:`.

    Attributes:
        worker_id: who this command is, once the engine has said so.

    Entering and calling raise EngineUnreachable, or EngineSilent.
    """

    def __init__(self, address: Address, command: str) -> None:
        self.worker_id: str | None = None
        self._address = address
        self._url = address.url
        self._tls = _tls_of(address)
        self._shown = masked(address.url)
        self._timeout_ms = self._limit_ms = address.timeout_ms
        self._name = f"iii-cli:{command}:{platform.node()}:{os.getpid()}"  # unique (N8); `iii-cli:` is known (W3)
        self._loop = asyncio.get_running_loop()
        self._deadline = self._loop.time() + address.timeout_ms / 1000
        self._decode = engine_message_decoder().decode
        backlog = Backlog()
        self._link = EngineLink(self._connected, self._received, self._disconnected, backlog, self._loop.call_soon)
        self._outbox: ClientBox | None = None
        self._waiting: dict[str, asyncio.Future[InvocationResult]] = {}
        self._failure: EngineUnreachable | None = None  # once there is no connection any more
        self._refusal = ""  # what the engine said before it closed the connection
        self._announced = new_id()
        self._keep_alive: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        headers = handshake_headers(self._address.headers)
        try:
            async with asyncio.timeout_at(self._deadline):
                await self._link.open(self._url, headers, self._tls)
        except BaseException as error:  # of the system, of the library, or a cancel
            self._link.abandon()
            if not isinstance(error, Exception):
                raise
            if self._loop.time() >= self._deadline:
                raise EngineSilent(f"{WHERE} {_OTHER_PORT}") from None
            from iii.sdk.connect_failure import connect_failure

            refused = isinstance(error, ConnectionRefusedError)
            said = "connection refused" if refused else reason(connect_failure(error))
            said = without_secrets(said, self._url, headers)
            raise EngineUnreachable(f"cannot connect to {self._shown}: {said}. {WHERE}") from None
        self._timeout_ms = max(1, int((self._deadline - self._loop.time()) * 1000))
        self._keep_alive = self._loop.create_task(self._link.keep_alive())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._keep_alive is not None:
            self._keep_alive.cancel()
        self._link.close(CloseCode.NORMAL)
        try:
            async with asyncio.timeout(CLOSE_S):
                await self._link.over.wait()
        except TimeoutError:
            self._link.abort()

    async def __call__(
        self, function_id: str, payload: object, namespace: str | None = None, metadata: object = None
    ) -> Any:
        """The result. Raises InvocationError too."""
        call_id = new_id()
        call = {
            "type": "invokefunction", "function_id": function_id, "data": payload, "invocation_id": call_id,
            "timeout_ms": self._timeout_ms,
        }  # fmt: skip
        call |= {} if namespace is None else {"namespace": namespace}
        call |= {} if metadata is None else {"metadata": metadata}
        answered = self._waiting[call_id] = self._loop.create_future()
        try:
            self._say(call)
            async with asyncio.timeout(self._timeout_ms / 1000):
                answer = await answered
        except TimeoutError:
            raise self._silence(function_id) from None
        except asyncio.CancelledError:
            self._cancel(call_id)
            raise
        finally:
            del self._waiting[call_id]
        return self._result(answer, function_id, call_id)

    def _result(self, answer: InvocationResult, function_id: str, call_id: str) -> Any:
        if answer.error is not NULL and (told := _plain(answer.error)):
            error = error_from_wire(told, function_id, call_id)
            if isinstance(error, InvocationTimeout):
                raise self._silence(function_id)
            raise error
        return None if answer.result is NULL else _plain(answer.result)

    def _silence(self, function_id: str) -> EngineSilent:
        if self.worker_id is None:
            return EngineSilent(f"{WHERE} {_OTHER_PORT}")
        return EngineSilent(
            f"{function_id} did not answer within {self._limit_ms} ms and may still be running; "
            "wait longer with --timeout-ms"
        )

    # -- the connection -----------------------------------------------------------------------------------------------

    def _say(self, message: object) -> None:
        """Raises EngineUnreachable: the connection is over."""
        if self._failure is not None:
            raise self._failure
        if self._outbox is not None:
            self._outbox.send(Outgoing(encode(message), kept=False))

    def _cancel(self, call_id: str) -> None:
        if self._failure is None:
            call = {"type": "invokefunction", "function_id": CANCEL_INVOCATION, "data": {"invocation_id": call_id}}
            self._say({**call, "action": {"type": "void"}})

    def _connected(self, link: ClientLink, outbox: ClientBox) -> None:
        self._outbox = outbox
        told = {
            "name": self._name, "runtime": "python", "version": f"{COMPATIBILITY_LEVEL}+iii-py.{PACKAGE_VERSION}",
            "pid": os.getpid(), "os": f"{platform.system()} {platform.release()} ({platform.machine()})",
            "isolation": None, "namespace": None, "telemetry": None, "features": [LARGE_MESSAGES],
        }  # fmt: skip
        self._say(
            {
                "type": "invokefunction", "function_id": REGISTER_WORKER, "data": told,
                "invocation_id": self._announced, "namespace": DEFAULT_NAMESPACE,
            }
        )  # fmt: skip

    def _disconnected(self, link: ClientLink, outbox: ClientBox, why: str) -> None:
        if self._refusal:
            self._refuse(f"{self._refusal}; III_TOKEN or III_TOKEN_FILE has the token of a command")
        elif self.worker_id is None:
            self._fail(f"cannot connect to {self._shown}: {why}. {WHERE}")
        else:
            self._fail(f"lost the connection to {self._shown}; the function may still be running")

    def _fail(self, why: str) -> None:
        """Every call fails so, from now on."""
        if self._failure is None:
            self._failure = EngineUnreachable(why)
            for each in self._waiting.values():
                if not each.done():
                    each.set_exception(EngineUnreachable(why))

    def _received(self, data: bytes) -> None:
        try:
            message = self._decode(data)
        except Undecodable as error:
            if error.message_type == "error":  # what an engine says before it closes (01 §3.2)
                self._refusal = str(error_from_wire(_plain(data).get("error")))
            elif (waits := self._waiting.get(error.invocation_id or "")) is not None and not waits.done():
                waits.set_exception(UNKNOWN(f"unreadable answer: {error}"))
            return
        if type(message) is WorkerRegistered:
            self.worker_id = message.worker_id
        elif type(message) is RegistrationRejected:
            self._refuse(f"{message.code}: worker '{self._name}' rejected (owned by '{message.owner_worker_id}')")
        elif type(message) is InvocationResult:
            self._answered(message)

    def _answered(self, answer: InvocationResult) -> None:
        if answer.invocation_id == self._announced:
            told = None if answer.error is NULL else _plain(answer.error)
            if told and not isinstance(error := error_from_wire(told), FunctionNotFound):  # an engine without it
                self._refuse(f"{error.code}: {error.message}")
            return
        waits = self._waiting.get(answer.invocation_id)
        if waits is not None and not waits.done():
            waits.set_result(answer)

    def _refuse(self, why: str) -> None:
        self._fail(f"the engine at {self._shown} refused this command: {why}")


def _tls_of(address: Address) -> ClientTls | None:
    """None for `ws://`: nothing of TLS is loaded. Raises EngineUnreachable: a file is unusable."""
    if not address.url.lower().startswith("wss:"):
        return None
    from iii.sdk.client_tls import ClientTls
    from iii.sdk.options import InitOptions

    try:
        return ClientTls(InitOptions(tls=address.tls).tls_options, address.url)
    except ValueError as error:
        raise EngineUnreachable(str(error)) from None


def _plain(raw: bytes) -> Any:
    """JSON as plain values (L14)."""
    try:
        return _decode_plain(raw)
    except BAD_JSON:
        return _decode_plain(mend_json(bytes(raw)))


def reason(error: str) -> str:
    """The text of a connection error as people say it: `connection refused`."""
    numbered = re.search(r"\[Errno (-?\d+)\] ?(.*)", error)
    if numbered is None:
        return "no answer from an iii engine" if error == "TimeoutError" else error
    number = int(numbered[1])
    return (os.strerror(number) if number > 0 else numbered[2]).lower()
