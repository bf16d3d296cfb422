"""TLS of one listener: the context that new connections get, and its files, read again when they change (22 §2)."""

from __future__ import annotations

import asyncio
import logging
import ssl
from os.path import expanduser

from iii.net.tls_config import TlsConfig
from iii.net.tls_files import BadTlsFile, KeyPair, fault_of_certificate, load_authorities, load_pair, state_of
from iii.protocol.log_event import LogEvent

RENEWED = LogEvent(
    __name__, "tls.certificate_renewed", logging.INFO, "Certificate files have changed; new connections get the new certificate",
    means="The files of a listener's `tls` were read again; connections that are open go on.",
)  # fmt: skip
NOT_RENEWED = LogEvent(
    __name__, "tls.certificate_not_renewed", logging.ERROR, "Certificate files have changed and are unusable; new connections get the certificate that was in force",
    means="A file of a listener's `tls` has gone, cannot be read, or key and certificate do not belong together.",
    do="Correct what `reason` names; the files are read again when they change.",
)  # fmt: skip
QUESTIONABLE = LogEvent(
    __name__, "tls.certificate_questionable", logging.WARNING, "Certificate of a listener will be refused by clients",
    means="The certificate has expired, is not valid yet, or is not meant for servers; `reason` says which.",
    do="Renew the certificate; the files are read again when they change, without a restart.",
)  # fmt: skip

_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


class ServerTls:
    """Of one listener, which it is named after in the log. Raises StartFailure: a file is unusable.

    Attributes:
        context: for connections that come now.
        generation: counts what was loaded, from 0.
    """

    def __init__(self, config: TlsConfig, listener: str) -> None:
        self.config = config
        self.listener = listener
        self.pair = KeyPair(expanduser(config.cert), expanduser(config.key))
        self.client_ca = None if config.client_ca is None else expanduser(config.client_ca)
        self.generation = 0
        self._paths = [path for path in (*self.pair[:2], self.client_ca) if path is not None]
        self._state = state_of(self._paths)
        self._seen = self._state
        try:
            self.context, fault = self._load()
        except BadTlsFile as error:
            raise error.at_start() from None
        self._doubt(fault)

    def following(self) -> ssl.SSLContext:
        """One that shows the newest certificate for as long as it lives: for servers that keep theirs. Raises StartFailure."""
        try:
            kept, _ = self._load()
        except BadTlsFile as error:
            raise error.at_start() from None

        def newest(connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
            connection.context = self.context

        kept.sni_callback = newest
        return kept

    async def renew(self) -> bool:
        """Look at the files, and read them if they have changed and are written: two looks see the same. Whether they count now."""
        before, self._seen = self._seen, await asyncio.to_thread(state_of, self._paths)
        if self._seen == self._state or self._seen != before:
            return False
        self._state = self._seen
        try:
            self.context, fault = await asyncio.to_thread(self._load)
        except BadTlsFile as error:
            if self._state == await asyncio.to_thread(state_of, self._paths):  # else it was read while it was written
                NOT_RENEWED(listener=self.listener, reason=str(error))
            return False
        self.generation += 1
        RENEWED(listener=self.listener, file=self.pair.cert)
        self._doubt(fault)
        return True

    def _load(self) -> tuple[ssl.SSLContext, str | None]:
        """The context, and why clients may refuse its certificate. Raises BadTlsFile."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = _VERSIONS[self.config.min_version]
        context.set_alpn_protocols(["http/1.1"])
        load_pair(context, self.pair)
        if self.client_ca is not None:
            load_authorities(context, self.client_ca, "client_ca")
            required = self.config.client_auth == "required"
            context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL
        return context, fault_of_certificate(self.pair)

    def _doubt(self, fault: str | None) -> None:
        if fault is not None:
            QUESTIONABLE(listener=self.listener, file=self.pair.cert, reason=fault)


def server_tls(config: TlsConfig | None, listener: str) -> ServerTls | None:
    """None: the listener has none. Raises StartFailure."""
    return None if config is None else ServerTls(config, listener)
