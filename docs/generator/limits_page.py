"""Numbers that bound something: all of `protocol/limits.py`, and those of single parts whose comment is a sentence."""

import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from docs.generator.markdown import table
from docs.generator.source import SOURCE, modules
from iii.protocol import limits
from iii.protocol.limits import KIB, MIB

_MEASURES = ("_BYTES", "_S", "_MS", "_CHARACTERS", "_LINES", "_ROWS")
_UNITS = ("BYTES", "S", "MS", "BYTES_PER_S")
_HEADING = "# -- "
_ASSIGNED = re.compile(r"(?P<name>[A-Z][A-Z_0-9]*) = [^#]+?(?:\s+#\s*(?P<comment>.*))?")
_SENTENCE = re.compile(r"(?P<text>[`A-Z].*\.)(?: \((?P<rules>[^()]*)\))?")
_SCALES = {"KIB", "MIB"}


def limits_page() -> str:
    """Sections as in the file, then the other parts."""
    parts = [f"## {title}\n\n{_table(rows)}" for title, rows in _sections()]
    return (
        "# Limits and waits\n\n"
        "Numbers that bound a message, a queue or a wait, with the rules of the [specification](../spec/README.md) that ask "
        "for them.\n"
        "Names are those of the constants in `src/iii/protocol/limits.py`; limits that can be set are in the "
        "[configuration](configuration.md) too.\n"
        "Buffers and pauses that nothing outside depends on are not listed: they stand in the files that use them.\n\n"
        + "\n".join(parts)
        + f"\n## Single parts\n\n{table(('Limit', 'Value', 'What it bounds', 'File'), list(_of_parts()))}"
    )


def sentence_of(name: str, comment: str) -> tuple[str, str]:
    """What a comment says, and its rules. Raises ValueError if it is not a sentence: the page would have a riddle."""
    found = _SENTENCE.fullmatch(comment)
    if found is None:
        raise ValueError(f"limits.py: {name} needs a comment that is a whole sentence; rules follow it in parentheses")
    return found["text"], found["rules"] or ""


def with_unit(name: str, value: object) -> str:
    """The value in the unit that the name ends with."""
    match next((unit for unit in sorted(_UNITS, key=len, reverse=True) if name.endswith(f"_{unit}")), ""), value:
        case "BYTES", int(size):
            return _size(size)
        case "BYTES_PER_S", int(size):
            return f"{_size(size)}/s"
        case "S", int() | float():
            return f"{value:g} s"
        case "MS", int():
            return f"{value} ms"
    return str(value)


def _size(size: int) -> str:
    for scale, unit in ((1024 * MIB, "GiB"), (MIB, "MiB")):
        if size % scale == 0:
            return f"{size // scale} {unit}"
    return f"{size // KIB} KiB" if size < MIB and size % KIB == 0 else f"{size} bytes"


def _sections() -> Iterator[tuple[str, list[tuple[str, ...]]]]:
    parts: dict[str, list[tuple[str, ...]]] = {}
    for heading, name, comment in _constants(limits):
        if name not in _SCALES:
            row = (f"`{name}`", with_unit(name, getattr(limits, name)), *sentence_of(name, comment))
            parts.setdefault(heading, []).append(row)
    yield from parts.items()


def _of_parts() -> Iterator[tuple[str, ...]]:
    for module in modules():
        if module is not limits:
            for _, name, comment in _constants(module):
                if name.endswith(_MEASURES) and (sentence := _SENTENCE.fullmatch(comment)):
                    path = Path(str(module.__file__)).relative_to(SOURCE)
                    yield f"`{name}`", with_unit(name, getattr(module, name)), sentence["text"], f"`{path}`"


def _table(rows: list[tuple[str, ...]]) -> str:
    return table(("Name", "Value", "What it bounds", "Rules"), rows)


def _constants(module: ModuleType) -> Iterator[tuple[str, str, str]]:
    """Heading, name and comment of each: the comment stands behind it, or on the line above."""
    heading = above = ""
    for line in Path(str(module.__file__)).read_text().splitlines():
        if line.startswith(_HEADING):
            heading = line.removeprefix(_HEADING).strip(" -")
        elif found := _ASSIGNED.fullmatch(line):
            yield heading, found["name"], found["comment"] or above
        above = line.removeprefix("# ") if line.startswith("# ") else ""
