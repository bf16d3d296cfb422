"""`iii context …`: names for engines, so that commands need no address, token and certificates (22 §6)."""

from __future__ import annotations

import argparse
import os
import re
from typing import Any

from iii.cli.context_place import NONE, contexts_file
from iii.cli.contexts import Context, Contexts, read_contexts, write_contexts
from iii.cli.parser import USAGE_ERROR, CommandFailed, Parser

PROGRAM = "iii context"
_DESCRIPTION = f"""\
Keeps names for engines. Every command that asks an engine asks the one in use, or the one that --context names.

  add NAME --url URL     keep a name for an engine; one that exists is replaced
  use NAME               let commands ask that engine from now on; '{NONE}': the engine of this machine
  list                   print all names; * marks the one in use
  show [NAME]            print what is kept of one, by default of the one in use
  remove NAME            forget a name"""
_EXAMPLES = f"""\
examples:
  {PROGRAM} add prod --url wss://engine.example.com:49134 --token-file ~/prod.token --ca-file ca.pem
  {PROGRAM} use prod
  iii worker list
  iii worker list --context {NONE}

Tokens are not kept, only where they are: the file or the environment variable. The names are in
$XDG_CONFIG_HOME/iii/contexts.yaml, by default ~/.config/iii/contexts.yaml.
docs: docs/how-to/tls.md"""
_USAGE = {"add": "NAME --url URL", "use": "NAME", "list": "", "show": "[NAME]", "remove": "NAME"}
_FILES = ("token_file", "ca_file", "client_cert", "client_key")
_KEPT = ("url", "token_env", *_FILES, "server_name")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}").fullmatch


def build_parser() -> Parser:
    """All options and arguments of the command."""
    parser = Parser(PROGRAM, _DESCRIPTION, f"{PROGRAM} add|use|list|show|remove [NAME] [options]", _EXAMPLES)
    parser.add_argument("words", nargs="*", help="subcommand and its arguments")
    parser.add_argument("--url", help="add: URL of the engine, ws://HOST:PORT or wss://HOST")
    parser.add_argument("--token-file", metavar="FILE", help="add: file with the token")
    parser.add_argument("--token-env", metavar="NAME", help="add: environment variable with the token")
    parser.add_argument("--ca-file", metavar="FILE", help="add: authorities that may have signed the certificate")
    parser.add_argument("--client-cert", metavar="FILE", help="add: own certificate; --client-key is its key")
    parser.add_argument("--client-key", metavar="FILE", help="add: key of --client-cert")
    parser.add_argument("--server-name", metavar="NAME", help="add: name in the certificate, if not the host")
    parser.add_argument("--json", action="store_true", help="list, show: print JSON")
    parser.add_argument("--names", action="store_true", help="list: print names alone, a line each")
    return parser


def run(arguments: list[str]) -> int:
    """`iii context …`"""
    parser = build_parser()
    options = parser.parse(arguments)
    if options.words[:1] != ["add"]:
        given = next((name for name in _KEPT if getattr(options, name) is not None), None)
        if given is not None:
            parser.error(f"--{given.replace('_', '-')} is for 'add'")
    match options.words:
        case ["add", name]:
            return _add(name, options, parser)
        case ["use", name]:
            return _use(name)
        case ["list"]:
            return _list(options)
        case ["show"]:
            return _show(None, options.json)
        case ["show", name]:
            return _show(name, options.json)
        case ["remove", name]:
            return _remove(name)
        case []:
            parser.print_help()
            return USAGE_ERROR
    parser.refuse_words(options.words, _USAGE)


def _add(name: str, options: argparse.Namespace, parser: Parser) -> int:
    from iii.protocol.address import fault_of, masked

    if name == NONE or not _NAME(name):
        parser.error(f"NAME: '{name}' is not allowed; up to 64 letters, digits, '.', '_' and '-', and not '{NONE}'")
    if options.url is None:
        parser.error("--url is missing; usage: iii context add NAME --url URL")
    if (fault := fault_of(options.url)) is not None:
        parser.error(f"--url: expected ws://HOST:PORT or wss://HOST, got '{masked(options.url)}'{fault}")
    if masked(options.url) != options.url:
        parser.error("--url: a user, password or query is not kept; give the token with --token-file or --token-env")
    if options.token_file is not None and options.token_env is not None:
        parser.error("--token-file and --token-env are given; keep one")
    if (options.client_cert is None) != (options.client_key is None):
        parser.error("--client-cert and --client-key belong together; give both")
    kept: dict[str, Any] = {name: getattr(options, name) for name in _KEPT}
    for each in _FILES:
        if kept[each] is not None:
            kept[each] = os.path.abspath(os.path.expanduser(kept[each]))
            if not os.access(kept[each], os.R_OK):
                raise CommandFailed(f"--{each.replace('_', '-')}: cannot read {kept[each]}; correct the path")
    path = contexts_file()
    known = read_contexts(path)
    write_contexts(path, Contexts(current=known.current, contexts={**known.contexts, name: Context(**kept)}))
    print(f"Context '{name}' is {options.url}. 'iii context use {name}' lets commands ask that engine.")
    return 0


def _use(name: str) -> int:
    path = contexts_file()
    known = read_contexts(path)
    if name != NONE:
        known.named(name, PROGRAM)
    write_contexts(path, Contexts(current=None if name == NONE else name, contexts=known.contexts))
    print(f"Commands ask {'the engine of this machine' if name == NONE else known.contexts[name].url} from now on.")
    return 0


def _list(options: argparse.Namespace) -> int:
    from iii.cli.output import json_text, print_table

    known = read_contexts(contexts_file())
    if options.names:
        print("\n".join((*sorted(known.contexts), NONE)))
    elif options.json:
        print(
            json_text(
                [
                    {"name": name, "current": name == known.current, **_shown(each)}
                    for name, each in sorted(known.contexts.items())
                ]
            )
        )
    elif not known.contexts:
        print("No contexts.")
    else:
        print_table(
            ["", "NAME", "URL", "TOKEN", "CLIENT CERTIFICATE"],
            [
                ["*" if name == known.current else "", name, each.url, _token(each), each.client_cert or "-"]
                for name, each in sorted(known.contexts.items())
            ],
        )
    return 0


def _show(name: str | None, as_json: bool) -> int:
    from iii.cli.output import json_text, one_text

    known = read_contexts(contexts_file())
    shown = known.current if name is None else name
    if shown is None:
        raise CommandFailed("no context is in use; 'iii context use NAME' takes one")
    members = {"name": shown, **_shown(known.named(shown, PROGRAM))}
    if as_json:
        print(json_text(members))
    else:
        for key, value in members.items():
            print(f"{key + ':':<13} {one_text(str(value))}")
    return 0


def _remove(name: str) -> int:
    path = contexts_file()
    known = read_contexts(path)
    known.named(name, PROGRAM)
    left = {each: context for each, context in known.contexts.items() if each != name}
    write_contexts(path, Contexts(current=None if known.current == name else known.current, contexts=left))
    return 0


def _shown(context: Context) -> dict[str, str]:
    return {name: value for name in _KEPT if (value := getattr(context, name)) is not None}


def _token(context: Context) -> str:
    return f"${context.token_env}" if context.token_env is not None else context.token_file or "-"
