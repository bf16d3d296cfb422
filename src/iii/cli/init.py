"""`iii init`: a new project, whose tests pass and which runs (24 §6)."""

from __future__ import annotations

import os
import re
import shlex
from importlib.resources import files
from pathlib import Path

from iii.cli.parser import CommandFailed, Parser

PROGRAM = "iii init"
_DESCRIPTION = """\
Makes a project: a worker with its tests, the configuration of an engine, and a Dockerfile.
No file that exists is changed: if one of these names is taken, nothing is made.

  DIR   folder of the project, which may exist (default: this one)"""
_EXAMPLES = f"""\
examples:
  {PROGRAM} shop
  {PROGRAM} services/orders --name orders

exit codes: 0 made, 1 a file exists or cannot be written, 2 wrong usage
docs: docs/how-to/begin-a-project.md"""
_FILES = {
    "README.md": "README.md.txt",
    "app.py": "app.py.txt",
    "test_app.py": "test_app.py.txt",
    "pyproject.toml": "pyproject.toml.txt",
    "config.yaml": "config.yaml.txt",
    "Dockerfile": "Dockerfile.txt",
    ".dockerignore": "dockerignore.txt",
    ".gitignore": "gitignore.txt",
}
_NAME = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*")
_LONGEST = 50
_TAKEN = frozenset({"engine", "iii"})  # ids that begin so are the engine's own


def build_parser() -> Parser:
    """All options and arguments of the command."""
    parser = Parser(PROGRAM, _DESCRIPTION, f"{PROGRAM} [DIR] [--name NAME] [--json]", _EXAMPLES)
    parser.add_argument("folder", nargs="?", default=".", metavar="DIR", help="folder of the project")
    parser.add_argument(
        "--name", help="name of the worker, and first part of its functions' ids (default: that of DIR)"
    )
    parser.add_argument("--json", action="store_true", help="print name, folder and files as JSON")
    return parser


def run(arguments: list[str]) -> int:
    """`iii init …`"""
    parser = build_parser()
    options = parser.parse(arguments)
    if not options.folder:
        parser.error("DIR: expected the name of a folder, got nothing")
    folder = Path(options.folder)
    name = options.name if options.name is not None else folder.resolve().name
    fault = _fault_of(name)
    if fault is not None:
        near = _similar(name)
        hint = f"; did you mean --name {near}?" if near else "; choose one with --name"
        parser.error(f"{'--name' if options.name is not None else 'DIR'}: {name!r} {fault}{hint}")
    _make(folder, name)
    if options.json:
        from iii.cli.output import json_text

        print(json_text({"name": name, "folder": str(folder), "files": list(_FILES)}))
    else:
        enter = f"  cd {shlex.quote(str(folder))}\n" if folder.resolve() != Path.cwd() else ""
        print(
            f"Made {name} in {folder}: {', '.join(_FILES)}.\n\n{enter}"
            "  pytest                # its tests\n"
            "  iii                   # the engine\n"
            "  iii dev app.py        # the worker, in a second terminal"
        )
    return 0


def _fault_of(name: str) -> str | None:
    if len(name) > _LONGEST:
        return f"exceeds the limit of {_LONGEST} characters"
    if _NAME.fullmatch(name) is None:
        return "is not a name of lower-case letters, digits, '-' and '_' that begins with a letter"
    return "is reserved for the engine" if name in _TAKEN else None


def _similar(name: str) -> str | None:
    words = re.findall("[a-z0-9]+", name.lower())
    near = "-".join(words)[:_LONGEST].strip("-")
    return near if _fault_of(near) is None else None


def _make(folder: Path, name: str) -> None:
    """All files or none. Raises CommandFailed."""
    taken = [each for each in _FILES if os.path.lexists(folder / each)]
    if taken:
        more = f" (and {len(taken) - 1} more)" if len(taken) > 1 else ""
        raise CommandFailed(f"{folder / taken[0]} exists already{more}; nothing was made")
    templates = files("iii.cli") / "project"
    written: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for target, template in _FILES.items():
            text = (templates / template).read_text(encoding="utf-8").replace("PROJECT", name)
            with (folder / target).open("x", encoding="utf-8") as file:
                written.append(folder / target)
                file.write(text)
    except OSError as error:
        for path in written:
            path.unlink(missing_ok=True)
        raise CommandFailed(f"cannot make {error.filename or folder}: {error.strerror}; nothing was made") from None
