"""A question before what cannot be undone."""

import sys

from iii.cli.parser import Parser


def needs_terminal(otherwise: str, parser: Parser) -> None:
    """Without one it is wrong usage, with this text."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        parser.error(otherwise)


def is_meant(question: str) -> bool:
    """Whether the person at the terminal says yes."""
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
