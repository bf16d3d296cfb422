"""`iii console`: serve the web console of an engine (23 §8)."""

from __future__ import annotations

import argparse
import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from iii.cli.address import add_secured_options, address_of
from iii.cli.parser import CommandFailed, Parser
from iii.protocol.limits import INVOCATION_TIMEOUT_MS

if TYPE_CHECKING:
    from iii.console.remote import RemoteConsole

PROGRAM = "iii console"
TOKEN = "III_CONSOLE_TOKEN"
_DESCRIPTION = """\
Serves the web console of an engine, on this machine or another one, until Ctrl-C.
An engine serves its console itself, at http://127.0.0.1:3113; this command is for engines whose console cannot be reached.
It starts without the engine, and connects when the engine is there."""
_EPILOG = f"""\
examples:
  {PROGRAM} --url ws://engine.internal:49134 --port 4000
  {PROGRAM} --host 0.0.0.0 --login-token-file console.token

environment:
  III_URL              URL of the engine, if neither --url, --engine-host, --bridge-port nor --context is given
  III_CONTEXT          context, if nothing above names an engine; else the one that 'iii context use' chose
  III_TOKEN            sent to the engine; all visitors have the rights of this token: one of an observer makes a console that
                       changes nothing
  III_TOKEN_FILE       file with that token, if III_TOKEN is not set
  {TOKEN}    token with which visitors log in; needed for a --host that other machines reach
  III_ENABLE_FLOW      same as --enable-flow, if it is 1 or true
docs: docs/how-to/console.md"""


def build_parser() -> Parser:
    """All options of the command."""
    parser = Parser(PROGRAM, _DESCRIPTION, f"{PROGRAM} [options]", _EPILOG)
    parser.add_argument(
        "-p", "--port", type=_port, default=3113, metavar="N", help="port of the console (default: 3113)"
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="address that the console binds to (default: 127.0.0.1, this machine only)"
    )
    parser.add_argument("--url", help="URL of the engine's worker port, ws://HOST:PORT or wss://HOST")
    parser.add_argument(
        "--engine-host", metavar="HOST", help="host of the engine (default: that of --url, or 127.0.0.1)"
    )
    parser.add_argument(
        "--engine-port", type=_port, default=3111, metavar="N", help="HTTP port of the engine (default: 3111)"
    )
    parser.add_argument(
        "--ws-port", type=_port, default=3112, metavar="N", help="stream port of the engine (default: 3112)"
    )
    parser.add_argument(
        "--engine-tls", action=argparse.BooleanOptionalAction, default=None,
        help="whether these two ports have TLS (default: as --url, ws:// or wss://); the options below count for them too",
    )  # fmt: skip
    add_secured_options(parser)
    parser.add_argument("--bridge-port", type=_port, metavar="N", help="worker port of the engine (default: 49134)")
    parser.add_argument(
        "--login-token-file", metavar="FILE", help=f"file with the token with which visitors log in; instead of {TOKEN}"
    )
    parser.add_argument(
        "--allowed-host", action="append", default=[], metavar="NAME",
        help="host name by which browsers address the console, such as that of a proxy; may be given several times",
    )  # fmt: skip
    parser.add_argument("--enable-flow", action="store_true", help="show the page Flow in the navigation")
    parser.add_argument(
        "--engine-routes",
        action="store_true",
        help="serve _console/… on the HTTP port of the engine too, without a login: for scripts of the published console",
    )
    parser.add_argument("--log-level", default="info", metavar="LEVEL", help="log level (default: info)")
    parser.add_argument(
        "--no-otel", action="store_true", help="accepted and ignored; the console has no telemetry of its own"
    )
    parser.add_argument("--otel-service-name", metavar="NAME", help=argparse.SUPPRESS)
    return parser


def run(arguments: list[str]) -> int:
    """`iii console …`"""
    parser = build_parser()
    options = parser.parse(arguments)

    from iii.console.remote import serve
    from iii.protocol.start_failure import StartFailure
    from iii.server import log

    told = _told(options, parser)
    writer = log.configure(options.log_level, "default")
    try:
        asyncio.run(serve(told))
    except (StartFailure, ValueError) as error:  # a file of certificates is unusable
        raise CommandFailed(str(error)) from None
    finally:
        writer.flush()
    return 0


def _told(options: argparse.Namespace, parser: Parser) -> RemoteConsole:
    from iii.console.remote import RemoteConsole, config_of
    from iii.protocol.address import is_loopback

    named = argparse.Namespace(**vars(options), address=options.engine_host, timeout_ms=INVOCATION_TIMEOUT_MS)
    named.port = options.bridge_port
    address = address_of(named, parser)
    token = _login_token(options.login_token_file)
    if token is None and not is_loopback(options.host):
        parser.error(
            f"--host: {options.host} is an address that other machines reach, so visitors have to log in: "
            f"give --login-token-file or {TOKEN}"
        )
    flow = options.enable_flow or os.environ.get("III_ENABLE_FLOW", "").strip().lower() in ("1", "true")
    config = config_of(options.host, options.port, enable_flow=flow, allowed_hosts=tuple(options.allowed_host))
    engine_host = options.engine_host or urlsplit(address.url).hostname or "127.0.0.1"
    engine_tls = address.url.lower().startswith("wss:") if options.engine_tls is None else options.engine_tls
    return RemoteConsole(
        address.url, engine_host, options.engine_port, options.ws_port, config, token, options.engine_routes,
        address.headers, address.tls, engine_tls,
    )  # fmt: skip


def _login_token(file: str | None) -> str | None:
    """Raises CommandFailed."""
    from iii.protocol.access_token import fault_of_token

    place = TOKEN
    text = os.environ.get(TOKEN, "").strip()
    if file is not None:
        place = f"--login-token-file: {file}"
        try:
            text = Path(file).read_text().strip()
        except (OSError, UnicodeError) as error:
            raise CommandFailed(f"{place}: {getattr(error, 'strerror', None) or error}") from None
    elif not text:
        return None
    if (fault := fault_of_token(text)) is not None:
        raise CommandFailed(f"{place}: {fault}; `iii token create` makes one")
    return text


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= 65_535:
        raise argparse.ArgumentTypeError(f"expected a port from 1 to 65535, got '{text}'")
    return int(text)
