"""Whom a worker trusts, and how it proves who it is (22 §5)."""

from __future__ import annotations

import ssl
from pathlib import Path
from types import SimpleNamespace

import pytest

import iii
from iii.sdk.client_tls import ClientTls
from iii.sdk.connect_failure import connect_failure
from iii.sdk.options import TlsOptions
from tests.certificates import Authority, Issued

WSS = "wss://engine.example"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def own(authority: Authority) -> Issued:
    return authority.issue("own", "orders.example")


def test_22_5_an_option_wins_over_the_environment(authority: Authority, own: Issued) -> None:
    environment = {
        "III_CA_FILE": str(authority.file), "III_CLIENT_CERT": str(own.cert), "III_CLIENT_KEY": str(own.key), "III_SERVER_NAME": "other",
    }  # fmt: skip
    found = ClientTls(None, WSS, environment).context_for(WSS)
    assert found is not None
    assert (len(found.context.get_ca_certs()), found.server_name) == (1, "other")
    assert (found.context.verify_mode, found.context.check_hostname) == (ssl.CERT_REQUIRED, True)
    named = ClientTls(TlsOptions(server_name="third"), WSS, environment).context_for(WSS)
    assert named is not None
    assert named.server_name == "third"
    assert ClientTls(None, "ws://engine.example", {"III_CA_FILE": "/nix/da"}).context_for("ws://engine.example") is None


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (TlsOptions(ca_file="/nix/da"), "tls: ca_file: /nix/da: no such file or directory; correct the path, or create the file"),
        (TlsOptions(client_key="/nix/da"), "tls: client_key is given without client_cert; give both, also as III_CLIENT_CERT and III_CLIENT_KEY"),
    ],
)  # fmt: skip
def test_22_5_an_unusable_file_is_named_at_once(options: TlsOptions, text: str) -> None:
    with pytest.raises(ValueError, match=text.replace("(", "[(]")):
        ClientTls(options, WSS, {})


def test_22_5_files_are_read_again_when_they_change(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first, second = Authority(tmp_path / "one"), Authority(tmp_path / "two")
    tls = ClientTls(TlsOptions(ca_file=str(first.file)), WSS, {})

    def trusted() -> bytes:
        found = tls.context_for(WSS)
        assert found is not None
        return found.context.get_ca_certs(binary_form=True)[0]

    before = trusted()
    first.file.write_bytes(second.file.read_bytes())
    now = trusted()
    assert now != before
    first.file.write_text("nothing")
    assert trusted() == now
    assert [record.__dict__["event"] for record in caplog.records] == ["sdk.tls_files_unusable"]


def test_22_5_insecure_warns_at_each_connection(caplog: pytest.LogCaptureFixture) -> None:
    tls = ClientTls(TlsOptions(insecure=True), WSS, {})
    for _ in range(2):
        found = tls.context_for(WSS)
        assert found is not None
        assert found.context.verify_mode == ssl.CERT_NONE
    tls.context_for(WSS, warns=False)
    assert [record.__dict__["event"] for record in caplog.records] == ["sdk.tls_insecure"] * 2


def test_22_5_options_as_a_mapping() -> None:
    assert iii.InitOptions(tls={"ca_file": "a"}).tls == iii.TlsOptions(ca_file="a")
    with pytest.raises(TypeError, match="tls has no option 'cafile'; it has ca_file, client_cert"):
        iii.InitOptions(tls={"cafile": "a"})


def verification(code: int, said: str) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "failed")
    error.verify_code, error.verify_message = code, said
    return error


def failed(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, "failed")
    error.reason = reason
    return error


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (verification(19, "self-signed certificate in certificate chain"), "the engine's certificate is not signed by a known authority"),
        (verification(10, "certificate has expired"), "the engine's certificate has expired"),
        (verification(9, "certificate is not yet valid"), "the engine's certificate is not valid yet"),
        (verification(62, "hostname mismatch"), "the engine's certificate is for another host (hostname mismatch)"),
        (verification(26, "unsuitable certificate purpose"), "the engine's certificate was refused: unsuitable certificate purpose"),
        (failed("WRONG_VERSION_NUMBER"), "the server at this address does not speak TLS; use ws://"),
        (failed("TLSV13_ALERT_CERTIFICATE_REQUIRED"), "the engine requires a client certificate: "),
        (failed("TLSV1_ALERT_UNKNOWN_CA"), "the engine does not trust the authority that signed the client certificate"),
        (failed("NO_SHARED_CIPHER"), "TLS failed: no shared cipher"),
        (ConnectionError("so"), "so"),
    ],
)  # fmt: skip
def test_22_5_why_a_connection_failed_is_said_in_words(error: Exception, text: str) -> None:
    assert connect_failure(error).startswith(text)


def test_22_5_a_port_with_TLS_behind_ws_is_named() -> None:
    error = ConnectionError("status 101 expected")
    error.response = SimpleNamespace(headers={"Upgrade": "TLS/1.2"})  # type: ignore[attr-defined]
    assert connect_failure(error) == "this port speaks TLS; use wss://"
