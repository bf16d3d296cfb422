"""`iii`: run the engine in the foreground (07 §8.1, §4.1)."""

import gc
import os
import signal
import sys
from pathlib import Path

from iii.cli.parser import Parser, fail
from iii.protocol.suggestion import nearest
from iii.protocol.versions import PACKAGE_VERSION

DEFAULT_PATH = "config.yaml"

_DESCRIPTION = """\
Runs the iii engine: workers connect to it, register functions and triggers, and call each other.
It reads config.yaml in the current directory, which is created when missing, and runs until Ctrl-C.

commands:
  trigger         call a function and print its result
  worker list     list connected workers
  worker drain    let a worker end its calls and leave
  function list   list functions
  routes          list HTTP routes
  observer        list functions that run after calls of others, and whether they do
  health          tell whether the engine is well
  top             show what happens right now: calls, workers, queues
  traces          list traces: what calls caused, the slowest or those that failed
  trace           show one trace as a waterfall
  logs            show log records of workers and of the engine
  metrics         show calls by function, and metrics of workers
  state           read and write shared state
  queue           list queues, topics and dead letters; retry dead letters
  publish         publish an event to a topic
  cron            list schedules, next times of an expression, run one now
  stream          read and write streams, follow the events of a group
  codegen         write a client for the functions of other workers
  config          check a configuration file, show what it means, compare it with a running engine
  console         serve the web console of an engine that is elsewhere
  store           back up and restore embedded stores, check them for damage, salvage damaged ones
  init            make a project: a worker with tests, configuration, Dockerfile
  dev             run an app, and restart it when its source changes
  token           make access tokens and their hashes
  context         keep names for engines, with their tokens and certificates
  completion      print a script with which a shell completes commands
  update          show how to upgrade this installation
  ('iii COMMAND --help' tells more)"""

_EXAMPLES = """\
examples:
  iii                                   run the engine with ./config.yaml
  iii -c staging.yaml                   run it with another file
  iii --host 0.0.0.0                    let other machines connect
  iii trigger math::add a=2 b=3         call a function of a connected worker

environment:
  III_HOST                  same as --host
  III_NAMESPACE_GRACE_MS    longest wait for a worker to say its namespace, in ms (default 5000)

exit codes: 0 stopped by a signal, 1 could not start, 2 wrong usage
docs: docs/reference/configuration.md, docs/reference/cli.md"""


def run(arguments: list[str]) -> int:
    """Run the engine until a signal ends it."""
    parser = build_parser()
    options = parser.parse(arguments)
    if options.version:
        print(PACKAGE_VERSION)
        return 0
    if options.use_default_config and options.config is not None:
        parser.error("--use-default-config and --config are both given; keep one")
    files: list[str] = options.config or [DEFAULT_PATH]
    if len(files) > 1:
        parser.error(f"--config is given {len(files)} times ({', '.join(files)}); keep one")
    if not files[0]:
        parser.error("--config: expected the name of a file, got nothing")
    if options.host is not None and not options.host.strip():
        parser.error("--host: expected a host name or address, got nothing")

    gc.disable()  # nearly all that a start makes stays: to look through it again and again took a tenth of the time
    from iii.protocol.start_failure import StartFailure
    from iii.server import config_file
    from iii.server.stored_settings import Stored

    try:
        path = Path(files[0])

        def read(stored: Stored | None = None) -> config_file.ServerConfig:
            if options.use_default_config:
                return config_file.without_file(host=options.host, stored=stored)
            return config_file.load(path, host=options.host, stored=stored)

        if options.use_default_config:
            config = read()
        else:
            if not os.path.exists(path) and not _create(path):
                return 1
            config = read()
        from iii.server import process

        return process.run(config, read, strict=options.reload_strict)
    except StartFailure as error:
        return fail(str(error))
    finally:
        gc.enable()


def build_parser() -> Parser:
    """All options of the engine command."""
    parser = Parser(
        "iii", _DESCRIPTION, "iii [-c FILE | --use-default-config] [--host HOST]\n       iii COMMAND …", _EXAMPLES
    )
    parser.add_argument(
        "-c", "--config", action="append", metavar="FILE", help=f"configuration file (default: {DEFAULT_PATH})"
    )
    parser.add_argument(
        "--use-default-config", action="store_true", help="run the default modules; neither read nor create a file"
    )
    parser.add_argument(
        "--host", help="address that all listeners bind to; overrides the file (default: 127.0.0.1, this machine only)"
    )
    parser.add_argument(
        "--reload-strict",
        action="store_true",
        help="exit when the changed file has a mistake, instead of running on with the old settings",
    )
    parser.add_argument("-v", "--version", action="store_true", help="print the version")
    parser.add_argument(
        "--no-update-check", action="store_true", help="accepted and ignored; iii never checks for updates"
    )
    return parser


def _create(path: Path) -> bool:
    """Create the file (07 §4.1); on a terminal only if the person agrees.

    Raises StartFailure if it cannot be written, or if it is probably the misspelt name of a file that is there: nobody
    is asked then, and an engine with other settings than the meant ones loses what it is given.
    """
    from iii.protocol.start_failure import StartFailure
    from iii.server import config_text

    folder = path.absolute().parent
    if sys.stdin.isatty() and sys.stderr.isatty():
        if not _wanted(f"No {path.name} found in {folder}. Create it and start the engine? [Y/n] "):
            print("Nothing created, engine not started.", file=sys.stderr)
            return False
    elif near := _nearest_file(path):
        raise StartFailure(f"Config file not found: '{path}', did you mean '{near}'? To create it: touch {path}")
    config_text.create(path)
    print(
        f"Created {path}, which lists the modules that run. iii applies changes of it while it runs.", file=sys.stderr
    )
    return True


def _wanted(question: str) -> bool:
    """Raises KeyboardInterrupt at Ctrl-C: who is asked ends the command, and no engine."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    print(question, end="", file=sys.stderr, flush=True)
    answer = sys.stdin.readline().strip().lower()
    signal.signal(signal.SIGINT, before)
    return answer in ("", "y", "yes")


def _nearest_file(path: Path) -> Path | None:
    """A configuration file in the same folder with almost this name."""
    try:
        names = [each.name for each in path.parent.iterdir() if each.suffix in (".yaml", ".yml")]
    except OSError:
        return None  # creating the file says more
    near = nearest(path.name, names, 0.7)
    return path.with_name(near) if near else None
