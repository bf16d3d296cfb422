"""Which sources of log lines exist, for levels that are set by source (06 §11)."""

import sys
from importlib.util import find_spec
from pathlib import Path

from iii.protocol.log_level import parse_level
from iii.protocol.log_line import PROCESS_LOG, WORKER_LOG
from iii.protocol.quoted import shortened
from iii.protocol.suggestion import nearest

_ROOT = Path(__file__).parents[1]
_OURS = _ROOT.name
_SPOKEN = (WORKER_LOG, PROCESS_LOG)  # sources that are not modules
_LOGGING_STDLIB = ("asyncio", "concurrent")  # `queue` and `http` are modules of Python that never log
_SHOWN_CHARACTERS = 100  # of a source


def unknown_sources(level: str) -> list[str]:
    """Of a level setting, the sources that nothing logs under, each with what was probably meant."""
    return [
        f"'{shortened(name, _SHOWN_CHARACTERS)}'{_hint(name)}" for name in parse_level(level)[1] if not _exists(name)
    ]


def _exists(source: str) -> bool:
    first, *others = source.split(".")
    if first == _OURS:
        return source in _SPOKEN or _deepest(others) == others
    if first in sys.stdlib_module_names:
        return first in _LOGGING_STDLIB
    # Not by the loggers that there are: a library may be imported later, and setting a level makes one. `_granian` is granian's
    name = first.lstrip("_")
    try:
        return bool(name) and find_spec(name) is not None
    except (ValueError, ImportError):  # loaded, and not from a file
        return name in sys.modules


def _deepest(parts: list[str]) -> list[str]:
    """As many of the parts as are packages and modules of ours."""
    for place, part in enumerate(parts):
        if part not in _children(parts[:place]):
            return parts[:place]
    return parts


def _children(package: list[str]) -> list[str]:
    """What a package of ours contains; nothing, for a module."""
    folder = _ROOT.joinpath(*package)
    found = folder.iterdir() if folder.is_dir() else ()
    return sorted(
        path.stem
        for path in found
        if path.stem.isidentifier() and not path.stem.startswith("__") and (path.suffix == ".py" or path.is_dir())
    )


def _hint(source: str) -> str:
    first, *others = source.split(".")
    if first != _OURS:  # `queue`, `engine.router`, `iii-http`
        others = source.removeprefix(f"{_OURS}-").split(".")
    package = _deepest(others)
    names = {name: _dotted(*package, name) for name in _children(package)}
    if not names or package == others:  # a module has nothing below it
        return f", did you mean '{_dotted(*package)}'?"
    known = names if package else {name: _dotted("modules", name) for name in _children(["modules"])} | names
    near = nearest(others[len(package)], known)
    return f", known in {_dotted(*package)}: {', '.join(names)}" if near is None else f", did you mean '{known[near]}'?"


def _dotted(*parts: str) -> str:
    return ".".join((_OURS, *parts))
