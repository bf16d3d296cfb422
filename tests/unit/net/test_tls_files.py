"""Files of certificates: what is wrong with them, in words (22 §2)."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from iii.net.server_tls import ServerTls, server_tls
from iii.net.tls_config import TlsConfig
from iii.net.tls_files import (
    FILE_BYTES,
    BadTlsFile,
    HeldFiles,
    KeyPair,
    fault_of_certificate,
    load_authorities,
    load_pair,
)
from iii.protocol.start_failure import StartFailure
from tests.certificates import Authority, Issued


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def refused(files: Issued) -> tuple[tuple[str | int, ...], str]:
    with pytest.raises(StartFailure) as failed:
        ServerTls(TlsConfig(cert=str(files.cert), key=str(files.key)), "here")
    return failed.value.key, str(failed.value).replace(str(files.cert), "CERT").replace(str(files.key), "KEY")


def with_passphrase(files: Issued) -> None:
    key = load_pem_private_key(files.key.read_bytes(), None)
    files.key.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")),
    )


def make_pipe(files: Issued) -> None:
    files.key.unlink()
    os.mkfifo(files.key)


def of_another(files: Issued) -> None:
    Authority(files.key.parent / "other").issue("other", "localhost", over=Issued(files.cert.parent / "o", files.key))


@pytest.mark.parametrize(
    ("harm", "key", "text"),
    [
        (lambda files: files.cert.unlink(), "cert", "tls: CERT: no such file or directory; correct the path, or create the file"),
        (lambda files: files.key.unlink(), "key", "tls: KEY: no such file or directory; correct the path, or create the file"),
        (lambda files: files.cert.write_text("hello"), "cert", "tls: CERT: no certificate in it; expected a PEM file with `BEGIN CERTIFICATE`"),
        (lambda files: files.key.write_text("hello"), "key", "tls: KEY: no private key in it; expected a PEM file with `BEGIN PRIVATE KEY`"),
        (lambda files: files.key.write_bytes(b" " * (FILE_BYTES + 1)), "key", "tls: KEY: exceeds the limit of 1048576 bytes; give a PEM file"),
        (with_passphrase, "key", "tls: KEY: the key has a passphrase; write it without one: openssl pkey -in KEY -out KEY"),
        (of_another, "key", "tls: KEY: the key does not belong to the certificate in CERT; give the pair"),
        (lambda files: (files.cert.unlink(), files.cert.mkdir()), "cert", "tls: CERT: is a directory; give a PEM file that can be read"),
        (make_pipe, "key", "tls: KEY: not a regular file; give a PEM file"),
        (
            lambda files: files.cert.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), "cert",
            "tls: CERT and KEY: not usable by OpenSSL: ",
        ),
    ],
    ids=["no cert", "no key", "text cert", "text key", "large", "passphrase", "mismatch", "folder", "pipe", "garbage"],
)  # fmt: skip
def test_22_2_a_file_that_is_unusable_is_named_with_reason_and_remedy(
    tmp_path: Path, harm: Callable[[Issued], object], key: str, text: str
) -> None:
    files = Authority(tmp_path).server()
    harm(files)
    at, said = refused(files)
    assert (at, said[: len(text)]) == (("tls", key), text)


def test_22_2_authorities_without_a_certificate_are_refused(authority: Authority, tmp_path: Path) -> None:
    files = authority.server()
    with pytest.raises(BadTlsFile, match="no certificate in it"):
        load_authorities(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), str(files.key), "client_ca")


@pytest.mark.parametrize(("days", "fault"), [(30, None), (-1, "certificate has expired")])
def test_22_2_an_expired_certificate_is_told_of(
    authority: Authority, days: int, fault: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    files = authority.issue("some", "localhost", days=days)
    assert fault_of_certificate(KeyPair(str(files.cert), str(files.key))) == fault
    tls = server_tls(TlsConfig(cert=str(files.cert), key=str(files.key)), "here")
    assert tls is not None  # it serves all the same
    told = [record for record in caplog.records if record.__dict__["event"] == "tls.certificate_questionable"]
    assert len(told) == (fault is not None)


def test_22_1_versions_and_client_certificates(authority: Authority) -> None:
    files = authority.server()
    common: dict[str, Any] = {"cert": str(files.cert), "key": str(files.key)}
    plain = ServerTls(TlsConfig(**common), "here").context
    assert (plain.minimum_version, plain.verify_mode) == (ssl.TLSVersion.TLSv1_2, ssl.CERT_NONE)
    strict = ServerTls(TlsConfig(**common, min_version="1.3", client_ca=str(authority.file)), "here").context
    assert (strict.minimum_version, strict.verify_mode) == (ssl.TLSVersion.TLSv1_3, ssl.CERT_REQUIRED)
    either = ServerTls(TlsConfig(**common, client_ca=str(authority.file), client_auth="optional"), "here").context
    assert either.verify_mode == ssl.CERT_OPTIONAL
    with pytest.raises(ValueError, match="needs `client_ca`"):
        TlsConfig(**common, client_auth="optional")


async def test_22_2_changed_files_count_when_they_are_written(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    authority = Authority(tmp_path)
    files = authority.server()
    tls = ServerTls(TlsConfig(cert=str(files.cert), key=str(files.key)), "here")
    first = tls.context
    assert not await tls.renew()

    authority.server(over=files)
    assert not await tls.renew()  # a second look sees whether they are still being written
    assert await tls.renew()
    second = tls.context
    assert second is not first
    assert not await tls.renew()

    files.key.write_text("half of a ke")
    for _ in range(4):
        assert not await tls.renew()
    assert tls.context is second
    events = [record.__dict__["event"] for record in caplog.records]
    assert events == ["tls.certificate_renewed", "tls.certificate_not_renewed"]  # told once

    authority.server(over=files)
    await tls.renew()
    assert await tls.renew()


async def test_22_2_a_pair_that_is_replaced_while_it_is_read_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It was said to be unusable, though it was never seen whole."""
    caplog.set_level("INFO")
    authority = Authority(tmp_path)
    files = authority.server()
    tls = ServerTls(TlsConfig(cert=str(files.cert), key=str(files.key)), "here")

    def in_its_midst(context: ssl.SSLContext, pair: KeyPair) -> None:
        authority.server(over=files)
        monkeypatch.undo()
        raise BadTlsFile("key", "the key does not belong to the certificate")

    authority.server(over=files)
    assert not await tls.renew()
    monkeypatch.setattr("iii.net.server_tls.load_pair", in_its_midst)
    assert [await tls.renew() for _ in range(3)] == [False, False, True]
    assert [record.__dict__["event"] for record in caplog.records] == ["tls.certificate_renewed"]


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="no files in memory")
def test_22_2_held_files_stay_as_they_were_checked(authority: Authority) -> None:
    files = authority.server()
    held = HeldFiles(KeyPair(str(files.cert), str(files.key)), str(files.cert))
    files.key.unlink()
    files.cert.write_bytes(b"half")
    try:
        load_pair(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), held.pair)
        load_authorities(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), held.client_ca or "", "client_ca")
    finally:
        held.close()
    assert not os.path.exists(held.pair.key)


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="no files in memory")
def test_22_2_files_that_do_not_belong_together_are_not_held(authority: Authority) -> None:
    one, other = authority.server(), authority.issue("other", "localhost")
    before = os.listdir("/proc/self/fd")
    with pytest.raises(BadTlsFile, match="does not belong to the certificate"):
        HeldFiles(KeyPair(str(one.cert), str(other.key)), None)
    assert len(os.listdir("/proc/self/fd")) <= len(before)  # others may have closed theirs
