"""`iii token …`: make access tokens for worker listeners, and their hashes (20 §2)."""

from __future__ import annotations

import getpass
import os
import sys

from iii.cli.parser import USAGE_ERROR, Parser, fail
from iii.protocol.access_token import LONGEST, fault_of_token, hash_of, new_token

PROGRAM = "iii token"
_DESCRIPTION = """\
Makes tokens for worker listeners with access control (`rbac.tokens`). No engine is needed.

  create   make a token: print the token, and the hash for the configuration
  hash     print the hash of a token, which is read from standard input"""
_EXAMPLES = f"""\
examples:
  {PROGRAM} create
  {PROGRAM} create --output deploy.token    # the file gets the token, the terminal the hash
  {PROGRAM} hash < deploy.token

The engine is given the hash (`hash: sha256:…`), the client the token, as III_TOKEN or III_TOKEN_FILE.
docs: docs/how-to/access.md"""
_VERBS = ("create", "hash")


def build_parser() -> Parser:
    """All options and arguments of the command."""
    parser = Parser(PROGRAM, _DESCRIPTION, f"{PROGRAM} create [--output FILE] | hash", _EXAMPLES)
    parser.add_argument("words", nargs="*", help="subcommand")
    parser.add_argument("-o", "--output", metavar="FILE", help="new file for the token, readable by its user only")
    return parser


def run(arguments: list[str]) -> int:
    """`iii token …`"""
    parser = build_parser()
    options = parser.parse(arguments)
    match options.words:
        case ["create"]:
            return _create(options.output)
        case ["hash"] if options.output is None:
            return _hash()
        case ["hash"]:
            parser.error("--output is for 'create'")
        case []:
            parser.print_help()
            return USAGE_ERROR
        case [verb, *_] if verb not in _VERBS:
            parser.refuse_command(verb, _VERBS)
    parser.error(f"wrong number of arguments; usage: {PROGRAM} create | hash")


def _create(output: str | None) -> int:
    token = new_token()
    if output is None:
        print(f"token: {token}\nhash:  {hash_of(token)}")
        return 0
    try:
        file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        return fail(f"cannot create {output}: {error.strerror}")
    with os.fdopen(file, "w") as opened:
        opened.write(f"{token}\n")
    print(f"hash:  {hash_of(token)}")
    return 0


def _hash() -> int:
    if sys.stdin.isatty():
        token = getpass.getpass("token: ").strip()
    else:
        token = sys.stdin.read(LONGEST + 2).strip()
    fault = fault_of_token(token)
    if fault is not None:
        return fail(fault)
    print(hash_of(token))
    return 0
