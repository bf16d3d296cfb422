"""A terminal that shows one page after the other in the same place."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Self

_ENTER = "\x1b[?1049h\x1b[?25l"  # another page, without a cursor
_LEAVE = "\x1b[?25h\x1b[?1049l"
_HOME, _REST_OF_LINE, _REST = "\x1b[H", "\x1b[K", "\x1b[J"


class Screen:
    """Leaving it gives the terminal back as it was."""

    def __enter__(self) -> Self:
        sys.stdout.write(_ENTER)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        sys.stdout.write(_LEAVE)
        sys.stdout.flush()

    @property
    def width(self) -> int:
        return shutil.get_terminal_size().columns

    def show(self, lines: Sequence[str]) -> None:
        """As many as fit, in the place of those before."""
        height = shutil.get_terminal_size().lines
        shown = f"{_REST_OF_LINE}\n".join(lines[: height - 1])
        sys.stdout.write(f"{_HOME}{shown}{_REST_OF_LINE}{_REST}")
        sys.stdout.flush()
