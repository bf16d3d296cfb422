"""Waiting until the engine has accepted a worker, on its event loop (08 §4.1)."""

import asyncio
import logging
from contextlib import suppress

from iii.protocol.log_event import LogEvent
from iii.sdk.core import WorkerCore

CONNECT_OVERDUE = LogEvent(
    "iii.sdk", "sdk.connect_overdue", logging.WARNING,
    "Timed out after {waited_s}s waiting for connection to {address}; continuing to retry in background",
    means="`register_worker`, `connect_worker` or `connect` of an app goes on without a connection; calls wait or time out.",
    do="Start the engine, or correct the address; `connect_timeout_ms` is how long it waits.",
)  # fmt: skip


async def accepted(core: WorkerCore, wait_s: float | None) -> None:
    """Wait so long at most, None for however long it takes; a wait that is over is logged.

    Raises:
        RegistrationRejected: the engine does not accept it. ConnectionError: connecting was given up.
        ClientShutdown: it was shut down meanwhile, such as drained.
    """
    settled = asyncio.Event()
    unsubscribe = core.connection.states.listen(
        lambda state: settled.set() if state in ("connected", "failed") or core.caller.pending.ended else None
    )
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await settled.wait()
        core.raise_if_refused()
        if wait_s is not None and not settled.is_set():
            CONNECT_OVERDUE(waited_s=f"{wait_s:g}", address=core.connection.address)
    finally:
        unsubscribe()
