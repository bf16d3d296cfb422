"""`iii worker disconnect`: end the connection of a worker, which reconnects by itself (09 §4)."""

from iii.cli.address import ENVIRONMENT, add_address_options, address_of
from iii.cli.parser import Parser, fail
from iii.cli.worker_name import add_worker_options, worker_named
from iii.protocol.names import DISCONNECT_WORKER

_PROGRAM = "iii worker disconnect"
_DESCRIPTION = """\
Ends the connection of a worker at once: calls that it runs fail with invocation_stopped, and its functions go to
other owners. Its client reconnects by itself: this is for a worker that hangs, or whose rights have changed.
To take a worker out of service use 'iii worker drain'."""
_EXAMPLES = f"""\
examples:
  {_PROGRAM} orders
  {_PROGRAM} 0b1f3c4d-5e6f-4a7b-8c9d-0e1f2a3b4c5d --yes

{ENVIRONMENT}

exit codes: 0 disconnected, 1 not connected, or not confirmed, 2 wrong usage"""


def build_parser() -> Parser:
    """All options and arguments of the command."""
    parser = Parser(_PROGRAM, _DESCRIPTION, f"{_PROGRAM} ID|NAME [options]", _EXAMPLES)
    add_worker_options(parser)
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    add_address_options(parser)
    return parser


def run(arguments: list[str]) -> int:
    """`iii worker disconnect …`"""
    parser = build_parser()
    options = parser.parse(arguments)
    address = address_of(options, parser)

    from iii.cli.engine_call import ask
    from iii.cli.known import worker_meant
    from iii.cli.output import counted, json_text
    from iii.cli.question import is_meant, needs_terminal
    from iii.protocol.errors import FunctionNotFound, InvocationError

    if not options.yes:
        needs_terminal(f"disconnect fails what the worker runs: add --yes to disconnect '{options.worker}'", parser)
        if not is_meant(f"Disconnect worker '{options.worker}', and fail what it runs?"):
            return fail("nothing was disconnected")
    try:
        done = ask(address, "worker", DISCONNECT_WORKER, worker_named(options)).result
    except FunctionNotFound:
        return fail("this engine cannot disconnect workers; update it")
    except InvocationError as error:
        near = worker_meant(address, "worker", options.worker) if error.code == "NOT_FOUND" else ""
        return fail(f"{error.code}: {error.message}{near.replace(', did', ' Did')}")
    if options.json:
        print(json_text(done))
    else:
        failed = f"; {counted(done['calls_failed'], 'call')} failed" if done["calls_failed"] else ""
        print(f"Worker '{done['worker_name'] or done['worker_id']}' is disconnected{failed}.")
    return 0
