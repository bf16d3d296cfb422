"""One call to a running engine: connect as a worker, ask, leave (07 §8.2)."""

import asyncio
import logging
import os
import platform
from typing import Any

from iii import InitOptions, ReconnectionConfig, connect_worker
from iii.cli.address import Address
from iii.protocol.errors import InvocationTimeout

WHERE = "Is the engine running at the given address and port?"


class EngineUnreachable(Exception):
    """There is nobody, or nobody who lets us in, or the connection broke; text for people."""


class EngineSilent(Exception):
    """No answer within the wait; text for people, its first sentence promised (07 §8.2)."""

    def __init__(self, explanation: str) -> None:
        super().__init__(f"Timed out waiting for the engine (no response within the timeout). {explanation}")


class Answer:
    """What the function answered, and which worker this command was."""

    def __init__(self, result: Any, worker_id: str | None) -> None:
        self.result = result
        self.worker_id = worker_id


def ask(address: Address, command: str, function_id: str, payload: object, namespace: str | None = None) -> Answer:
    """Call a function, in `default` if no namespace is given.

    Raises EngineUnreachable, EngineSilent, or the InvocationError that the call ended with.
    """
    # What a starter gave to a worker in the same environment is not this command's
    os.environ.pop("III_WORKER_NAME", None)
    os.environ.pop("III_NAMESPACE", None)
    # Unique, as the engine turns away a second worker of the same name; `iii-cli:` is known to it (W3, N8)
    options = InitOptions(
        worker_name=f"iii-cli:{command}:{platform.node()}:{os.getpid()}",
        reconnection_config=ReconnectionConfig(max_retries=0),
        enable_metrics_reporting=False,
        otel={"enabled": False},
    )
    request = {"function_id": function_id, "payload": payload, "namespace": namespace}
    return asyncio.run(_ask(address, options, request))


async def _ask(address: Address, options: InitOptions, request: dict[str, Any]) -> Answer:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + address.timeout_ms / 1000
    reached = {"connected": loop.create_future(), "failed": loop.create_future()}

    def changed(state: str) -> None:
        if state in reached and not reached[state].done():
            reached[state].set_result(None)

    remark = _LastRemark()
    async with connect_worker(address.url, options) as worker:
        worker.add_connection_state_listener(changed)
        await asyncio.wait(reached.values(), timeout=address.timeout_ms / 1000, return_when=asyncio.FIRST_COMPLETED)
        if reached["failed"].done():
            raise EngineUnreachable(f"cannot connect to {address.url}{remark}. {WHERE}")
        if not reached["connected"].done():
            raise EngineSilent(WHERE)
        request["timeout_ms"] = max(1, int((deadline - loop.time()) * 1000))
        answer = asyncio.ensure_future(worker.trigger_async(request))
        await asyncio.wait((answer, reached["failed"]), return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            answer.cancel()
            raise EngineUnreachable(f"lost the connection to {address.url}{remark}. The function may still be running.")
        try:
            return Answer(answer.result(), worker.worker_id)
        except InvocationTimeout:
            raise EngineSilent(
                f"{request['function_id']} did not answer within {address.timeout_ms} ms and may still be running; "
                "wait longer with --timeout-ms"
            ) from None


class _LastRemark(logging.Handler):
    """Keeps what the client logs off the terminal, and the last of it as the reason of a failure."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.text = ""
        client = logging.getLogger("iii.sdk")
        client.propagate = False
        client.handlers[:] = [self]

    def emit(self, record: logging.LogRecord) -> None:
        if record.args and not record.exc_info:
            self.text = str(record.args[-1]) if isinstance(record.args, tuple) else record.getMessage()

    def __str__(self) -> str:
        return f": {self.text}" if self.text else ""
