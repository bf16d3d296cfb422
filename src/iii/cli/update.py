"""`iii update`: say how this installation is upgraded; nothing is downloaded (07 §8.1)."""

import shlex
import sys

from iii.cli.parser import Parser, suggestion
from iii.installation import checkout
from iii.protocol.versions import PACKAGE_VERSION

TARGETS = ("iii",)
_PARTS = ("console",)  # targets of published releases that are part of the one package here

_DESCRIPTION = """\
Prints the commands that upgrade this installation. The command itself downloads and changes nothing.

  TARGET   iii: engine, worker SDK and command line, which are one package"""


def run(arguments: list[str]) -> int:
    """Print how to upgrade with git and pip."""
    parser = build_parser()
    options = parser.parse(arguments)
    if options.list_targets:
        print("\n".join(TARGETS))
        return 0
    if options.target not in (None, *TARGETS, *_PARTS):
        hint = suggestion(options.target, TARGETS)
        parser.error(f"unknown target '{options.target}'{hint or '; known: ' + ', '.join(TARGETS)}")
    folder, editable = checkout()
    repository = shlex.quote(folder)
    package = shlex.quote(f"{folder or '.'}[engine]")
    install = (
        f"make -C {repository} venv"
        if editable
        else f"{shlex.quote(sys.executable)} -m pip install --upgrade {package}"
    )
    print(
        f"iii {PACKAGE_VERSION} is installed for {sys.executable}.\n"
        "Engine, worker SDK and command line are one package, iii-py. No package index has it yet.\n"
        f"To upgrade it{'' if folder else ', in a checkout of its repository'}:\n\n"
        f"  git {f'-C {repository} ' if folder else ''}pull\n"
        f"  {install}\n\n"
        "Restart the engine afterwards. Workers reconnect by themselves."
    )
    return 0


def build_parser() -> Parser:
    """All options and arguments of `iii update`."""
    parser = Parser("iii update", _DESCRIPTION, "iii update [TARGET] [--list-targets]")
    parser.add_argument("target", nargs="?", metavar="TARGET", help="what to upgrade (default: everything)")
    parser.add_argument("--list-targets", action="store_true", help="print the names of the targets")
    return parser
