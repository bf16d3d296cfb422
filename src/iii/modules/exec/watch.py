"""Changes of files that match patterns; with `iii dev`, the only one that sees the library."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from iii.installation import how_to_install
from iii.modules.exec.pattern import Pattern
from iii.protocol.start_failure import StartFailure

if TYPE_CHECKING:
    import asyncio

logging.getLogger("watchfiles").setLevel(logging.WARNING)  # it tells of every change

DEBOUNCE_MS = 200  # Changes of files within this time are one restart of iii-exec. (07 §6.1)
_LONGEST_MS = 2000  # that a restart waits for the end of changes


def check_library() -> None:
    """Raises StartFailure: it is not installed."""
    try:
        import watchfiles  # noqa: F401
    except ImportError:
        raise StartFailure(f"watch needs the library watchfiles: {how_to_install('dev')}", ("watch",)) from None


async def changes(patterns: Sequence[Pattern], stop: asyncio.Event) -> AsyncIterator[Path]:
    """One of the files of each batch of changes, until `stop` is set. Raises OSError: the system cannot watch so much."""
    from watchfiles import DefaultFilter, awatch
    from watchfiles.main import Change

    class Matching(DefaultFilter):
        """Not what tools write: `node_modules`, `.git`, `__pycache__` and so on."""

        def __call__(self, change: Change, path: str) -> bool:
            return super().__call__(change, path) and any(each.matches(Path(path)) for each in patterns)

    recursive = any(pattern.recursive for pattern in patterns)
    folders = {pattern.folder for pattern in patterns}
    async for batch in awatch(
        *folders, watch_filter=Matching(), debounce=_LONGEST_MS, step=DEBOUNCE_MS, stop_event=stop, recursive=recursive,
        raise_interrupt=False,
    ):  # fmt: skip
        yield Path(min(path for _, path in batch))
