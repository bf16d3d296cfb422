"""Which engine a command talks to, how it proves who it is, and how long it waits (07 §8.2, 22 §6)."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from iii.cli.context_place import NONE, contexts_file
from iii.cli.parser import CommandFailed, Parser
from iii.protocol.address import fault_of, masked, shows_token
from iii.protocol.limits import INVOCATION_TIMEOUT_MS

if TYPE_CHECKING:
    from iii.cli.contexts import Context

DEFAULT_HOST = "localhost"
DEFAULT_PORT = 49_134
ENVIRONMENT = """\
environment:
  III_URL         URL of the engine, if neither --url, --address, --port nor --context is given
  III_CONTEXT     context, if nothing above names an engine; else the one that 'iii context use' chose
  III_TOKEN       sent as 'Authorization: Bearer …', for listeners with access control
  III_TOKEN_FILE  file with the token, if III_TOKEN is not set
  III_CA_FILE, III_CLIENT_CERT, III_CLIENT_KEY, III_SERVER_NAME  as the options"""
_TLS = ("ca_file", "client_cert", "client_key", "server_name")
_NOTHING: Mapping[str, str] = MappingProxyType({})


class Address(NamedTuple):
    """An engine and the longest wait for its answer.

    Attributes:
        headers: of the handshake; None: those of the environment.
        tls: fields of `TlsOptions`.
    """

    url: str
    timeout_ms: int
    headers: Mapping[str, str] | None = None
    tls: Mapping[str, object] = _NOTHING


class _Place(NamedTuple):
    """Attributes:
    context: that the URL is of.
    named: by an option, so that it wins over the environment.
    """

    url: str
    context: Context | None = None
    named: bool = False
    name: str = ""


def add_address_options(parser: Parser) -> None:
    """The options that all commands share which talk to an engine."""
    parser.add_argument(
        "--url", help=f"URL of the engine, ws://HOST:PORT or wss://HOST (default: ws://{DEFAULT_HOST}:{DEFAULT_PORT})"
    )
    parser.add_argument("--address", metavar="HOST", help=f"host of the engine (default: {DEFAULT_HOST})")
    parser.add_argument("--port", type=_port, metavar="N", help=f"port of the engine (default: {DEFAULT_PORT})")
    add_secured_options(parser)
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


def add_secured_options(parser: Parser) -> None:
    """Those about contexts and certificates."""
    parser.add_argument("--context", metavar="NAME", help="engine of that name, see 'iii context'")
    parser.add_argument("--ca-file", metavar="FILE", help="authorities that may have signed the engine's certificate")
    parser.add_argument("--client-cert", metavar="FILE", help="own certificate, for engines that ask for one")
    parser.add_argument("--client-key", metavar="FILE", help="key of --client-cert")
    parser.add_argument("--server-name", metavar="NAME", help="name in the engine's certificate, if not the host")
    parser.add_argument("--insecure", action="store_true", help="do not verify the engine's certificate; warns")


def address_of(options: argparse.Namespace, parser: Parser) -> Address:
    """The engine that the options, or else the environment, or else a context name. Wrong usage ends the process.

    Raises:
        CommandFailed: the context, the file with the token, or one of certificates is unusable.
    """
    place = _place_of(options, parser)
    tls = _tls_of(options, place)
    address = Address(place.url, options.timeout_ms, _headers_of(place), tls)
    from_environment = any(os.environ.get(name, "").strip() for name in ("III_TOKEN", "III_TOKEN_FILE"))
    if (
        from_environment
        or address.headers is not None
        or not place.url.lower().startswith("ws:")
        or shows_token(place.url, {})
    ):
        _check(address)
        if options.insecure:
            print(
                f"warning: the certificate of {masked(place.url)} is not verified (--insecure): any machine on the way "
                "can read and change everything",
                file=sys.stderr,
            )
    return address


def _place_of(options: argparse.Namespace, parser: Parser) -> _Place:
    by_host = options.address is not None or options.port is not None
    given = [
        name
        for name, is_given in (
            ("--url", options.url is not None),
            ("--address or --port", by_host),
            ("--context", options.context is not None),
        )
        if is_given
    ]
    if len(given) > 1:
        parser.error(f"{' and '.join(given)} are given; keep one")
    if options.url is not None:
        return _Place(_checked(options.url, "--url", parser))
    if options.context is not None:
        return _in_context(options.context, "--context")
    if by_host:
        return _Place(_by_host(options, parser))
    environment = os.environ.get("III_URL", "").strip()
    if environment:
        return _Place(_checked(environment, "environment variable III_URL", parser))
    return _in_context(os.environ.get("III_CONTEXT", "").strip() or None, "III_CONTEXT")


def _in_context(name: str | None, said_by: str) -> _Place:
    """None: the one in use, if there is any."""
    local = _Place(f"ws://{DEFAULT_HOST}:{DEFAULT_PORT}", named=said_by == "--context")
    if name == NONE:
        return local
    file = contexts_file()
    if name is None and not file.exists():  # nearly always: YAML is not loaded
        return local
    from iii.cli.contexts import read_contexts

    known = read_contexts(file)
    if name is None and known.current is None:
        return local
    found = known.named(name or known.current or "", said_by if name else f"{file}: current")
    if (fault := fault_of(found.url)) is not None:
        raise CommandFailed(
            f"{file}: context '{name or known.current}': url: '{masked(found.url)}' is not ws://HOST:PORT or wss://HOST{fault}"
        )
    return _Place(found.url, found, said_by == "--context", name or known.current or "")


def _by_host(options: argparse.Namespace, parser: Parser) -> str:
    host: str = DEFAULT_HOST if options.address is None else options.address.strip()
    if not host or "/" in host:
        parser.error(f"--address: expected a host name or address, got '{options.address}'; for a URL use --url")
    if ":" in host and not host.startswith("["):
        host = f"[{host}]"  # an IPv6 address, or a port that belongs in --port
    port = DEFAULT_PORT if options.port is None else options.port
    return _checked(f"ws://{host}:{port}", "--address", parser)


def _tls_of(options: argparse.Namespace, place: _Place) -> dict[str, object]:
    """An option wins over the environment, that over the context, unless an option names the context."""
    found: dict[str, object] = {"insecure": True} if options.insecure else {}
    for name in _TLS:
        value = getattr(options, name)
        if value is None and place.context is not None and (place.named or not os.environ.get(f"III_{name.upper()}")):
            value = getattr(place.context, name)
        if value is not None:
            found[name] = value
    return found


def _headers_of(place: _Place) -> Mapping[str, str] | None:
    """Raises CommandFailed."""
    context = place.context
    if context is None or (
        not place.named and (os.environ.get("III_TOKEN", "").strip() or os.environ.get("III_TOKEN_FILE", "").strip())
    ):
        return None
    if context.token_env is not None:
        token = os.environ.get(context.token_env, "").strip()
        if not token:
            raise CommandFailed(f"context '{place.name}': environment variable {context.token_env} is not set")
        return {"Authorization": f"Bearer {token}"}
    if context.token_file is not None:
        from iii.sdk.token_file import TokenFileHeaders

        try:
            return TokenFileHeaders({}, context.token_file, f"context '{place.name}'")
        except ValueError as error:
            raise CommandFailed(str(error)) from None
    return None


def _check(address: Address) -> None:
    """Files that a connection needs, and who can read what it shows. Raises CommandFailed."""
    from iii.sdk.engine_address import handshake_headers  # not loaded for `--help`

    try:
        headers = handshake_headers(address.headers)
        if shows_token(address.url, headers):
            print(
                f"warning: the token goes to {masked(address.url)} unencrypted: every machine on the way can read it, and "
                "use it; give the engine's port `tls` and use wss://",
                file=sys.stderr,
            )
        if address.tls or address.url.lower().startswith("wss:"):  # else nothing of TLS is loaded
            from iii.sdk.client_tls import ClientTls
            from iii.sdk.options import InitOptions

            ClientTls(InitOptions(tls=address.tls).tls_options, address.url)
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
