"""Help no wider than the terminal that shows it."""

import re
import shutil
import textwrap

WIDEST = 100
_NARROWEST = 60
_FIRST_COLUMN = re.compile(r" *\S+(?: \S+)* {2,}(?=\S)|usage: ")


def help_width() -> int:
    """Of the terminal, or `COLUMNS`; the widest where there is neither."""
    return max(_NARROWEST, min(WIDEST, shutil.get_terminal_size((WIDEST, 24)).columns))


def folded(text: str, width: int) -> str:
    """Each longer line goes on below its last column. Commands are left as they are, to be copied."""
    return "\n".join(part for line in text.split("\n") for part in _lines(line, width))


def _lines(line: str, width: int) -> list[str]:
    words = line.lstrip()
    if len(line) <= width or words.startswith("iii "):
        return [line]
    column = _FIRST_COLUMN.match(line)
    indent = len(line) - len(words) if column is None else min(column.end(), width // 2)
    return textwrap.wrap(line, width, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False)
