"""Calls to a running engine: connect as a worker, ask, leave (07 §8.2)."""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import re
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from iii import InitOptions, ReconnectionConfig, RegistrationRejected, TriggerRequest, Worker, connect_worker
from iii.cli.address import Address
from iii.cli.parser import CommandFailed
from iii.protocol.address import masked
from iii.protocol.errors import InvocationError, InvocationTimeout

T = TypeVar("T")

WHERE = "Is the engine running at the given address and port?"


_OTHER_PORT = (
    "If something else answers there, such as its stream port: commands and workers connect to the worker port."
)


class EngineUnreachable(CommandFailed):
    """There is nobody, or nobody who lets us in, or the connection broke; text for people."""


class EngineSilent(CommandFailed):
    """No answer within the wait; text for people, its first sentence promised (07 §8.2)."""

    def __init__(self, explanation: str) -> None:
        super().__init__(f"Timed out waiting for the engine (no response within the timeout). {explanation}")


class CallResult:
    """What the function answered, and which worker this command was."""

    def __init__(self, result: Any, worker_id: str | None) -> None:
        self.result = result
        self.worker_id = worker_id


Following = Callable[[Any], object | None]


def _nothing(result: Any) -> None:
    return None


def asked(address: Address, command: str, function_id: str, payload: object) -> CallResult:
    """As `ask`, where an error of the function is the end of the command. Raises CommandFailed."""
    try:
        return ask(address, command, function_id, payload)
    except InvocationError as error:
        raise CommandFailed(f"{error.code}: {error.message}") from None


def ask(
    address: Address,
    command: str,
    function_id: str,
    payload: object,
    namespace: str | None = None,
    following: Following = _nothing,
) -> CallResult:
    """Call a function, in `default` if no namespace is given.

    Args:
        following: given a result, with what to call it again on the same connection; None ends that.

    Raises EngineUnreachable, EngineSilent, or the InvocationError that the call ended with.
    """

    async def talk(asking: Asking) -> CallResult:
        result = await asking(function_id, payload, namespace)
        while (again := following(result)) is not None:
            result = await asking(function_id, again, namespace)
        return CallResult(result, asking.worker_id)

    return asyncio.run(_converse(address, worker_options(address, command, _ONCE), talk))


_ONCE = ReconnectionConfig(max_retries=0)


def worker_options(address: Address, command: str, reconnection: ReconnectionConfig | None = None) -> InitOptions:
    """Of the worker that a command is; it connects again unless `reconnection` says otherwise."""
    # What a starter gave to a worker in the same environment is not this command's
    os.environ.pop("III_WORKER_NAME", None)
    os.environ.pop("III_NAMESPACE", None)
    # Unique, as the engine turns away a second worker of the same name; `iii-cli:` is known to it (W3, N8)
    return InitOptions(
        worker_name=f"iii-cli:{command}:{platform.node()}:{os.getpid()}",
        reconnection_config=reconnection,
        connect_timeout_ms=address.timeout_ms,
        enable_metrics_reporting=False,
        otel={"enabled": False},
        headers=address.headers,
        tls=address.tls,
    )


def asked_several(address: Address, command: str, talk: Callable[[Asking], Awaitable[T]]) -> T:
    """What a conversation of several calls over one connection comes to. Raises CommandFailed."""
    try:
        return asyncio.run(_converse(address, worker_options(address, command, _ONCE), talk))
    except InvocationError as error:
        raise CommandFailed(f"{error.code}: {error.message}") from None


class Asking:
    """One connection, for as long as a command needs it.

    Attributes:
        asked: the function that was called last.
    """

    def __init__(self, worker: Worker, timeout_ms: int) -> None:
        self.asked = ""
        self._worker = worker
        self._timeout_ms = timeout_ms

    @property
    def worker_id(self) -> str | None:
        """Who this command is."""
        return self._worker.worker_id

    async def __call__(self, function_id: str, payload: object, namespace: str | None = None) -> Any:
        """The result. Raises InvocationError."""
        self.asked = function_id
        request: TriggerRequest = {"function_id": function_id, "payload": payload, "namespace": namespace}
        return await self._worker.trigger_async({**request, "timeout_ms": self._timeout_ms})


async def _converse(address: Address, options: InitOptions, talk: Callable[[Asking], Awaitable[T]]) -> T:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + address.timeout_ms / 1000
    remark = _FirstRemark()
    shown = masked(address.url)
    asking: Asking | None = None
    try:
        async with connect_worker(address.url, options) as worker:
            if worker.get_connection_state() != "connected":
                raise EngineSilent(f"{WHERE} {_OTHER_PORT}")
            asking = Asking(worker, max(1, int((deadline - loop.time()) * 1000)))
            return await talk(asking)
    except InvocationTimeout:
        assert asking is not None  # it was asked
        raise EngineSilent(
            f"{asking.asked} did not answer within {address.timeout_ms} ms and may still be running; "
            "wait longer with --timeout-ms"
        ) from None
    except RegistrationRejected as error:
        raise EngineUnreachable(f"the engine at {shown} refused this command: {error}") from None
    except ConnectionError:
        if asking is not None:
            raise EngineUnreachable(f"lost the connection to {shown}; the function may still be running") from None
        raise EngineUnreachable(f"cannot connect to {shown}{remark}. {WHERE}") from None


class _FirstRemark(logging.Handler):
    """Keeps what the client logs off the terminal, and the first warning as the reason why it could not connect."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.text = ""
        for name in ("iii.sdk", "asyncio"):
            logging.getLogger(name).propagate = False
            logging.getLogger(name).handlers[:] = [self]

    def emit(self, record: logging.LogRecord) -> None:
        said = getattr(record, "fields", {}).get("reason") if record.name == "iii.sdk" else None
        if said and not self.text:
            self.text = reason(str(said))

    def __str__(self) -> str:
        return f": {self.text}" if self.text else ""


def reason(error: str) -> str:
    """The text of a connection error as people say it: `connection refused`."""
    numbered = re.search(r"\[Errno (-?\d+)\] ?(.*)", error)
    if numbered is None:
        return "no answer from an iii engine" if error == "TimeoutError" else error
    number = int(numbered[1])
    return (os.strerror(number) if number > 0 else numbered[2]).lower()
