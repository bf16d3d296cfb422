"""`iii update`: say how this installation is upgraded; nothing is downloaded (07 §8.1)."""

import sys

from iii.cli.parser import Parser
from iii.protocol.versions import PACKAGE_VERSION

TARGETS = ("iii",)

_DESCRIPTION = """\
Prints the commands that upgrade this installation. The command itself downloads and changes nothing.

  TARGET   what to upgrade; engine, worker SDK and command line are one package, so every target is that package"""


def run(arguments: list[str]) -> int:
    """Print how to upgrade with pip."""
    options = build_parser().parse(arguments)
    if options.list_targets:
        print("\n".join(TARGETS))
        return 0
    print(
        f"iii {PACKAGE_VERSION} is installed for {sys.executable}.\n"
        "Engine, worker SDK and command line are one package, iii-py. To upgrade it:\n\n"
        f"  {sys.executable} -m pip install --upgrade iii-py   # from a package index\n"
        f"  {sys.executable} -m pip install --upgrade .        # in a checkout, after git pull\n\n"
        "Restart the engine afterwards. Workers reconnect by themselves."
    )
    return 0


def build_parser() -> Parser:
    """All options and arguments of `iii update`."""
    parser = Parser("iii update", _DESCRIPTION, "iii update [TARGET] [--list-targets]")
    parser.add_argument("target", nargs="?", metavar="TARGET", help="what to upgrade (default: everything)")
    parser.add_argument("--list-targets", action="store_true", help="print the names of the targets")
    return parser
