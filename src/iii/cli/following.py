"""Commands that print events until Ctrl-C: a function of this process that a trigger calls."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from iii.cli.address import Address
from iii.cli.parser import CommandFailed

if TYPE_CHECKING:
    from iii import Worker


class Followed(NamedTuple):
    """What is followed.

    Attributes:
        command: `stream`.
        trigger_type: what calls.
        config: of the trigger.
        show: prints one event.
        before: done on the connection first.
        module: whose functions that needs.
    """

    command: str
    trigger_type: str
    config: dict[str, Any]
    show: Callable[[Any], None]
    before: Callable[[Worker], Awaitable[None]] | None = None
    module: str | None = None


def follow(address: Address, followed: Followed) -> None:
    """Until it is interrupted. Raises CommandFailed."""
    asyncio.run(_follow(address, followed))


async def _follow(address: Address, followed: Followed) -> None:
    from iii import InvocationError, RegistrationRejected, connect_worker
    from iii.cli.asking import WHERE, Asking
    from iii.cli.command_worker import worker_options
    from iii.cli.engine_call import in_words
    from iii.protocol.address import masked

    async with Asking(address, f"{followed.command}-asks"):
        pass  # an engine that is not there at first is told at once, as by other commands; later it is waited for
    options = worker_options(address, followed.command)
    shown = masked(address.url)
    try:
        async with connect_worker(address.url, options) as worker:
            if worker.get_connection_state() != "connected":
                raise CommandFailed(f"cannot connect to {shown}. {WHERE}")
            if followed.before is not None:
                await followed.before(worker)
            function_id = f"iii-cli::{followed.command}::{os.getpid()}"

            async def show(event: Any) -> None:
                followed.show(event)

            worker.register_function(function_id, show, metadata={"internal": True})
            worker.register_trigger(
                {"type": followed.trigger_type, "function_id": function_id, "config": followed.config}
            )
            await asyncio.Event().wait()
    except RegistrationRejected as error:
        raise CommandFailed(f"the engine at {shown} refused this command: {error}") from None
    except InvocationError as error:
        raise CommandFailed(in_words(error, followed.module)) from None
    except ConnectionError as error:
        raise CommandFailed(f"cannot connect to {shown}: {error}. {WHERE}") from None
