"""Options and arguments of a command; wrong usage is one line with a hint, and exit code 2 (07 §8.1).

`argparse` since it is loaded in 6 ms, where the libraries with coloured help take 50 and more.
"""

import argparse
import sys
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any, NoReturn

from iii.protocol.suggestion import nearest

USAGE_ERROR = 2


class Parser(argparse.ArgumentParser):
    """An argument parser that takes options and arguments in any order and names the nearest known option."""

    def __init__(self, prog: str, description: str, usage: str, epilog: str = "", *, add_help: bool = True) -> None:
        super().__init__(
            prog=prog,
            usage=usage,
            description=description,
            epilog=epilog,
            add_help=False,
            allow_abbrev=False,
            formatter_class=_Help,
        )
        if add_help:
            self.add_argument("-h", "--help", action="help", help="show this help")

    def add_argument(self, *names: Any, **settings: Any) -> argparse.Action:
        """As the library's, which says of arguments of any number, without a default, that they are required."""
        if settings.get("nargs") == "*":
            settings.setdefault("default", [])
        return super().add_argument(*names, **settings)

    def parse(self, arguments: Sequence[str]) -> argparse.Namespace:
        """The options. Ends the process with exit code 2 if they make no sense."""
        options, extra = self.parse_known_intermixed_args(list(arguments))
        if extra:
            unknown = extra[0].partition("=")[0]
            if unknown.startswith("-"):
                self.error(f"unknown option '{unknown}'{suggestion(unknown, self.option_strings())}")
            self.error(f"unexpected argument '{extra[0]}'")
        return options

    def option_strings(self) -> list[str]:
        return [name for action in self._actions for name in action.option_strings if action.help != argparse.SUPPRESS]

    def format_help(self) -> str:
        """As wide as the terminal."""
        from iii.cli.folding import folded, help_width

        width = help_width()
        self.formatter_class = partial(_Help, width=width)
        return folded(super().format_help(), width)

    def _print_message(self, message: str, file: Any = None) -> None:
        """The library's own swallows the error of a full disk."""
        (file or sys.stderr).write(message)

    def refuse_command(self, wrong: str, known: Collection[str]) -> NoReturn:
        """End the process: such a word is no subcommand."""
        self.error(unknown_command(self.prog, wrong, known))

    def refuse_words(self, words: Sequence[str], usages: Mapping[str, str]) -> NoReturn:
        """The first is no subcommand, or has too few or too many arguments; `usages` has those of each."""
        verb = words[0]
        if verb not in usages:
            self.refuse_command(verb, usages)
        self.error(f"wrong number of arguments; usage: {self.prog} {verb} {usages[verb]}".rstrip())

    def error(self, message: str) -> NoReturn:
        sys.exit(usage_error(self.prog, message.removeprefix("argument ")))  # the library's; ours begin with the option


class _Help(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str, width: int = 100, **settings: Any) -> None:
        super().__init__(prog, max_help_position=28, width=width, **settings)


def usage_error(program: str, message: str) -> int:
    """Tell what is wrong and where help is."""
    print(f"error: {message}\nTry '{program} --help'.", file=sys.stderr)
    return USAGE_ERROR


def unknown_command(program: str, wrong: str, known: Collection[str]) -> str:
    """That a word is no subcommand of it, and the nearest one, or all."""
    *others, last = known
    expected = f"{', '.join(others)} or {last}" if others else last
    return f"unknown command '{program} {wrong}'" + (suggestion(wrong, known) or f" (expected {expected})")


def suggestion(wrong: str, known: Collection[str]) -> str:
    """`, did you mean 'x'?`, or nothing."""
    names = {name.lstrip("-"): name for name in known}
    near = nearest(wrong.lstrip("-"), names)
    return f", did you mean '{names[near]}'?" if near else ""


class CommandFailed(Exception):
    """What ends a command with exit code 1; text for people."""


def fail(message: str) -> int:
    """Tell what went wrong, which may be in the words of others; exit code 1."""
    from iii.cli.output import one_text

    print("\n".join(map(one_text, f"Error: {message}".split("\n"))), file=sys.stderr)
    return 1
