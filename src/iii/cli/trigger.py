"""`iii trigger`: call a function and print its result (07 §8.2)."""

import argparse
import sys
from collections.abc import Callable
from importlib import import_module

from iii.cli.address import ENVIRONMENT, Address, add_address_options, address_of
from iii.cli.parser import Parser, fail

_OTHERS = ("list", "fire")  # a function of such a name is called with --function-id
_DESCRIPTION = """\
Calls a function of a connected worker, or of the engine itself, and prints its result as JSON.
'iii trigger list' lists triggers, 'iii trigger fire' runs what one calls: both have a help of their own.

  FUNCTION_PATH   id of the function, such as math::add
  KEY=VALUE       a member of the payload; VALUE is read as JSON if it is valid JSON
                  (2, true, null, '[1]'), else as text"""

_EXAMPLES = f"""\
examples:
  iii trigger math::add a=2 b=3
  iii trigger users::create --json '{{"name": "Ada", "tags": ["x"]}}'
  iii trigger users::create --json '{{"name": "Ada"}}' age=36      pairs override --json
  iii trigger math::add --help                                   parameters of this function
  iii trigger --function-id math::add --payload '{{"a": 2}}'       the older spelling

{ENVIRONMENT}

exit codes: 0 answered (nothing is printed for null), 1 the call failed, or the payload is not valid,
2 wrong usage"""


def run(arguments: list[str]) -> int:
    """Parse, connect, call, print."""
    if arguments and arguments[0] in _OTHERS:
        command: Callable[[list[str]], int] = import_module(f"iii.cli.trigger_{arguments[0]}").run
        return command(arguments[1:])
    parser = build_parser()
    options = parser.parse(arguments)
    words: list[str] = options.words
    function_id: str | None = options.function_id
    if function_id is not None and words and "=" not in words[0]:
        parser.error(f"both --function-id and FUNCTION_PATH ('{words[0]}') are given; keep one")
    if options.json is not None and options.payload is not None:
        parser.error("both --json and --payload are given; keep one")
    if function_id is None and words and "=" not in words[0]:
        function_id, words = words[0], words[1:]
    address = address_of(options, parser)
    blank = function_id is None or not function_id.strip()
    if options.help and blank:
        parser.print_help()
        return 0
    if options.namespace is not None and not options.namespace.strip():
        return fail("namespace is empty: --namespace was given and left blank; name one, or leave it out for 'default'")
    if function_id is None or blank:
        if options.payload is not None:
            parser.error("--payload needs --function-id ID")
        if not arguments:
            parser.print_help()
        return fail("iii trigger: missing FUNCTION_PATH. Try: iii trigger math::add a=2 b=3")
    if options.help:
        from iii.cli.function_help import print_function_help

        return print_function_help(address, function_id, options.namespace, parser)
    return _call(address, function_id, words, options)


def build_parser() -> Parser:
    """All options and arguments of `iii trigger`."""
    parser = Parser(
        "iii trigger", _DESCRIPTION, "iii trigger FUNCTION_PATH [KEY=VALUE …] [options]", _EXAMPLES, add_help=False
    )
    parser.add_argument("words", nargs="*", help=argparse.SUPPRESS)
    parser.add_argument(
        "--json", metavar="JSON", help="payload, any JSON value (default: {}); must be an object beside pairs"
    )
    parser.add_argument("-n", "--namespace", metavar="NS", help="namespace of the function (default: default)")
    add_address_options(parser)
    parser.add_argument("--function-id", metavar="ID", help="older spelling of FUNCTION_PATH")
    parser.add_argument("--payload", metavar="JSON", help="older spelling of --json")
    parser.add_argument(
        "-h", "--help", action="store_true", help="show this help; after FUNCTION_PATH, parameters of that function"
    )
    return parser


def _call(address: Address, function_id: str, pairs: list[str], options: argparse.Namespace) -> int:
    from iii.cli.payload import PayloadMistake, payload_of

    json_text, flag = (options.json, "--json") if options.payload is None else (options.payload, "--payload")
    try:
        payload = payload_of(pairs, json_text, flag)
    except PayloadMistake as error:
        return fail(str(error))

    from iii.cli.engine_call import ask
    from iii.cli.known import function_meant
    from iii.cli.output import json_text as as_json
    from iii.protocol.errors import FunctionNotFound, InvocationError
    from iii.protocol.suggestion import nearest

    try:
        answer = ask(address, "trigger", function_id, payload, options.namespace)
    except InvocationError as error:
        near = function_meant(address, "trigger", function_id, error.code)
        if not near and error.code == FunctionNotFound.code and (command := nearest(function_id, _OTHERS)) is not None:
            near = f" Did you mean 'iii trigger {command}'?"
        message = error.message + near.replace(", did", " Did")
        if sys.stderr.isatty():
            return fail(_for_people(error.code, message, error.stacktrace))
        body = {"code": error.code, "message": message}
        if error.stacktrace is not None:
            body["stacktrace"] = error.stacktrace
        return fail(as_json(body, sort_keys=False))
    if answer.result is not None:
        print(as_json(answer.result))
    return 0


def _for_people(code: str, message: str, stacktrace: str | None) -> str:
    """Message first; the stack trace of the worker below, line by line."""
    from iii.cli.output import one_text

    lines = [f"{one_text(code)}: {one_text(message)}"]
    if stacktrace:
        lines += ["", "in the worker:", *(f"  {one_text(line)}" for line in stacktrace.rstrip().splitlines())]
    return "\n".join(lines)
