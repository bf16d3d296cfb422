"""Text of the source as text for users: tables and docstrings."""

import inspect
import re
from collections.abc import Sequence

_SECTION = re.compile(r"(Args|Attributes|Keys|Returns|Raises):\s*(.*)")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def first_paragraph(docstring: str | None) -> str:
    """The first paragraph of a docstring on one line."""
    return " ".join(inspect.cleandoc(docstring or "").split("\n\n")[0].split())


def prose(docstring: str | None) -> str:
    """A docstring: paragraphs as they are, its sections as lists."""
    if not docstring:
        return ""
    lines: list[str] = []
    listing = False
    for line in inspect.cleandoc(docstring).replace("``", "`").splitlines():
        section = _SECTION.fullmatch(line)
        if section:
            listing = not section[2]
            lines += ["", f"**{section[1]}:** {section[2]}".rstrip(), *([""] if listing else [])]
        elif listing and re.match(r" {4}\S", line):
            name, colon, meaning = line.strip().partition(": ")
            lines.append(f"- `{name}`: {meaning}" if colon else f"- {line.strip()}")
        elif listing and not line.startswith(" ") and line:
            listing = False
            lines += ["", line]
        else:
            lines.append(line if not listing else f"  {line.strip()}".rstrip())
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"
