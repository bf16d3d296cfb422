"""How a worker proves who it is over TLS, and whom it trusts (22 §5)."""

import logging
import os
import ssl
from collections.abc import Mapping

from iii.net.picows_side import TlsClient
from iii.net.tls_files import BadTlsFile, KeyPair, State, load_authorities, load_pair, state_of
from iii.protocol.address import masked
from iii.protocol.log_event import LogEvent
from iii.sdk.options import TlsOptions

INSECURE = LogEvent(
    "iii.sdk", "sdk.tls_insecure", logging.WARNING, "Certificate of the engine is not verified: `insecure` is set; any machine on the way can read and change everything",
    means="The options of the worker or of the command switch verification off; said at each connection.",
    do="Give the authority that signed the engine's certificate (`ca_file`, `III_CA_FILE`, `--ca-file`) and leave `insecure` out.",
)  # fmt: skip
FILES_UNUSABLE = LogEvent(
    "iii.sdk", "sdk.tls_files_unusable", logging.WARNING, "Certificate files of the worker have changed and are unusable; the former ones count",
    means="The authorities or the client certificate that the worker was given can no longer be read.",
    do="Correct the file that `reason` names; it is read again at the next connection.",
)  # fmt: skip

_PAIR = ("III_CLIENT_CERT", "III_CLIENT_KEY")


class ClientTls:
    """Of one worker. Its files are read again at a connection when they have changed.

    Args:
        url: of the engine; one of `wss://` has the files read at once.

    Attributes:
        server_name: that the certificate must have, if it is not the host of the address.

    Raises:
        ValueError: a file is unusable, or one of a pair is missing.
    """

    def __init__(self, options: TlsOptions | None, url: str, environment: Mapping[str, str] = os.environ) -> None:
        options = options or TlsOptions()
        self._ca = _path(options.ca_file, environment, "III_CA_FILE")
        cert = _path(options.client_cert, environment, _PAIR[0])
        key = _path(options.client_key, environment, _PAIR[1])
        self.server_name = options.server_name or environment.get("III_SERVER_NAME", "").strip() or None
        self._insecure = options.insecure
        if (cert is None) != (key is None):
            given, missing = ("client_cert", "client_key") if key is None else ("client_key", "client_cert")
            raise ValueError(f"tls: {given} is given without {missing}; give both, also as {' and '.join(_PAIR)}")
        self._pair = None if cert is None or key is None else KeyPair(cert, key, ("client_cert", "client_key"))
        self._state: State | None = None
        self._context: ssl.SSLContext | None = None
        if _is_tls(url):
            try:
                self._renew()
            except BadTlsFile as error:
                raise ValueError(f"tls: {error.option}: {error}") from None

    def context_for(self, url: str, *, warns: bool = True) -> TlsClient | None:
        """For one connection; None without TLS. Raises ConnectionError: a file is unusable.

        `warns`: the log says that certificates are not verified.
        """
        if not _is_tls(url):
            return None
        try:
            self._renew()
        except BadTlsFile as error:
            if self._context is None:
                raise ConnectionError(str(error)) from None
            FILES_UNUSABLE(reason=str(error))
        if self._insecure and warns:
            INSECURE(address=masked(url))
        assert self._context is not None
        return TlsClient(self._context, self.server_name)

    def doubt(self, url: str) -> str:
        """Why the engine may end a connection without a word: with TLS 1.3 a client is done before its certificate is judged."""
        if not _is_tls(url):
            return ""
        if self._pair is None:
            return f"; if the engine requires a client certificate, give one with its key: {' and '.join(_PAIR)}"
        return f"; the engine may not trust the certificate in {self._pair.cert} (`client_ca` of its `tls`)"

    def _renew(self) -> None:
        """Raises BadTlsFile."""
        state = state_of([path for path in (self._ca, *(self._pair or ())[:2]) if path is not None])
        if state == self._state:
            return
        context = ssl.create_default_context() if self._ca is None else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if self._ca is not None:
            load_authorities(context, self._ca, "ca_file")
        if self._pair is not None:
            load_pair(context, self._pair)
        if self._insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        self._context, self._state = context, state


def _is_tls(url: str) -> bool:
    return url.lower().startswith("wss:")


def _path(given: str | None, environment: Mapping[str, str], name: str) -> str | None:
    path = given or environment.get(name, "").strip()
    return os.path.expanduser(path) if path else None
