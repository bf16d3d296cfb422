"""The files of a certificate: what is wrong with them, in words (22 §2)."""

from __future__ import annotations

import os
import re
import ssl
import stat
from collections.abc import Sequence
from typing import NamedTuple

from iii.net.opening import open_at_once
from iii.protocol.limits import MIB
from iii.protocol.start_failure import StartFailure

FILE_BYTES = 1 * MIB  # Longest file of certificates or of a key.
_FILE_BYTES = FILE_BYTES
_DESCRIPTORS = "/proc/self/fd"
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_ENCRYPTED = ("BEGIN ENCRYPTED PRIVATE KEY", "Proc-Type: 4,ENCRYPTED")
State = tuple[tuple[int, ...] | None, ...]


class BadTlsFile(Exception):
    """A file of certificates or of a key is unusable; the text names it, the reason and the remedy.

    Attributes:
        option: that names the file.
    """

    def __init__(self, option: str, text: str) -> None:
        super().__init__(text)
        self.option = option

    def at_start(self) -> StartFailure:
        """The same as the reason why a listener does not open."""
        return StartFailure(f"tls: {self}", ("tls", self.option))


class KeyPair(NamedTuple):
    """A certificate and its key.

    Attributes:
        options: the names of the options that said which files.
    """

    cert: str
    key: str
    options: tuple[str, str] = ("cert", "key")


class HeldFiles:
    """Files as they are now, under names that stay: for a library that reads them later, and whose process ends if they are unusable then.

    Where the system has no files in memory they are the files themselves. Raises BadTlsFile.
    """

    def __init__(self, pair: KeyPair, client_ca: str | None) -> None:
        self._descriptors: list[int] = []
        try:
            self.pair = KeyPair(self._held(pair.cert, pair.options[0]), self._held(pair.key, pair.options[1]))
            self.client_ca = None if client_ca is None else self._held(client_ca, "client_ca")
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            load_pair(context, self.pair)
            if self.client_ca is not None:
                load_authorities(context, self.client_ca, "client_ca")
        except BadTlsFile:
            self.close()
            raise

    def close(self) -> None:
        """They are read."""
        while self._descriptors:
            os.close(self._descriptors.pop())

    def _held(self, path: str, option: str) -> str:
        if not hasattr(os, "memfd_create") or not os.path.exists(_DESCRIPTORS):
            return path
        content = _text_of(path, option).encode("latin-1")
        descriptor = os.memfd_create(os.path.basename(path)[:100])
        self._descriptors.append(descriptor)
        with open(descriptor, "wb", closefd=False) as file:
            file.write(content)
        return f"{_DESCRIPTORS}/{descriptor}"


def load_pair(context: ssl.SSLContext, pair: KeyPair) -> None:
    """Let one side show that certificate. Raises BadTlsFile."""
    certificates_of(pair.cert, pair.options[0])
    text = _text_of(pair.key, pair.options[1])
    if any(mark in text for mark in _ENCRYPTED):
        raise BadTlsFile(
            pair.options[1],
            f"{pair.key}: the key has a passphrase; write it without one: openssl pkey -in {pair.key} -out KEY",
        )
    if "PRIVATE KEY-----" not in text:
        raise BadTlsFile(
            pair.options[1], f"{pair.key}: no private key in it; expected a PEM file with `BEGIN PRIVATE KEY`"
        )
    try:
        context.load_cert_chain(pair.cert, pair.key, password="")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise BadTlsFile(
                pair.options[1], f"{pair.key}: the key does not belong to the certificate in {pair.cert}; give the pair"
            ) from None
        raise BadTlsFile(
            pair.options[0], f"{pair.cert} and {pair.key}: not usable by OpenSSL: {_said(error)}"
        ) from None
    except OSError as error:
        raise BadTlsFile(pair.options[0], f"{pair.cert} or {pair.key}: {error.strerror}") from None


def load_authorities(context: ssl.SSLContext, path: str, option: str) -> None:
    """Let one side trust those. Raises BadTlsFile."""
    found = certificates_of(path, option)
    try:
        context.load_verify_locations(cadata="\n".join(found))
    except ssl.SSLError as error:
        raise BadTlsFile(option, f"{path}: a certificate in it is not usable by OpenSSL: {_said(error)}") from None


def certificates_of(path: str, option: str) -> list[str]:
    """Those in a PEM file. Raises BadTlsFile: it has none."""
    found = _CERTIFICATE.findall(_text_of(path, option))
    if not found:
        raise BadTlsFile(option, f"{path}: no certificate in it; expected a PEM file with `BEGIN CERTIFICATE`")
    return found


def state_of(paths: Sequence[str]) -> State:
    """Another one when a file has changed."""
    return tuple(map(_state_of, paths))


def fault_of_certificate(pair: KeyPair) -> str | None:
    """Why clients will refuse it, whatever their authorities are: expired, or not for servers. Raises BadTlsFile.

    The standard library reads no dates: so a client that trusts this very certificate shakes hands with its server.
    """
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    load_pair(server, pair)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    client.load_verify_locations(cadata=certificates_of(pair.cert, pair.options[0])[0])
    try:
        _shake_hands(client, server)
    except ssl.SSLCertVerificationError as error:
        return error.verify_message
    except ssl.SSLError as error:
        return _said(error)
    return None


def _shake_hands(client: ssl.SSLContext, server: ssl.SSLContext) -> None:
    """In memory. Raises SSLError."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [client.wrap_bio(back, there), server.wrap_bio(there, back, server_side=True)]
    for _ in range(10):  # flights
        for end in list(ends):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            ends.remove(end)


def _text_of(path: str, option: str) -> str:
    try:
        with open(path, "rb", opener=open_at_once) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise BadTlsFile(option, f"{path}: not a regular file; give a PEM file")
            content = file.read(_FILE_BYTES + 1)
    except OSError as error:
        remedy = {
            FileNotFoundError: "correct the path, or create the file",
            PermissionError: "let the engine's user read it",
        }.get(type(error), "give a PEM file that can be read")
        raise BadTlsFile(option, f"{path}: {(error.strerror or str(error)).lower()}; {remedy}") from None
    if len(content) > _FILE_BYTES:
        raise BadTlsFile(option, f"{path}: exceeds the limit of {_FILE_BYTES} bytes; give a PEM file")
    return content.decode("latin-1")


def _state_of(path: str) -> tuple[int, ...] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino


def _said(error: ssl.SSLError) -> str:
    return (error.reason or str(error)).replace("_", " ").lower()
