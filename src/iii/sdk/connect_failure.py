"""Why there is no connection, in words that say what to do (22 §5)."""

import ssl

from iii.protocol.address import why_not_connected

_EXPIRED, _NOT_YET, _NAME, _ADDRESS = 10, 9, 62, 64  # X509_V_ERR_… of OpenSSL
_UNKNOWN = (2, 18, 19, 20, 21)
_CA = "give the authority that signed it: `tls.ca_file`, III_CA_FILE or --ca-file"
_OWN = "give a certificate and its key: `tls.client_cert` and `client_key`, III_CLIENT_CERT and III_CLIENT_KEY, or --client-cert and --client-key"
_ALERTS = {
    "CERTIFICATE_REQUIRED": f"the engine requires a client certificate: {_OWN}",
    "HANDSHAKE_FAILURE": f"the engine refused the TLS handshake; if it requires a client certificate, {_OWN}",
    "UNKNOWN_CA": "the engine does not trust the authority that signed the client certificate (`client_ca` of its `tls`)",
    "BAD_CERTIFICATE": "the engine refused the client certificate",
    "CERTIFICATE_EXPIRED": "the engine refused the client certificate: it has expired",
    "PROTOCOL_VERSION": "the engine speaks no version of TLS that this machine speaks (`min_version` of its `tls`)",
}
_NOT_TLS = (
    "WRONG_VERSION_NUMBER",
    "HTTP_REQUEST",
    "UNEXPECTED_MESSAGE",
    "RECORD_LAYER_FAILURE",
    "PACKET_LENGTH_TOO_LONG",
)


def connect_failure(error: Exception) -> str:
    """What an attempt ended with."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _refused_certificate(error)
    if isinstance(error, ssl.SSLError):
        reason = str(error.reason or "")
        for name, text in _ALERTS.items():
            if reason.endswith(name):
                return text
        if reason in _NOT_TLS:
            return "the server at this address does not speak TLS; use ws://, or the port that has TLS"
        return f"TLS failed: {reason.replace('_', ' ').lower() or error}"
    response = getattr(error, "response", None)
    upgrade = response.headers.get("Upgrade", "") if response is not None else ""
    if str(upgrade).upper().startswith("TLS"):
        return "this port speaks TLS; use wss://"
    return why_not_connected(error)


def _refused_certificate(error: ssl.SSLCertVerificationError) -> str:
    code, said = error.verify_code, str(error.verify_message).rstrip(".")
    if code in _UNKNOWN:
        return f"the engine's certificate is not signed by a known authority ({said}); {_CA}"
    if code == _EXPIRED:
        return "the engine's certificate has expired; renew it at the engine"
    if code == _NOT_YET:
        return "the engine's certificate is not valid yet; look at the clocks of both machines"
    if code in (_NAME, _ADDRESS):
        return f"the engine's certificate is for another host ({said}); connect by a name in it, or give that name: `tls.server_name`, III_SERVER_NAME or --server-name"
    return f"the engine's certificate was refused: {said}"
