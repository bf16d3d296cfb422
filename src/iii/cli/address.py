"""Which engine a command talks to, and how long it waits (07 §8.2)."""

import argparse
import os
from typing import NamedTuple

from iii.cli.parser import CommandFailed, Parser
from iii.protocol.address import fault_of, masked
from iii.protocol.limits import INVOCATION_TIMEOUT_MS

DEFAULT_HOST = "localhost"
DEFAULT_PORT = 49_134
ENVIRONMENT = """\
environment:
  III_URL         URL of the engine, if neither --url, --address nor --port is given
  III_TOKEN       sent as 'Authorization: Bearer …', for listeners with access control
  III_TOKEN_FILE  file with the token, if III_TOKEN is not set"""


class Address(NamedTuple):
    """An engine and the longest wait for its answer."""

    url: str
    timeout_ms: int


def add_address_options(parser: Parser) -> None:
    """The options that all commands share which talk to an engine."""
    parser.add_argument(
        "--url", help=f"URL of the engine, ws://HOST:PORT or wss://HOST (default: ws://{DEFAULT_HOST}:{DEFAULT_PORT})"
    )
    parser.add_argument("--address", metavar="HOST", help=f"host of the engine (default: {DEFAULT_HOST})")
    parser.add_argument("--port", type=_port, metavar="N", help=f"port of the engine (default: {DEFAULT_PORT})")
    parser.add_argument(
        "--timeout-ms",
        "--timeout",
        type=_milliseconds,
        default=INVOCATION_TIMEOUT_MS,
        metavar="N",
        help=f"longest wait for the answer, in milliseconds (default: {INVOCATION_TIMEOUT_MS})",
    )


def add_watch_option(parser: Parser) -> None:
    """The option of commands that print a table."""
    parser.add_argument(
        "--watch", action="store_true", help="show it again every 2 s, until Ctrl-C; a file or a pipe gets it once"
    )


def address_of(options: argparse.Namespace, parser: Parser) -> Address:
    """The engine that the options, or else III_URL, name. Wrong usage ends the process.

    Raises:
        CommandFailed: the file with the token cannot be read.
    """
    _check_token_file()
    named = options.address is not None or options.port is not None
    if options.url is not None and named:
        parser.error("--url and --address or --port are given; keep one")
    if options.url is not None:
        return Address(_checked(options.url, "--url", parser), options.timeout_ms)
    environment = os.environ.get("III_URL", "").strip()
    if environment and not named:
        return Address(_checked(environment, "environment variable III_URL", parser), options.timeout_ms)
    host = DEFAULT_HOST if options.address is None else options.address.strip()
    if not host or "/" in host:
        parser.error(f"--address: expected a host name or address, got '{options.address}'; for a URL use --url")
    if ":" in host and not host.startswith("["):
        host = f"[{host}]"  # an IPv6 address, or a port that belongs in --port
    port = DEFAULT_PORT if options.port is None else options.port
    return Address(_checked(f"ws://{host}:{port}", "--address", parser), options.timeout_ms)


def _check_token_file() -> None:
    if os.environ.get("III_TOKEN_FILE", "").strip():
        from iii.sdk.engine_address import handshake_headers  # not loaded for `--help`

        try:
            handshake_headers(None)
        except ValueError as error:
            raise CommandFailed(str(error)) from None


def _checked(url: str, place: str, parser: Parser) -> str:
    fault = fault_of(url)
    if fault is not None:
        parser.error(f"{place}: expected ws://HOST:PORT or wss://HOST, got '{masked(url)}'{fault}")
    return url


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= 65_535:
        raise argparse.ArgumentTypeError(f"expected a port from 1 to 65535, got '{text}'")
    return int(text)


def _milliseconds(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"expected milliseconds of 1 or more, got '{text}'")
    return int(text)
