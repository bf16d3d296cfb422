"""The help texts of the `iii` command."""

import contextlib
import io
import re

from iii.cli import main

# Python 3.13 writes `-c, --config FILE` where 3.11 writes `-c FILE, --config FILE`
_BOTH_WITH_VALUE = re.compile(r"^  -\w [A-Z]+, --\S+ [A-Z]+", re.MULTILINE)
_COMMANDS = ((), ("trigger",), ("worker", "list"), ("function", "list"))


def command_line_page() -> str:
    """One section a command, with what its `--help` prints."""
    text = "# Command line\n"
    for command in _COMMANDS:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
            main([*command, "--help"])
        help_text = _BOTH_WITH_VALUE.sub(_value_once, printed.getvalue().rstrip())
        text += f"\n## {' '.join(('iii', *command))}\n\n```text\n{help_text}\n```\n"
    return text


def _value_once(option: re.Match[str]) -> str:
    return re.sub(r"(-\w) [A-Z]+,", r"\1,", option[0]).ljust(len(option[0]))
