"""The `iii` command. Only what a command needs is imported, when it runs: `iii --version` loads nothing else."""

import io
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from iii.cli.standard_streams import open_standard_streams
from iii.installation import check_this, without_engine
from iii.protocol.versions import PACKAGE_VERSION

check_this()  # here too: iii-sdk, installed later, replaces the file that asks first

COMMANDS = {
    "trigger": "iii.cli.trigger",
    "t": "iii.cli.trigger",
    "worker": "iii.cli.worker",
    "function": "iii.cli.function",
    "routes": "iii.cli.routes",
    "observer": "iii.cli.observer",
    "health": "iii.cli.health",
    "metrics": "iii.cli.metrics",
    "logs": "iii.cli.logs",
    "traces": "iii.cli.traces",
    "trace": "iii.cli.trace",
    "top": "iii.cli.top",
    "state": "iii.cli.state",
    "queue": "iii.cli.queue",
    "publish": "iii.cli.publish",
    "cron": "iii.cli.cron",
    "codegen": "iii.cli.codegen.command",
    "stream": "iii.cli.stream",
    "config": "iii.cli.config",
    "console": "iii.cli.console",
    "store": "iii.cli.store",
    "token": "iii.cli.token",
    "context": "iii.cli.context",
    "init": "iii.cli.init",
    "dev": "iii.cli.dev",
    "completion": "iii.cli.completion",
    "update": "iii.cli.update",
}
_STARTING = ("start", "run", "serve")  # what people try who want the engine
USAGE_ERROR = 2
INTERRUPTED = 130  # 128 + SIGINT, as shells have it

_OPTIONS_WITH_VALUE = frozenset({"-c", "--config", "--host"})
_OPTIONS = (
    *_OPTIONS_WITH_VALUE,
    "--use-default-config",
    "--no-update-check",
    "--reload-strict",
)  # --help and --version went before


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code: 0 success, 1 failure, 2 wrong usage (07 §8.4)."""
    open_standard_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # whatever a terminal cannot show
    try:
        try:
            return _chosen(list(sys.argv[1:] if arguments is None else arguments))
        finally:
            sys.stdout.flush()  # here, where a full disk can still be told
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as error:
        if not isinstance(error, BrokenPipeError):  # the reader of a pipe has seen enough, as `head` does
            print(f"Error: cannot write the output: {error.strerror or error}", file=sys.stderr)
        # The interpreter would flush once more and fail
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _chosen(arguments: list[str]) -> int:
    options, rest = _split(arguments)
    if options and options[0] in ("-v", "--version"):
        print(PACKAGE_VERSION)
        return 0
    if rest[:1] != ["dev"] and (missing := without_engine()) is not None:  # which the SDK alone can do
        print(f"Error: {missing}", file=sys.stderr)
        return 1
    if not rest or any(option in ("-h", "--help", "-v", "--version") for option in options):
        from iii.net.system_signals import early_signals

        with early_signals():
            return _command("iii.cli.serve")(options)
    return _run(options, rest[0], rest[1:])


def _split(arguments: list[str]) -> tuple[list[str], list[str]]:
    """The options before the command, and the command with what follows."""
    index = 0
    while index < len(arguments) and arguments[index].startswith("-"):
        index += 2 if arguments[index] in _OPTIONS_WITH_VALUE else 1
    return arguments[:index], arguments[index:]


def _run(options: list[str], command: str, arguments: list[str]) -> int:
    # msgspec 0.22 loads it too, and loses a Ctrl-C meanwhile: it goes on without, and its first decoder is a SIGSEGV
    import datetime  # noqa: F401

    from iii.cli.parser import CommandFailed, fail, suggestion, usage_error

    for name in (option.partition("=")[0] for option in options if option.startswith("-")):
        if name not in _OPTIONS and name[:2] not in _OPTIONS:  # `-cFILE` too
            return usage_error("iii", f"unknown option '{name}'{suggestion(name, _OPTIONS)}")
    if command not in COMMANDS:
        hint = "" if command in _STARTING else suggestion(command, [name for name in COMMANDS if len(name) > 1])
        hint = hint or "; to run the engine: iii"
        return usage_error("iii", f"unknown command '{command}'{hint}")
    wrong = [
        option for option in options if option != "--no-update-check"
    ]  # which old scripts pass; nothing is checked
    if wrong:
        return usage_error("iii", f"'{wrong[0]}' is for running the engine, not for 'iii {command}'")
    if not all(map(_is_text, arguments)):
        return usage_error(f"iii {command}", "the arguments are not UTF-8 text")
    try:
        return _command(COMMANDS[command])(arguments)
    except CommandFailed as error:
        return fail(str(error))


def _is_text(argument: str) -> bool:
    try:
        argument.encode()
    except UnicodeEncodeError:  # the shell passed other bytes on
        return False
    return True


def _command(module: str) -> Callable[[list[str]], int]:
    run: Callable[[list[str]], int] = import_module(module).run
    return run
