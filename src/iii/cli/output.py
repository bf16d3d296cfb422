"""What commands print: JSON for programs, tables for people; nothing in it can steer a terminal."""

import json
import os
import re
import sys
from collections.abc import Sequence
from typing import Any

from iii.protocol.names import without_control_characters

_UNESCAPED = re.compile(
    "[\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029]"
)  # hostile ones that JSON leaves as they are
_NUMBERS = frozenset(
    {
        "FUNCTIONS", "ACTIVE", "CPU", "MEMORY", "CONNECTED", "SILENT", "CONSUMERS", "JOBS", "RUNNING", "DELAYED", "DEAD", "ATTEMPTS", "ROWS",
        "DURATION", "ERRORS", "CALLS/S", "ERRORS/S", "CALLS", "P50", "P95", "P99",
    }
)  # fmt: skip


def one_text(text: str) -> str:
    """Text of others on one line that cannot steer a terminal."""
    from iii.protocol.log_line import one_line

    return one_line(text)


def json_text(value: Any, *, sort_keys: bool = True) -> str:
    """Pretty JSON; characters that a terminal would act on are escaped, which changes nothing for a reader of JSON."""
    return _unharmful(json.dumps(value, indent=2, sort_keys=sort_keys, ensure_ascii=False))


def json_line(value: Any) -> str:
    """The same on one line."""
    return _unharmful(json.dumps(value, ensure_ascii=False))


def _unharmful(text: str) -> str:
    return _UNESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def counted(number: int, noun: str) -> str:
    """`1 worker`, `2 workers`."""
    return f"{number} {noun}{'s' * (number != 1)}"


def figure(value: float) -> str:
    """As many digits as mean something: a quotient has sixteen."""
    return f"{value:.0f}" if abs(value) >= 1_000 else f"{value:.4g}"


def served_by(worker: object, copies: int) -> str:
    """`shop (2 copies)`: the worker, and how many serve together; `-` if none does."""
    name = str(worker or "-")
    return f"{name} ({copies} copies)" if copies > 1 else name


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns under their names, never cut."""
    print("\n".join(table_lines(head, rows)))


def table_lines(head: Sequence[str], rows: Sequence[Sequence[str]], *, plain: bool = False) -> list[str]:
    """The same, to be put together with others; `plain` without bold, so that it may be cut."""
    from rich.cells import cell_len  # the rest of the library takes as long to load as the connection

    cells = [[without_control_characters(cell) for cell in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(head, *cells, strict=True)]

    def line(row: Sequence[str]) -> str:
        padded = []
        for name, cell, width in zip(head, row, widths, strict=True):
            blanks = " " * (width - cell_len(cell))
            padded.append(blanks + cell if name in _NUMBERS else cell + blanks)
        return "  ".join(padded).rstrip()

    title = line(head)
    bold = not plain and sys.stdout.isatty() and "NO_COLOR" not in os.environ
    return [f"\x1b[1m{title}\x1b[0m" if bold else title, *map(line, cells)]
