"""Text of the source as text for users: tables, docstrings, no references to the specification."""

import inspect
import re
from collections.abc import Sequence

# `(01 §5.12)`, `(N4, 00 §4.1)`, `(DESIGN 2)`: users do not have what they point to
_REFERENCE = r"(?:\d\d (?:§|weak|check)[^,;)]*|§[\d.]+[^,;)]*|[A-Z]\d{1,2}(?: step \d)?|DESIGN [\d.]+)"
_REFERENCES = re.compile(rf"\s*\({_REFERENCE}(?:[,;–-]\s*{_REFERENCE})*\)")
_REMARK = re.compile(rf"\({_REFERENCE}: ")  # `(I8: clients may rely on it)` keeps its remark
_SECTION = re.compile(r"(Args|Attributes|Keys|Returns|Raises):\s*(.*)")


def without_references(text: str) -> str:
    """The text without pointers into the specification."""
    return _REFERENCES.sub("", _REMARK.sub("(", text))


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def first_paragraph(docstring: str | None) -> str:
    """The first paragraph of a docstring on one line."""
    return without_references(" ".join(inspect.cleandoc(docstring or "").split("\n\n")[0].split()))


def prose(docstring: str | None) -> str:
    """A docstring: paragraphs as they are, its sections as lists."""
    if not docstring:
        return ""
    lines: list[str] = []
    listing = False
    for line in without_references(inspect.cleandoc(docstring)).replace("``", "`").splitlines():
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
