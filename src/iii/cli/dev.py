"""`iii dev`: run an app, and run it again whenever its source has changed."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import cache_from_source
from pathlib import Path
from threading import Event

from iii.cli.app_target import NoApp, split
from iii.cli.parser import Parser, fail
from iii.cli.watching import NoWatcher, changes

STOP_S = 10.0  # for handlers and stop hooks, before the app is killed

_DESCRIPTION = """\
Runs the app of a Python file, and restarts it when a Python file in its folder has changed.

  TARGET   FILE.py, or FILE.py:NAME where the file has several apps"""

_EXAMPLES = """\
examples:
  iii dev orders.py
  iii dev shop/app.py:orders --watch lib

exit codes: 0 stopped by a signal, 1 no such app, 2 wrong usage"""


def run(arguments: list[str]) -> int:
    """Watch until a signal comes."""
    options = build_parser().parse(arguments)
    try:
        path, _ = split(options.target)
        folders = [path.parent, *map(Path, options.watch)]
        for folder in folders:
            if not folder.exists():
                return fail(f"--watch: no folder '{folder}'")
        return _watch(_Child(options.target, options.url), folders)
    except (NoApp, NoWatcher) as error:
        return fail(str(error))


def build_parser() -> Parser:
    """All options and arguments of `iii dev`."""
    parser = Parser("iii dev", _DESCRIPTION, "iii dev TARGET [--url URL] [--watch FOLDER …]", _EXAMPLES)
    parser.add_argument("target", metavar="TARGET", help="file with the app")
    parser.add_argument("--url", help="URL of the engine (default: III_URL, else ws://127.0.0.1:49134)")
    parser.add_argument("--watch", action="append", default=[], metavar="FOLDER", help="another folder to watch")
    return parser


def _watch(child: "_Child", folders: Sequence[Path]) -> int:
    stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    watched = changes(folders, stop)
    try:
        child.keep([])
        for changed in watched:
            child.keep(changed)
    finally:
        child.stop()
    return 0


class _Child:
    """The process of the app."""

    def __init__(self, target: str, url: str | None) -> None:
        self._pipe = os.pipe()  # which the system closes with this process
        self._command = [sys.executable, "-m", "iii.cli.app_target", target, str(self._pipe[0])]
        self._environment = os.environ | ({"III_URL": url} if url else {})
        self._process: subprocess.Popen[bytes] | None = None
        self._told = False  # that it has ended

    def keep(self, changed: list[str]) -> None:
        """Start it, at first and after a change; say once that it has ended by itself."""
        if changed:
            print(
                f"iii dev: {', '.join(os.path.relpath(each) for each in changed)} changed; restarting", file=sys.stderr
            )
            self.stop()
            _forget_compiled(changed)
        if self._process is None:
            self._process = subprocess.Popen(self._command, env=self._environment, pass_fds=self._pipe[:1])
            self._told = False
        elif self._process.poll() is not None and not self._told:
            print(f"iii dev: the app ended with code {self._process.returncode}; waiting for a change", file=sys.stderr)
            self._told = True

    def stop(self) -> None:
        """Let it end as in production, or kill it."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            print(f"iii dev: the app did not end within {STOP_S:g} s; killed", file=sys.stderr)
            process.kill()
            process.wait()


def _forget_compiled(sources: Sequence[str]) -> None:
    """A compiled file counts as that of any source of the same second and size: it would run what was there before."""
    for each in sources:
        with suppress(OSError):  # nearly always there is none
            os.unlink(cache_from_source(each))
