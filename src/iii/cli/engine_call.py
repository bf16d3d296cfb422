"""One call to a running engine: connect as a worker, ask, leave (07 §8.2)."""

import asyncio
import logging
import os
import platform
import re
from collections.abc import Callable
from typing import Any

from iii import InitOptions, ReconnectionConfig, RegistrationRejected, TriggerRequest, connect_worker
from iii.cli.address import Address
from iii.cli.parser import CommandFailed
from iii.protocol.address import masked
from iii.protocol.errors import InvocationError, InvocationTimeout

WHERE = "Is the engine running at the given address and port?"


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
    # What a starter gave to a worker in the same environment is not this command's
    os.environ.pop("III_WORKER_NAME", None)
    os.environ.pop("III_NAMESPACE", None)
    # Unique, as the engine turns away a second worker of the same name; `iii-cli:` is known to it (W3, N8)
    options = InitOptions(
        worker_name=f"iii-cli:{command}:{platform.node()}:{os.getpid()}",
        reconnection_config=ReconnectionConfig(max_retries=0),
        connect_timeout_ms=address.timeout_ms,
        enable_metrics_reporting=False,
        otel={"enabled": False},
    )
    request: TriggerRequest = {"function_id": function_id, "payload": payload, "namespace": namespace}
    return asyncio.run(_ask(address, options, request, following))


async def _ask(address: Address, options: InitOptions, request: TriggerRequest, following: Following) -> CallResult:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + address.timeout_ms / 1000
    remark = _FirstRemark()
    shown = masked(address.url)
    connected = False
    try:
        async with connect_worker(address.url, options) as worker:
            if worker.get_connection_state() != "connected":
                raise EngineSilent(WHERE)
            connected = True
            request["timeout_ms"] = max(1, int((deadline - loop.time()) * 1000))
            result = await worker.trigger_async(request)
            while (payload := following(result)) is not None:
                result = await worker.trigger_async({**request, "payload": payload})
            return CallResult(result, worker.worker_id)
    except InvocationTimeout:
        raise EngineSilent(
            f"{request['function_id']} did not answer within {address.timeout_ms} ms and may still be running; "
            "wait longer with --timeout-ms"
        ) from None
    except RegistrationRejected as error:
        raise EngineUnreachable(f"the engine at {shown} refused this command: {error}") from None
    except ConnectionError:
        if connected:
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
