"""`--watch`: a table that is printed once, or shown again and again until Ctrl-C (07 §8)."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from iii.cli.address import Address
from iii.cli.parser import CommandFailed

if TYPE_CHECKING:
    from iii.cli.asking import Asking

LOOK_S = 2.0  # between two looks


def shown(
    address: Address,
    command: str,
    lines: Callable[[Asking], Awaitable[list[str]]],
    *,
    watch: bool,
    module: str | None = None,
) -> int:
    """Print the lines; on a terminal with `--watch` in one place for ever. Raises CommandFailed.

    Args:
        module: of the engine, whose functions are asked.
    """
    from iii.cli.engine_call import conversation, in_words
    from iii.protocol.errors import InvocationError

    async def once(ask: Asking) -> int:
        print("\n".join(await lines(ask)))
        return 0

    async def live(ask: Asking) -> int:
        from iii.cli.screen import Screen

        with Screen() as screen:
            while True:
                screen.show([line[: screen.width] for text in await lines(ask) for line in text.splitlines()])
                await asyncio.sleep(LOOK_S)

    try:
        return conversation(address, command, live if watch and sys.stdout.isatty() else once)
    except InvocationError as error:
        raise CommandFailed(in_words(error, module)) from None
